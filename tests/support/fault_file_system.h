// FaultFileSystem: a disk in memory that can fail.
//
// What it injects: power cuts that keep any subset of the unsynced 512-byte sectors, file sizes and
// directory entries; the Nth operation failing with a chosen errno, once or for ever; a full disk;
// bits that rot. After a failed sync its files behave like Linux's page cache: reads still show the
// data, the pages count as clean, and no later sync writes them, so a power cut loses them.
//
// What it does not inject: torn sectors (a sector is old or new), reordering across a sync that
// succeeded, errors of files open before a power cut (they give kUnavailable from then on).
//
//   FaultFileSystem disk;
//   auto store = Store::open(disk, "/data");         // code under test
//   disk.power_cut(seed);                             // random subset of what was not synced
//   store = Store::open(disk, "/data");               // recovers
//
// Threads: any; one lock over everything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"

namespace verbatim::testing {

enum class IoKind { kOpen, kRead, kWrite, kSync, kTruncate, kRename, kRemove, kDirectory, kLock };

class FaultFileSystem final : public base::FileSystem {
 public:
  static constexpr uint64_t kSectorSize = 512;

  FaultFileSystem();
  ~FaultFileSystem() override;

  // --- FileSystem ---
  Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list_directory(const std::string& path) override;
  Status create_directories(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<uint64_t> file_size(const std::string& path) override;
  Result<int64_t> modified_unix_ns(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<base::FileLock>> lock_file(const std::string& path) override;

  // --- power cuts ---

  // Asked for each thing that was not synced (a sector, a size, a directory entry): true keeps it.
  using Chooser = std::function<bool()>;
  void power_cut(const Chooser& keeps);
  // A random subset, reproducible from the seed.
  void power_cut(uint64_t seed);
  // Nothing that was not synced stays.
  void power_cut_dropping_all();
  // Everything stays that a later sync would have written.
  void power_cut_keeping_all();
  // Creations, removals and renames that a power cut may undo.
  size_t unsynced_name_count() const;
  // The process dies, the machine does not: its files and locks are gone, the cache stays, also
  // where it shows data that a failed sync has lost.
  void kill_process();

  // --- failing operations ---

  // The Nth operation from now (1 is the next) fails with `error_number`; all later ones too where
  // is_sticky. `kinds`: which operations count; empty counts all. A failing write may write a part.
  struct Fault {
    uint64_t nth = 1;
    int error_number = 5;  // EIO
    bool is_sticky = false;
    std::set<IoKind> kinds = {};
  };
  void fail(Fault fault);
  void clear_faults();
  // True once the fault has struck: the loop "N = 1, 2, … until none is hit" ends where it is
  // false.
  bool has_failed() const;
  // Operations so far, failed ones too.
  uint64_t operation_count() const;
  uint64_t sync_count() const;

  // The bytes that may be stored in total; writes beyond give kResourceExhausted.
  void set_capacity(uint64_t bytes);

  // --- rotting disks: these change what is on the disk and in the cache ---
  void flip_byte(const std::string& path, uint64_t offset, uint8_t mask = 0xFF);
  void truncate_file(const std::string& path, uint64_t size);

  // The whole file as a process would read it. CHECKs that it exists.
  std::string contents(const std::string& path) const;

 private:
  friend class FaultFile;
  friend class FaultLock;
  struct Inode;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace verbatim::testing
