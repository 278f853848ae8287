// ContentStore: files under the SHA-256 of their content, in one folder.
//
//   <directory>/files/ab/abcd…   whole files; a file that is there is whole and never changes
//   <directory>/incoming/…       uploads that are not whole yet, "<digest>-<size>"
//   <directory>/claims/…         "<digest>": an event may name this content, or is on its way
//   <directory>/writer.lock      held by the one process that writes
//
// The collector writes, the processor reads and removes (content_removal.h, which has the other
// folders); both may have the folder open at once.
//
// I1 A name in files/ has the content that it says: bytes are hashed before the name exists.
// I2 A name in files/ is durable, content and name, before this store tells anyone of it.
// I3 An upload that was cut off goes on where it stood, also after a restart; if what the disk kept
//    of it is not what was sent, the digest says so and it begins anew.
// I4 A claim is durable before begin_upload() or finish() say that content is there, and stands
//    until release_claims() finds it unused. What has a claim is never removed, but may be out of
//    files/ for a moment while the processor looks (has() knows better; who reads looks twice).
//
// Threads: ContentStore: any. FileUpload: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "base/status.h"

namespace verbatim::base {

struct ContentStoreOptions {
  std::string directory;
  // One process at a time; without it there are no uploads.
  bool is_writer = false;
  // Of one file.
  uint64_t file_max_bytes = uint64_t{100} * 1024 * 1024;
  // Uploads are refused where less than this would be left on the disk once all are whole.
  uint64_t free_disk_min_bytes = 0;
  // A sync has failed: what this store says it has may be gone after a power cut. The service has
  // to end.
  std::function<void(const Status&)> on_failed_sync = {};
  const Clock* clock = &system_clock();
};

class ContentStore;

// What is left of an upload that was cut off.
struct UnfinishedUpload {
  std::string sha256;  // as announced
  uint64_t size_bytes = 0;
  uint64_t stored_bytes = 0;
  int64_t modified_unix_ns = 0;
};

// The writing of one file. Destroyed before finish(), what came stays for the next begin_upload().
class FileUpload {
 public:
  ~FileUpload();
  FileUpload(const FileUpload&) = delete;
  FileUpload& operator=(const FileUpload&) = delete;

  // Bytes that are here; append() goes on behind them.
  uint64_t stored_bytes() const { return stored_bytes_; }
  // Errors: kInvalidArgument (more than was announced), those of the disk.
  Status append(std::string_view bytes);
  // Durable on OK: the file under its digest. Errors: kInvalidArgument (bytes are missing),
  // kDataLoss (another digest: what came is removed, begin anew), those of the disk. Ends the
  // upload.
  Status finish();

 private:
  friend class ContentStore;
  FileUpload(ContentStore& store, std::string digest, uint64_t size, std::string path)
      : store_(store), digest_(std::move(digest)), size_(size), path_(std::move(path)) {}
  Status resume();
  Status finish_file();
  void end();

  ContentStore& store_;
  const std::string digest_;
  const uint64_t size_;
  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t stored_bytes_ = 0;
  Sha256 hash_;
  bool has_ended_ = false;
};

class ContentStore {
 public:
  // Makes the folders; a writer makes durable what a killed process has left. Errors:
  // kFailedPrecondition (another process writes), those of the disk.
  static Result<std::unique_ptr<ContentStore>> open(FileSystem& file_system,
                                                    ContentStoreOptions options);

  // Digests are 32 raw bytes everywhere; of another length: false, kInvalidArgument.
  // Whether an event may name it: the writer asks its claims, and not the disk. False while its
  // upload is under way: its name may be there and not be durable yet.
  bool has(std::string_view sha256) const;
  // Keeps the claims of these digests from being released until the last copy of what it gives is
  // gone. Take it before has() is asked about an event, and keep it until the event is where
  // nothing of this process has to be asked about it. The store outlives it.
  std::shared_ptr<const void> use(std::vector<std::string> sha256s);
  // Errors: kNotFound, those of the disk.
  Result<uint64_t> size(std::string_view sha256) const;
  // Opened for reading. Errors: as size().
  Result<std::unique_ptr<File>> open_file(std::string_view sha256) const;

  // Begins an upload, or goes on with one that was cut off. A null upload: the file is there.
  // Errors: kInvalidArgument (digest, a size below 0 or above file_max_bytes, with both numbers),
  // kAborted (the same file is being uploaded), kResourceExhausted (the disk is nearly full), those
  // of the disk. The store outlives the upload.
  Result<std::unique_ptr<FileUpload>> begin_upload(std::string_view sha256, int64_t size);

  // Removes what is left of uploads that nothing was written to since `cutoff_unix_ns`, except
  // those under way; gives how many. Each is told to `may_remove` before and stays where that says
  // false; meanwhile it cannot be taken up again (kAborted). Errors: those of the disk.
  Result<size_t> remove_unfinished(int64_t cutoff_unix_ns,
                                   const std::function<bool(const UnfinishedUpload&)>& may_remove);

  // Releases claims that for so long no upload and no event has used; gives how many. Events are
  // refused from then on (has() is false) until the next upload. `is_settled` is asked once nothing
  // can use the chosen claims any more: whether every event that used one, in this process or in
  // one before it, is in the queue; where it says false nothing is released. Errors: those of the
  // disk.
  Result<size_t> release_claims(std::chrono::nanoseconds unused_for,
                                const std::function<bool()>& is_settled);

 private:
  friend class FileUpload;
  struct Claim {
    bool is_whole = false;  // the content is there, durably
    std::chrono::nanoseconds last_used{};
  };
  ContentStore(FileSystem& file_system, ContentStoreOptions options)
      : file_system_(file_system), options_(std::move(options)) {}
  std::string path_of(std::string_view sha256) const;
  std::string claim_path(std::string_view name) const;
  Status become_writer();
  Status load_claims();
  Result<bool> rescue(const std::string& name, std::string_view sha256);
  Status make_claim(const std::string& name);
  void settle_claim(const std::string& name, bool is_whole);
  std::map<std::string, Claim> take_unused(std::chrono::nanoseconds unused_for);
  void put_back(std::map<std::string, Claim> claims);
  bool is_in_place(std::string_view sha256) const;
  Status check_room(uint64_t size) REQUIRES(mutex_);
  Status synced(Status status) const;
  void end_upload(std::string_view sha256);
  bool take_up(std::string_view sha256);
  Result<bool> remove_old(const std::string& path, int64_t cutoff_unix_ns,
                          UnfinishedUpload unfinished,
                          const std::function<bool(const UnfinishedUpload&)>& may_remove);
  // Moves a whole upload to its place.
  Status publish(const std::string& from, std::string_view sha256);

  FileSystem& file_system_;
  const ContentStoreOptions options_;
  std::unique_ptr<FileLock> writer_lock_;
  mutable Mutex mutex_;
  // Digests in hexadecimal, and the announced sizes.
  std::map<std::string, uint64_t, std::less<>> uploading_ GUARDED_BY(mutex_);
  // The writer's claims, and who holds a use(); both by digest in hexadecimal.
  std::map<std::string, Claim, std::less<>> claims_ GUARDED_BY(mutex_);
  std::map<std::string, int, std::less<>> uses_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::base
