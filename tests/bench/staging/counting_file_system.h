// CountingFileSystem: RocksDB's files on the real disk, with a count of what is written for what.
// Threads: any.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace verbatim::bench {

class CountingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // Bytes that RocksDB has handed to files.
  struct Counts {
    std::atomic<uint64_t> log{0};         // the write-ahead log
    std::atomic<uint64_t> flush{0};       // tables from memory
    std::atomic<uint64_t> compaction{0};  // tables from tables
    std::atomic<uint64_t> rest{0};        // manifests, options, text log
  };

  CountingFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "CountingFileSystem"; }
  const Counts& counts() const { return counts_; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;

 private:
  Counts counts_;
};

}  // namespace verbatim::bench
