// RocksFaultFileSystem: RocksDB's files on the real disk, with faults.
//
// Every write, sync, creation, rename and removal counts as one I/O. The Nth may fail, once; or the
// power may go at the Nth: from then on nothing works, and drop_unsynced() takes away all bytes
// that no sync has covered, and new files whose folder was not synced. It does not model: writes
// that reach the disk out of order, renames and removals that are undone, reads that fail. is_lying
// makes a canary: syncs say OK and do nothing. Threads: any.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"

namespace verbatim::testing {

class RocksFaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault { kNone, kFailOnce, kPowerCut };

  RocksFaultFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "RocksFaultFileSystem"; }

  // Counts anew; the I/O with this number (from 1) meets the fault.
  void arm(Fault fault, uint64_t at);
  void set_lying(bool is_lying);
  uint64_t io_count() const;
  bool was_hit() const;
  // After the store is closed: what a power cut leaves.
  void drop_unsynced();

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  friend class FaultWritableFile;
  friend class FaultDirectory;

  // OK, or the injected error.
  rocksdb::IOStatus pass();
  void note_size(const std::string& path, uint64_t size);
  // False when the sync is to do nothing.
  bool note_sync(const std::string& path);

  // The names in the folder are durable.
  void note_folder_sync(const std::string& folder);
  void keep_names_in(const std::filesystem::path& folder) REQUIRES(mutex_);

  struct Sizes {
    uint64_t written = 0;
    uint64_t synced = 0;
    bool is_name_synced = false;
  };
  mutable base::Mutex mutex_;
  Fault fault_ GUARDED_BY(mutex_) = Fault::kNone;
  uint64_t at_ GUARDED_BY(mutex_) = std::numeric_limits<uint64_t>::max();
  uint64_t io_count_ GUARDED_BY(mutex_) = 0;
  bool is_lying_ GUARDED_BY(mutex_) = false;
  std::map<std::string, Sizes> files_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::testing
