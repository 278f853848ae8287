#include "tests/fault/rocks_fault_file_system.h"

#include <filesystem>
#include <utility>

namespace verbatim::testing {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class FaultWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultWritableFile(RocksFaultFileSystem& owner, std::string path,
                    std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus status = owner_.pass(); !status.ok()) return status;
    IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
    size_ += data.size();
    owner_.note_size(path_, size_);
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus status = owner_.pass(); !status.ok()) return status;
    if (!owner_.note_sync(path_)) return IOStatus::OK();
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus status = owner_.pass(); !status.ok()) return status;
    return FSWritableFileOwnerWrapper::Close(options, debug);
  }

 private:
  RocksFaultFileSystem& owner_;
  const std::string path_;
  uint64_t size_ = 0;
};

class FaultDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultDirectory(RocksFaultFileSystem& owner, std::string path,
                 std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), owner_(owner), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus status = owner_.pass(); !status.ok()) return status;
    owner_.note_folder_sync(path_);
    return FSDirectoryWrapper::Fsync(options, debug);
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& how) override {
    if (IOStatus status = owner_.pass(); !status.ok()) return status;
    owner_.note_folder_sync(path_);
    return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how);
  }

 private:
  RocksFaultFileSystem& owner_;
  const std::string path_;
};

void RocksFaultFileSystem::arm(Fault fault, uint64_t at) {
  base::MutexLock lock(mutex_);
  fault_ = fault;
  at_ = at;
  io_count_ = 0;
}

void RocksFaultFileSystem::set_lying(bool is_lying) {
  base::MutexLock lock(mutex_);
  is_lying_ = is_lying;
}

uint64_t RocksFaultFileSystem::io_count() const {
  base::MutexLock lock(mutex_);
  return io_count_;
}

bool RocksFaultFileSystem::was_hit() const {
  base::MutexLock lock(mutex_);
  return fault_ != Fault::kNone && io_count_ >= at_;
}

IOStatus RocksFaultFileSystem::pass() {
  base::MutexLock lock(mutex_);
  ++io_count_;
  const bool is_hit = (fault_ == Fault::kFailOnce && io_count_ == at_) ||
                      (fault_ == Fault::kPowerCut && io_count_ >= at_);
  return is_hit ? IOStatus::IOError("injected") : IOStatus::OK();
}

void RocksFaultFileSystem::note_size(const std::string& path, uint64_t size) {
  base::MutexLock lock(mutex_);
  files_[path].written = size;
}

bool RocksFaultFileSystem::note_sync(const std::string& path) {
  base::MutexLock lock(mutex_);
  if (is_lying_) return false;
  files_[path].synced = files_[path].written;
  return true;
}

void RocksFaultFileSystem::note_folder_sync(const std::string& folder) {
  base::MutexLock lock(mutex_);
  if (is_lying_) return;
  keep_names_in(std::filesystem::path(folder + "/").parent_path());
}

void RocksFaultFileSystem::keep_names_in(const std::filesystem::path& folder) {
  for (auto& [path, sizes] : files_) {
    if (std::filesystem::path(path).parent_path() == folder) sizes.is_name_synced = true;
  }
}

void RocksFaultFileSystem::drop_unsynced() {
  base::MutexLock lock(mutex_);
  for (const auto& [path, sizes] : files_) {
    std::error_code error;
    if (!sizes.is_name_synced) {
      std::filesystem::remove(path, error);
      continue;
    }
    const auto size = std::filesystem::file_size(path, error);
    if (!error && size > sizes.synced) std::filesystem::resize_file(path, sizes.synced);
  }
  files_.clear();
}

IOStatus RocksFaultFileSystem::NewWritableFile(const std::string& path,
                                               const rocksdb::FileOptions& options,
                                               std::unique_ptr<rocksdb::FSWritableFile>* result,
                                               IODebugContext* debug) {
  if (IOStatus status = pass(); !status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
  if (!status.ok()) return status;
  note_size(path, 0);
  *result = std::make_unique<FaultWritableFile>(*this, path, std::move(file));
  return status;
}

IOStatus RocksFaultFileSystem::NewDirectory(const std::string& path, const IOOptions& options,
                                            std::unique_ptr<rocksdb::FSDirectory>* result,
                                            IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  IOStatus status = FileSystemWrapper::NewDirectory(path, options, &directory, debug);
  if (status.ok()) *result = std::make_unique<FaultDirectory>(*this, path, std::move(directory));
  return status;
}

IOStatus RocksFaultFileSystem::RenameFile(const std::string& from, const std::string& to,
                                          const IOOptions& options, IODebugContext* debug) {
  if (IOStatus status = pass(); !status.ok()) return status;
  IOStatus status = FileSystemWrapper::RenameFile(from, to, options, debug);
  base::MutexLock lock(mutex_);
  if (auto moved = files_.extract(from); status.ok() && !moved.empty()) {
    files_[to] = moved.mapped();
    // Renames are not undone, so what a folder's journal has before them stands, too.
    keep_names_in(std::filesystem::path(to).parent_path());
  }
  return status;
}

IOStatus RocksFaultFileSystem::DeleteFile(const std::string& path, const IOOptions& options,
                                          IODebugContext* debug) {
  if (IOStatus status = pass(); !status.ok()) return status;
  {
    base::MutexLock lock(mutex_);
    files_.erase(path);
  }
  return FileSystemWrapper::DeleteFile(path, options, debug);
}

}  // namespace verbatim::testing
