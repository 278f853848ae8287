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
  for (const char* const folder : {"files", "incoming", "claims", "released", "condemned"}) {
    RETURN_IF_ERROR(file_system.create_directories(join_path(options.directory, folder)));
  }
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
  return load_claims();
}

// What an earlier process has claimed; events that it was about to put may have reached the queue.
Status ContentStore::load_claims() {
  const std::string folder = join_path(options_.directory, "claims");
  RETURN_IF_ERROR(file_system_.sync_directory(folder));
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(folder));
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    const auto digest = from_hex(name);
    if (!digest || digest->size() != kSha256Size) continue;
    ASSIGN_OR_RETURN(const bool is_whole, rescue(name, *digest));
    claims_[name] = {.is_whole = is_whole, .last_used = options_.clock->monotonic()};
  }
  return {};
}

// Whether claimed content is there. The processor may have been killed while it had it out of its
// place; it is not about to remove it, as it looks for claims after that.
Result<bool> ContentStore::rescue(const std::string& name, std::string_view sha256) {
  if (is_in_place(sha256)) return true;
  const std::string to = path_of(sha256);
  const Status moved = file_system_.rename(join_path(options_.directory, "condemned/" + name), to);
  // Neither there: it never became whole, or the processor has just put it back.
  if (moved.code() == StatusCode::kNotFound) return is_in_place(sha256);
  RETURN_IF_ERROR(moved);
  RETURN_IF_ERROR(file_system_.sync_directory(parent_directory(to)));
  return true;
}

std::string ContentStore::claim_path(std::string_view name) const {
  return join_path(options_.directory, "claims/" + std::string(name));
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
  if (!options_.is_writer) return is_in_place(sha256);
  MutexLock lock(mutex_);
  const auto claim = claims_.find(to_hex(sha256));
  return claim != claims_.end() && claim->second.is_whole;
}

std::shared_ptr<const void> ContentStore::use(std::vector<std::string> sha256s) {
  std::vector<std::string> names;
  for (const std::string& sha256 : sha256s) names.push_back(to_hex(sha256));
  {
    MutexLock lock(mutex_);
    for (const std::string& name : names) ++uses_[name];
  }
  const auto end = [this, names](const void*) {
    MutexLock lock(mutex_);
    for (const std::string& name : names) {
      const auto used = uses_.find(name);
      if (--used->second == 0) uses_.erase(used);
      const auto claim = claims_.find(name);
      if (claim != claims_.end()) claim->second.last_used = options_.clock->monotonic();
    }
  };
  return {static_cast<const void*>(this), end};
}

// The processor may have it out of its place for a moment.
Result<uint64_t> ContentStore::size(std::string_view sha256) const {
  RETURN_IF_ERROR(check_digest(sha256));
  auto size = file_system_.file_size(path_of(sha256));
  if (size || size.error().code() != StatusCode::kNotFound) return size;
  size = file_system_.file_size(join_path(options_.directory, "condemned/" + to_hex(sha256)));
  return size ? size : file_system_.file_size(path_of(sha256));
}

Result<std::unique_ptr<File>> ContentStore::open_file(std::string_view sha256) const {
  RETURN_IF_ERROR(check_digest(sha256));
  auto file = file_system_.open(path_of(sha256), OpenMode::kRead);
  if (file || file.error().code() != StatusCode::kNotFound) return file;
  file = file_system_.open(join_path(options_.directory, "condemned/" + to_hex(sha256)),
                           OpenMode::kRead);
  if (file) return file;
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
    const auto claim = claims_.find(name);
    if (claim != claims_.end() && claim->second.is_whole) {
      claim->second.last_used = options_.clock->monotonic();
      return upload;
    }
    if (uploading_.contains(name)) return aborted("this file is being uploaded already");
    if (!is_in_place(sha256)) RETURN_IF_ERROR(check_room(static_cast<uint64_t>(size)));
    uploading_.emplace(name, static_cast<uint64_t>(size));
    // From here on its destructor ends the upload.
    upload.reset(
        new FileUpload(*this, std::string(sha256), static_cast<uint64_t>(size),
                       join_path(options_.directory, fmt::format("incoming/{}-{}", name, size))));
  }
  // In this order: who removes files takes one away first and looks for its claim then.
  RETURN_IF_ERROR(make_claim(name));
  if (is_in_place(sha256)) {
    settle_claim(name, /*is_whole=*/true);
    return std::unique_ptr<FileUpload>();
  }
  settle_claim(name, /*is_whole=*/false);
  RETURN_IF_ERROR(upload->resume());
  return upload;
}

Status ContentStore::make_claim(const std::string& name) {
  RETURN_IF_ERROR(file_system_.open(claim_path(name), OpenMode::kCreateOrOpen).error());
  return synced(file_system_.sync_directory(join_path(options_.directory, "claims")));
}

void ContentStore::settle_claim(const std::string& name, bool is_whole) {
  MutexLock lock(mutex_);
  claims_[name] = {.is_whole = is_whole, .last_used = options_.clock->monotonic()};
}

Result<size_t> ContentStore::release_claims(std::chrono::nanoseconds unused_for,
                                            const std::function<bool()>& is_settled) {
  std::map<std::string, Claim> chosen = take_unused(unused_for);
  size_t released_count = 0;
  Status status;
  if (!chosen.empty() && is_settled()) {
    for (auto claim = chosen.begin(); claim != chosen.end(); claim = chosen.erase(claim)) {
      status = file_system_.rename(claim_path(claim->first),
                                   join_path(options_.directory, "released/" + claim->first));
      if (!status.ok()) break;
      end_upload(*from_hex(claim->first));
      ++released_count;
    }
  }
  put_back(std::move(chosen));
  if (!status.ok()) return status;
  return released_count;
}

// Claims that nothing uses; nobody can take them up until they are released or put back.
std::map<std::string, ContentStore::Claim> ContentStore::take_unused(
    std::chrono::nanoseconds unused_for) {
  std::map<std::string, Claim> taken;
  MutexLock lock(mutex_);
  const auto now = options_.clock->monotonic();
  for (auto claim = claims_.begin(); claim != claims_.end();) {
    const auto& [name, state] = *claim;
    if (now - state.last_used < unused_for || uses_.contains(name) || uploading_.contains(name)) {
      ++claim;
      continue;
    }
    uploading_.emplace(name, 0);
    taken.insert(*claim);
    claim = claims_.erase(claim);
  }
  return taken;
}

void ContentStore::put_back(std::map<std::string, Claim> claims) {
  MutexLock lock(mutex_);
  for (auto& [name, claim] : claims) {
    claims_[name] = claim;
    uploading_.erase(name);
  }
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
    if (!unfinished || !take_up(unfinished->sha256)) continue;
    const auto removed =
        remove_old(join_path(incoming, name), cutoff_unix_ns, *unfinished, may_remove);
    end_upload(unfinished->sha256);
    if (!removed) return removed.error();
    if (*removed) ++removed_count;
  }
  return removed_count;
}

// An upload of no bytes, so that no other takes up what is being removed.
bool ContentStore::take_up(std::string_view sha256) {
  MutexLock lock(mutex_);
  return uploading_.emplace(to_hex(sha256), 0).second;
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
  RETURN_IF_ERROR(synced(file_system_.sync_directory(folder)));
  settle_claim(to_hex(sha256), /*is_whole=*/true);
  return {};
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
