#include "tests/bench/staging/counting_file_system.h"

#include <utility>

namespace verbatim::bench {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Counts = CountingFileSystem::Counts;

class CountedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CountedFile(std::unique_ptr<rocksdb::FSWritableFile> file, Counts& counts, bool is_table,
              bool is_log)
      : FSWritableFileOwnerWrapper(std::move(file)),
        counts_(counts),
        is_table_(is_table),
        counter_(is_log ? &counts.log : &counts.rest) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    *counter_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  // RocksDB tells a table's purpose by its priority, before it writes to it.
  void SetIOPriority(rocksdb::Env::IOPriority priority) override {
    if (is_table_) {
      counter_ = priority == rocksdb::Env::IO_LOW ? &counts_.compaction : &counts_.flush;
    }
    FSWritableFileOwnerWrapper::SetIOPriority(priority);
  }

 private:
  Counts& counts_;
  const bool is_table_;
  std::atomic<uint64_t>* counter_;
};

}  // namespace

IOStatus CountingFileSystem::NewWritableFile(const std::string& path,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                                             IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
  if (!status.ok()) return status;
  const bool is_table = path.ends_with(".sst") || path.ends_with(".blob");
  *result =
      std::make_unique<CountedFile>(std::move(file), counts_, is_table, path.ends_with(".log"));
  return status;
}

}  // namespace verbatim::bench
