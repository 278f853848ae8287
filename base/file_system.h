// FileSystem and File: the seam to the disk. The queue's log, the outbox and the content store
// touch the disk through it and in no other way; tests/support/fault_file_system.h implements it
// with faults, and one contract test (tests/support/file_system_contract.h) holds both to this
// page.
//
// What is on disk when: nothing written is durable until sync_data() or sync() of that File has
// returned OK; no creation, rename or removal is durable until sync_directory() of the folder has
// returned OK. A failed sync says that data may be lost even if a later sync succeeds: the page
// cache may have marked the pages clean. Callers never retry a failed sync and call it good.
//
// Errors, everywhere: kNotFound (no such path), kAlreadyExists, kPermissionDenied,
// kResourceExhausted (disk full, quota, too many open files), kFailedPrecondition (a lock that is
// held, a path of the wrong kind), else kUnavailable (an I/O error). Messages carry operation=,
// path= and the text of errno. Interrupted calls and short writes are completed inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace verbatim::base {

enum class OpenMode {
  kRead,             // must exist
  kReadWrite,        // must exist
  kCreateExclusive,  // must not exist
  kCreateOrOpen,
};

// What write_durable() needs to go past the page cache.
inline constexpr uint64_t kDirectAlignment = 4096;

// An open file; closed by its destructor.
// Threads: read_at, write_at and write_durable to disjoint ranges may run at once, and sync beside
// them; append and truncate need the caller's order.
class File {
 public:
  virtual ~File() = default;

  // Writes all bytes at `offset`, growing the file as needed (a gap reads as zeros). On an error
  // any part may have been written.
  virtual Status write_at(uint64_t offset, std::string_view bytes) = 0;
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);
  // Writes all bytes at the present end of the file.
  virtual Status append(std::string_view bytes) = 0;
  Status append(std::span<const std::byte> bytes);

  // Fills `buffer` from `offset`; gives the count of bytes read, fewer only at the end of the file.
  virtual Result<size_t> read_at(uint64_t offset, std::span<char> buffer) = 0;
  Result<size_t> read_at(uint64_t offset, std::span<std::byte> buffer);

  // Durable: all bytes written, and the size where it grew (fdatasync).
  virtual Status sync_data() = 0;
  // As sync_data, and all other metadata (fsync).
  virtual Status sync() = 0;

  // write_at, durable on return: these bytes, and the size where the file grew; what was written
  // before by other calls is not part of the promise. Where offset, size and memory are multiples
  // of kDirectAlignment it may go past the page cache, which is faster; readers see it all the
  // same.
  virtual Status write_durable(uint64_t offset, std::string_view bytes);

  virtual Result<uint64_t> size() = 0;
  virtual Status truncate(uint64_t size) = 0;

  // Says what will be read soon, or is not to stay in the page cache. A hint: nothing may come of
  // it.
  enum class Use { kSoon, kNoMore };
  virtual void advise(uint64_t offset, uint64_t size, Use use);

  // Extends the file to at least `size` bytes by really writing zeros (1 MiB at a time), so that
  // later overwrites need no metadata. What is there already stays. Not synced.
  Status preallocate(uint64_t size);

  virtual const std::string& path() const = 0;
};

// Holds an exclusive lock between processes; released by its destructor and by the end of the
// process, however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Threads: every method may be called from any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;

  // Names (not paths) of everything in a folder, without "." and "..", sorted.
  virtual Result<std::vector<std::string>> list_directory(const std::string& path) = 0;
  // Creates a folder and its parents; OK if it is there. Durable: each created folder's entry.
  virtual Status create_directories(const std::string& path) = 0;
  // Replaces `to` atomically if it exists.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  // Removes a file or an empty folder.
  virtual Status remove(const std::string& path) = 0;
  // False also where the path cannot be looked at.
  virtual bool exists(const std::string& path) = 0;
  virtual Result<uint64_t> file_size(const std::string& path) = 0;
  // When its bytes were last written, by the machine's clock.
  virtual Result<int64_t> modified_unix_ns(const std::string& path) = 0;
  // Durable: all creations, renames and removals in this folder so far.
  virtual Status sync_directory(const std::string& path) = 0;
  // Bytes that an unprivileged process may still write on the disk of `path`.
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;
  // Creates the file if needed and locks it; kFailedPrecondition if it is locked already, by this
  // process or another.
  virtual Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) = 0;

  // The whole file in memory.
  Result<std::string> read_file(const std::string& path);
};

// The operating system's files; lives as long as the process.
FileSystem& posix_file_system();

// Replaces `path` by `bytes`: temporary name beside it, sync, rename, directory sync. Durable: the
// new contents under `path`. On an error, or after a power cut, `path` holds the old or the new
// contents, whole.
Status write_file_atomically(FileSystem& file_system, const std::string& path,
                             std::string_view bytes);

// "a/b" of "a/b/c"; "." of "c"; "/" of "/c".
std::string parent_directory(std::string_view path);
// `directory` and `name` with exactly one "/" between.
std::string join_path(std::string_view directory, std::string_view name);

}  // namespace verbatim::base
