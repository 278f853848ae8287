// RoomyFileSystem: the machine's files as RocksDB should see them on a disk that may become full.
//
// I1 What is taken ahead of a file's end is at most kAheadBytes. RocksDB by itself takes 70 MiB for
//    each log and each table that is compacted, which no look at the free disk can foresee.
// I2 A table or manifest for which the disk has no room waits until there is some, before its bytes
//    are written: a flush that is late loses nothing, for the log has its rows, while one that
//    fails ends the use of the store. The log itself does not wait: who writes to it holds up
//    everything, and has looked for room before (StagingMarks). Without `waits` nothing waits.
// Threads: any.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>

namespace verbatim::processor {

class RoomyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  static constexpr size_t kAheadBytes = size_t{4} << 20;

  explicit RoomyFileSystem(const std::shared_ptr<rocksdb::FileSystem>& disk)
      : FileSystemWrapper(disk) {}
  const char* Name() const override { return "verbatim.RoomyFileSystem"; }

  // From the opening to the closing of the store, which must not hang.
  void set_waits(bool waits) { waits_ = waits; }
  bool waits() const { return waits_; }
  // How many files wait now.
  int waiting_count() const { return waiting_count_; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;

 private:
  friend class RoomyFile;
  std::atomic<bool> waits_ = false;
  std::atomic<int> waiting_count_ = 0;
};

}  // namespace verbatim::processor
