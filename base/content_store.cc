#include "base/content_store.h"

#include <charconv>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/hex.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr size_t kReadBytes = 256 * 1024;

Status check_digest(std::string_view sha256) {
  if (sha256.size() == kSha256Size) return {};
  return invalid_argument(fmt::format("sha256: {} bytes, not {}", sha256.size(), kSha256Size));
}

// "<digest>-<size>"; nothing for a file that is not ours.
std::optional<UnfinishedUpload> parse_incoming(std::string_view name) {
  const size_t dash = name.find('-');
  if (dash != 2 * kSha256Size) return std::nullopt;
  const auto digest = from_hex(name.substr(0, dash));
  if (!digest) return std::nullopt;
  UnfinishedUpload unfinished;
  unfinished.sha256 = *digest;
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + dash + 1, end, unfinished.size_bytes);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return unfinished;
}

}  // namespace

Result<std::unique_ptr<ContentStore>> ContentStore::open(FileSystem& file_system,
                                                         ContentStoreOptions options) {
  RETURN_IF_ERROR(file_system.create_directories(join_path(options.directory, "files")));
  RETURN_IF_ERROR(file_system.create_directories(join_path(options.directory, "incoming")));
  std::unique_ptr<ContentStore> store(new ContentStore(file_system, std::move(options)));
  if (store->options_.is_writer) RETURN_IF_ERROR(store->become_writer());
  return store;
}

Status ContentStore::become_writer() {
  const std::string lock = join_path(options_.directory, "writer.lock");
  ASSIGN_OR_RETURN(writer_lock_, file_system_.lock_file(lock));
  // A process that was killed may have left a name that no power cut would have kept.
  const std::string files = join_path(options_.directory, "files");
  ASSIGN_OR_RETURN(const auto folders, file_system_.list_directory(files));
  for (const std::string& folder : folders) {
    RETURN_IF_ERROR(file_system_.sync_directory(join_path(files, folder)));
  }
  return {};
}

std::string ContentStore::path_of(std::string_view sha256) const {
  const std::string name = to_hex(sha256);
  return join_path(options_.directory, "files/" + name.substr(0, 2) + "/" + name);
}

bool ContentStore::is_in_place(std::string_view sha256) const {
  return file_system_.exists(path_of(sha256));
}

bool ContentStore::has(std::string_view sha256) const {
  if (!check_digest(sha256).ok()) return false;
  MutexLock lock(mutex_);
  return !uploading_.contains(to_hex(sha256)) && is_in_place(sha256);
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
  CHECK(options_.is_writer, "only the writer of a content store takes uploads");
  RETURN_IF_ERROR(check_digest(sha256));
  if (size < 0 || static_cast<uint64_t>(size) > options_.file_max_bytes) {
    return invalid_argument(
        fmt::format("size_bytes={} file_max_bytes={}", size, options_.file_max_bytes));
  }
  const std::string name = to_hex(sha256);
  std::unique_ptr<FileUpload> upload;
  {
    MutexLock lock(mutex_);
    if (uploading_.contains(name)) return aborted("this file is being uploaded already");
    if (is_in_place(sha256)) return upload;
    RETURN_IF_ERROR(check_room(static_cast<uint64_t>(size)));
    uploading_.emplace(name, static_cast<uint64_t>(size));
    // From here on its destructor ends the upload.
    upload.reset(
        new FileUpload(*this, std::string(sha256), static_cast<uint64_t>(size),
                       join_path(options_.directory, fmt::format("incoming/{}-{}", name, size))));
  }
  RETURN_IF_ERROR(upload->resume());
  return upload;
}

Status ContentStore::check_room(uint64_t size) {
  uint64_t needed = options_.free_disk_min_bytes + size;
  for (const auto& [name, announced] : uploading_) needed += announced;
  ASSIGN_OR_RETURN(const uint64_t free, file_system_.free_bytes(options_.directory));
  if (free >= needed) return {};
  return resource_exhausted(
      fmt::format("the disk is nearly full, try again later: size_bytes={} free_bytes={} "
                  "needed_bytes={}",
                  size, free, needed));
}

Result<size_t> ContentStore::remove_unfinished(
    int64_t cutoff_unix_ns, const std::function<bool(const UnfinishedUpload&)>& may_remove) {
  const std::string incoming = join_path(options_.directory, "incoming");
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(incoming));
  size_t removed_count = 0;
  for (const std::string& name : names) {
    auto unfinished = parse_incoming(name);
    if (!unfinished || !claim(unfinished->sha256)) continue;
    const auto removed =
        remove_old(join_path(incoming, name), cutoff_unix_ns, *unfinished, may_remove);
    end_upload(unfinished->sha256);
    if (!removed) return removed.error();
    if (*removed) ++removed_count;
  }
  return removed_count;
}

// An upload of no bytes, so that no other takes up what is being removed.
bool ContentStore::claim(std::string_view sha256) {
  MutexLock lock(mutex_);
  // Where the content is in place nobody takes it up, and it stays to be had.
  return is_in_place(sha256) || uploading_.emplace(to_hex(sha256), 0).second;
}

Result<bool> ContentStore::remove_old(
    const std::string& path, int64_t cutoff_unix_ns, UnfinishedUpload unfinished,
    const std::function<bool(const UnfinishedUpload&)>& may_remove) {
  // Whole, or removed, since the folder was listed.
  if (!file_system_.exists(path)) return false;
  ASSIGN_OR_RETURN(unfinished.modified_unix_ns, file_system_.modified_unix_ns(path));
  ASSIGN_OR_RETURN(unfinished.stored_bytes, file_system_.file_size(path));
  if (unfinished.modified_unix_ns >= cutoff_unix_ns) return false;
  // The same content may have come whole since, announced with its right size.
  if (!is_in_place(unfinished.sha256) && !may_remove(unfinished)) return false;
  RETURN_IF_ERROR(file_system_.remove(path));
  return true;
}

void ContentStore::end_upload(std::string_view sha256) {
  MutexLock lock(mutex_);
  uploading_.erase(to_hex(sha256));
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

FileUpload::~FileUpload() { end(); }

void FileUpload::end() {
  if (!has_ended_) store_.end_upload(digest_);
  has_ended_ = true;
}

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
  const Status status = finish_file();
  end();
  return status;
}

Status FileUpload::finish_file() {
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
