#include "processor/staging/roomy_file_system.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"

namespace verbatim::processor {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

constexpr std::chrono::milliseconds kLookInterval{50};

bool ends_with(const std::string& path, std::string_view ending) {
  return path.size() >= ending.size() &&
         path.compare(path.size() - ending.size(), ending.size(), ending) == 0;
}

bool may_wait(const std::string& path) {
  return ends_with(path, ".sst") || path.find("/MANIFEST-") != std::string::npos;
}

}  // namespace

class RoomyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  RoomyFile(RoomyFileSystem& owner, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), path_(std::move(path)) {
    // What is taken and not needed goes back when the file is closed.
    if (may_wait(path_)) {
      FSWritableFileOwnerWrapper::SetPreallocationBlockSize(RoomyFileSystem::kAheadBytes);
    }
  }

  void SetPreallocationBlockSize(size_t size) override {
    FSWritableFileOwnerWrapper::SetPreallocationBlockSize(
        std::min(size, RoomyFileSystem::kAheadBytes));
  }
  void PrepareWrite(size_t offset, size_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    if (owner_.waits() && may_wait(path_)) claim(offset + size, options, debug);
    FSWritableFileOwnerWrapper::PrepareWrite(offset, size, options, debug);
  }

 private:
  // Takes what PrepareWrite would take, which does not tell whether it got it.
  void claim(uint64_t end, const IOOptions& options, IODebugContext* debug) {
    size_t block = 0;
    size_t taken = 0;
    GetPreallocationStatus(&block, &taken);
    if (block == 0 || end <= block * taken) return;
    const uint64_t blocks = (end + block - 1) / block - taken;
    bool is_waiting = false;
    while (owner_.waits()) {
      const IOStatus status = Allocate(block * taken, block * blocks, options, debug);
      // Where blocks cannot be taken ahead the write itself will tell.
      if (!status.IsNoSpace()) break;
      if (!std::exchange(is_waiting, true)) {
        ++owner_.waiting_count_;
        LOG_WARN("staging writes a table once there is room on the disk path={}", path_);
      }
      std::this_thread::sleep_for(kLookInterval);
    }
    if (!is_waiting) return;
    --owner_.waiting_count_;
    LOG_INFO("staging goes on with a table path={}", path_);
  }

  RoomyFileSystem& owner_;
  const std::string path_;
};

IOStatus RoomyFileSystem::NewWritableFile(const std::string& path,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result,
                                          IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
  if (status.ok()) *result = std::make_unique<RoomyFile>(*this, path, std::move(file));
  return status;
}

}  // namespace verbatim::processor
