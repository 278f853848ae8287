#include "base/content_store.h"

#include <array>
#include <utility>

#include "base/hex.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr size_t kReadBytes = 256 * 1024;

Status check_digest(std::string_view sha256) {
  if (sha256.size() == kSha256Size) return {};
  return invalid_argument(fmt::format("sha256: {} bytes, not {}", sha256.size(), kSha256Size));
}

}  // namespace

Result<std::unique_ptr<ContentStore>> ContentStore::open(FileSystem& file_system,
                                                         ContentStoreOptions options) {
  RETURN_IF_ERROR(file_system.create_directories(join_path(options.directory, "files")));
  RETURN_IF_ERROR(file_system.create_directories(join_path(options.directory, "incoming")));
  // A process that was killed may have left a name that no power cut would have kept.
  const std::string files = join_path(options.directory, "files");
  ASSIGN_OR_RETURN(const auto folders, file_system.list_directory(files));
  for (const std::string& folder : folders) {
    RETURN_IF_ERROR(file_system.sync_directory(join_path(files, folder)));
  }
  return std::unique_ptr<ContentStore>(new ContentStore(file_system, std::move(options)));
}

std::string ContentStore::path_of(std::string_view sha256) const {
  const std::string name = to_hex(sha256);
  return join_path(options_.directory, "files/" + name.substr(0, 2) + "/" + name);
}

bool ContentStore::has(std::string_view sha256) const {
  return check_digest(sha256).ok() && file_system_.exists(path_of(sha256));
}

Result<uint64_t> ContentStore::size(std::string_view sha256) const {
  RETURN_IF_ERROR(check_digest(sha256));
  return file_system_.file_size(path_of(sha256));
}

Result<std::unique_ptr<File>> ContentStore::open_file(std::string_view sha256) const {
  RETURN_IF_ERROR(check_digest(sha256));
  return file_system_.open(path_of(sha256), OpenMode::kRead);
}

Result<std::unique_ptr<FileUpload>> ContentStore::begin_upload(std::string_view sha256,
                                                               int64_t size) {
  RETURN_IF_ERROR(check_digest(sha256));
  if (size < 0 || static_cast<uint64_t>(size) > options_.file_max_bytes) {
    return invalid_argument(
        fmt::format("size_bytes={} file_max_bytes={}", size, options_.file_max_bytes));
  }
  std::string digest(sha256);
  {
    MutexLock lock(mutex_);
    if (!uploading_.insert(digest).second) return aborted("this file is being uploaded already");
  }
  std::string path =
      join_path(options_.directory, fmt::format("incoming/{}-{}", to_hex(sha256), size));
  // From here on its destructor ends the upload.
  std::unique_ptr<FileUpload> upload(
      new FileUpload(*this, std::move(digest), static_cast<uint64_t>(size), std::move(path)));
  // Only now: the name of a file that is on its way may be there and not be durable yet.
  if (has(sha256)) return std::unique_ptr<FileUpload>();
  RETURN_IF_ERROR(check_room(upload->size_));
  RETURN_IF_ERROR(upload->resume());
  return upload;
}

Status ContentStore::check_room(uint64_t size) const {
  ASSIGN_OR_RETURN(const uint64_t free, file_system_.free_bytes(options_.directory));
  if (free >= options_.free_disk_min_bytes + size) return {};
  return resource_exhausted(
      fmt::format("the disk is nearly full: size_bytes={} free_bytes={} free_disk_min_bytes={}",
                  size, free, options_.free_disk_min_bytes));
}

void ContentStore::end_upload(const std::string& digest) {
  MutexLock lock(mutex_);
  uploading_.erase(digest);
}

Status ContentStore::publish(const std::string& from, std::string_view sha256) {
  const std::string to = path_of(sha256);
  const std::string folder = parent_directory(to);
  RETURN_IF_ERROR(file_system_.create_directories(folder));
  RETURN_IF_ERROR(file_system_.rename(from, to));
  return synced(file_system_.sync_directory(folder));
}

Status ContentStore::synced(Status status) const {
  if (!status.ok() && options_.on_failed_sync) options_.on_failed_sync(status);
  return status;
}

// --- FileUpload ---

FileUpload::~FileUpload() { store_.end_upload(digest_); }

// Takes what an earlier upload has left, and hashes it: nothing but the bytes says what is there.
Status FileUpload::resume() {
  ASSIGN_OR_RETURN(file_, store_.file_system_.open(path_, OpenMode::kCreateOrOpen));
  ASSIGN_OR_RETURN(const uint64_t left, file_->size());
  if (left > size_) return file_->truncate(0);
  std::string buffer(kReadBytes, '\0');
  while (stored_bytes_ < left) {
    ASSIGN_OR_RETURN(const size_t count, file_->read_at(stored_bytes_, std::span<char>(buffer)));
    if (count == 0) break;
    hash_.update(std::string_view(buffer).substr(0, count));
    stored_bytes_ += count;
  }
  return {};
}

Status FileUpload::append(std::string_view bytes) {
  if (bytes.size() > size_ - stored_bytes_) {
    return invalid_argument(fmt::format("more than size_bytes={} came", size_));
  }
  RETURN_IF_ERROR(file_->write_at(stored_bytes_, bytes));
  stored_bytes_ += bytes.size();
  hash_.update(bytes);
  return {};
}

Status FileUpload::finish() {
  if (stored_bytes_ < size_) {
    return invalid_argument(
        fmt::format("only {} of size_bytes={} came; go on from there", stored_bytes_, size_));
  }
  if (hash_.finish() != digest_) {
    file_.reset();
    RETURN_IF_ERROR(store_.file_system_.remove(path_));
    return data_loss("the content has another SHA-256 than announced; it is removed, begin anew");
  }
  RETURN_IF_ERROR(store_.synced(file_->sync()));
  file_.reset();
  return store_.publish(path_, digest_);
}

}  // namespace verbatim::base
