#include "tests/support/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace verbatim::testing {

using base::errno_status;
using base::File;
using base::FileLock;
using base::Mutex;
using base::MutexLock;
using base::OpenMode;

namespace {

// "/a//b/" and "./a/b" as "/a/b" and "a/b".
std::string normalise(const std::string& path) {
  std::string result;
  for (const char c : path) {
    if (c == '/' && result.ends_with('/')) continue;
    result.push_back(c);
  }
  while (result.size() > 1 && result.ends_with('/')) result.pop_back();
  while (result.starts_with("./")) result.erase(0, 2);
  return result.empty() ? "." : result;
}

bool is_root(const std::string& path) { return path == "/" || path == "."; }

}  // namespace

// A file or folder. `cache` is what processes see; `disk` is what a power cut leaves for sure.
// I1 A sector of a file that is not in `dirty` is never written by a sync.
struct FaultFileSystem::Inode {
  bool is_directory = false;
  std::string cache;
  std::string disk;
  std::set<uint64_t> dirty;
  int64_t modified_unix_ns = base::system_clock().unix_now_ns();

  void mark_dirty(uint64_t offset, uint64_t size) {
    if (size == 0) return;
    for (uint64_t s = offset / kSectorSize; s <= (offset + size - 1) / kSectorSize; ++s) {
      dirty.insert(dirty.end(), s);
    }
  }

  void write(uint64_t offset, std::string_view bytes) {
    if (bytes.empty()) return;
    modified_unix_ns = base::system_clock().unix_now_ns();
    if (cache.size() < offset + bytes.size()) cache.resize(offset + bytes.size());
    bytes.copy(cache.data() + offset, bytes.size());
    mark_dirty(offset, bytes.size());
  }

  // Copies one sector of the cache to the disk, as far as both reach.
  void persist_sector(uint64_t sector) {
    const uint64_t begin = sector * kSectorSize;
    const uint64_t end =
        std::min({begin + kSectorSize, uint64_t{cache.size()}, uint64_t{disk.size()}});
    if (begin >= end) return;
    std::copy(cache.begin() + static_cast<ptrdiff_t>(begin),
              cache.begin() + static_cast<ptrdiff_t>(end),
              disk.begin() + static_cast<ptrdiff_t>(begin));
  }

  void sync() {
    disk.resize(cache.size());
    for (const uint64_t sector : dirty) persist_sector(sector);
    dirty.clear();
  }

  // The size after a power cut: the new one, the old one, or one in between.
  uint64_t choose_size(const Chooser& keeps) const {
    if (cache.size() == disk.size() || keeps()) return cache.size();
    if (cache.size() < disk.size()) return disk.size();
    uint64_t low = disk.size();
    uint64_t high = cache.size();
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2;
      if (keeps()) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void power_cut(const Chooser& keeps) {
    disk.resize(choose_size(keeps));
    for (const uint64_t sector : dirty) {
      if (keeps()) persist_sector(sector);
    }
    dirty.clear();
    cache = disk;
  }
};

struct FaultFileSystem::State {
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // A creation, removal or rename that is not durable yet: it reaches the disk whole or not at all.
  struct Change {
    std::set<std::string> directories;
    std::vector<std::pair<std::string, std::shared_ptr<Inode>>> names;  // null removes
  };

  Mutex mutex;
  Names cache GUARDED_BY(mutex);
  Names disk GUARDED_BY(mutex);
  std::vector<Change> changes GUARDED_BY(mutex);
  std::set<std::string> locks GUARDED_BY(mutex);
  uint64_t generation GUARDED_BY(mutex) = 0;  // of power: files of an older one are dead
  uint64_t capacity GUARDED_BY(mutex) = std::numeric_limits<uint64_t>::max();
  std::optional<Fault> fault GUARDED_BY(mutex);
  uint64_t fault_passages GUARDED_BY(mutex) = 0;
  bool has_failed GUARDED_BY(mutex) = false;
  uint64_t operation_count GUARDED_BY(mutex) = 0;
  uint64_t sync_count GUARDED_BY(mutex) = 0;

  // Counts an operation; gives the errno that it must fail with, or 0.
  int pass(IoKind kind) REQUIRES(mutex) {
    ++operation_count;
    if (kind == IoKind::kSync) ++sync_count;
    if (!fault || (!fault->kinds.empty() && !fault->kinds.contains(kind))) return 0;
    ++fault_passages;
    const bool strikes =
        fault->is_sticky ? fault_passages >= fault->nth : fault_passages == fault->nth;
    if (!strikes) return 0;
    has_failed = true;
    return fault->error_number;
  }

  std::shared_ptr<Inode> find(const std::string& path) REQUIRES(mutex) {
    const auto found = cache.find(path);
    return found == cache.end() ? nullptr : found->second;
  }

  bool is_directory(const std::string& path) REQUIRES(mutex) {
    if (is_root(path)) return true;
    const auto inode = find(path);
    return inode != nullptr && inode->is_directory;
  }

  static void apply(const Change& change, Names& names) {
    for (const auto& [path, inode] : change.names) {
      if (inode == nullptr) {
        names.erase(path);
      } else {
        names[path] = inode;
      }
    }
  }

  // Makes a change visible now and durable later.
  void change(std::vector<std::pair<std::string, std::shared_ptr<Inode>>> names) REQUIRES(mutex) {
    Change change;
    for (const auto& [path, inode] : names) change.directories.insert(base::parent_directory(path));
    change.names = std::move(names);
    apply(change, cache);
    changes.push_back(std::move(change));
  }

  uint64_t used_bytes() REQUIRES(mutex) {
    uint64_t total = 0;
    for (const auto& [path, inode] : cache) total += inode->cache.size();
    return total;
  }

  // How far a file may grow to reach `wanted` bytes.
  uint64_t allowed_size(const Inode& inode, uint64_t wanted) REQUIRES(mutex) {
    if (wanted <= inode.cache.size() || capacity == std::numeric_limits<uint64_t>::max()) {
      return wanted;
    }
    const uint64_t used = used_bytes();
    const uint64_t left = capacity > used ? capacity - used : 0;
    return std::min<uint64_t>(wanted, inode.cache.size() + left);
  }
};

class FaultFile final : public File {
 public:
  FaultFile(std::shared_ptr<FaultFileSystem::State> state,
            std::shared_ptr<FaultFileSystem::Inode> inode, std::string path, uint64_t generation,
            bool is_writable)
      : state_(std::move(state)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        generation_(generation),
        is_writable_(is_writable) {}

  using File::append;
  using File::read_at;
  using File::write_at;

  Status write_at(uint64_t offset, std::string_view bytes) override {
    MutexLock lock(state_->mutex);
    return write_locked(offset, bytes);
  }

  Status append(std::string_view bytes) override {
    MutexLock lock(state_->mutex);
    return write_locked(inode_->cache.size(), bytes);
  }

  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(begin(IoKind::kRead, "read"));
    if (offset >= inode_->cache.size()) return size_t{0};
    return inode_->cache.copy(buffer.data(), buffer.size(), offset);
  }

  Status sync_data() override { return sync_as("sync_data"); }
  Status sync() override { return sync_as("sync"); }

  Result<uint64_t> size() override {
    MutexLock lock(state_->mutex);
    if (generation_ != state_->generation) return errno_status(EIO, "size", path_);
    return uint64_t{inode_->cache.size()};
  }

  Status truncate(uint64_t size) override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(begin(IoKind::kTruncate, "truncate"));
    if (!is_writable_) return errno_status(EINVAL, "truncate", path_);
    const uint64_t old_size = inode_->cache.size();
    if (state_->allowed_size(*inode_, size) < size) return errno_status(ENOSPC, "truncate", path_);
    inode_->cache.resize(size);
    // A file that shrinks and grows again reads as zeros there, also after a power cut.
    if (size > old_size) inode_->mark_dirty(old_size, size - old_size);
    return Status::ok_status();
  }

  const std::string& path() const override { return path_; }

 private:
  Status begin(IoKind kind, std::string_view operation) REQUIRES(state_->mutex) {
    if (generation_ != state_->generation) return errno_status(EIO, operation, path_);
    const int error_number = state_->pass(kind);
    return error_number == 0 ? Status::ok_status() : errno_status(error_number, operation, path_);
  }

  Status write_locked(uint64_t offset, std::string_view bytes) REQUIRES(state_->mutex) {
    if (!is_writable_) return errno_status(EBADF, "write", path_);
    const Status status = begin(IoKind::kWrite, "write");
    if (!status.ok()) {
      // Half of it may be there: a failed write is no promise of any kind.
      if (generation_ == state_->generation)
        inode_->write(offset, bytes.substr(0, bytes.size() / 2));
      return status;
    }
    const uint64_t allowed = state_->allowed_size(*inode_, offset + bytes.size());
    if (allowed < offset + bytes.size()) {
      if (allowed > offset) inode_->write(offset, bytes.substr(0, allowed - offset));
      return errno_status(ENOSPC, "write", path_);
    }
    inode_->write(offset, bytes);
    return Status::ok_status();
  }

  Status sync_as(std::string_view operation) {
    MutexLock lock(state_->mutex);
    const Status status = begin(IoKind::kSync, operation);
    if (!status.ok()) {
      // The cache now says "clean" about bytes that are not on the disk (invariant I1).
      if (generation_ == state_->generation) inode_->dirty.clear();
      return status;
    }
    inode_->sync();
    return status;
  }

  std::shared_ptr<FaultFileSystem::State> state_;
  std::shared_ptr<FaultFileSystem::Inode> inode_;
  std::string path_;
  uint64_t generation_;
  bool is_writable_;
};

class FaultLock final : public FileLock {
 public:
  FaultLock(std::shared_ptr<FaultFileSystem::State> state, std::string path, uint64_t generation)
      : state_(std::move(state)), path_(std::move(path)), generation_(generation) {}
  ~FaultLock() override {
    MutexLock lock(state_->mutex);
    if (generation_ == state_->generation) state_->locks.erase(path_);
  }

 private:
  std::shared_ptr<FaultFileSystem::State> state_;
  std::string path_;
  uint64_t generation_;
};

FaultFileSystem::FaultFileSystem() : state_(std::make_shared<State>()) {}
FaultFileSystem::~FaultFileSystem() = default;

Result<std::unique_ptr<File>> FaultFileSystem::open(const std::string& raw_path, OpenMode mode) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kOpen)) return errno_status(error, "open", path);
  if (state_->is_directory(path)) return errno_status(EISDIR, "open", path);
  auto inode = state_->find(path);
  const bool creates = mode == OpenMode::kCreateExclusive || mode == OpenMode::kCreateOrOpen;
  if (inode != nullptr && mode == OpenMode::kCreateExclusive) {
    return errno_status(EEXIST, "open", path);
  }
  if (inode == nullptr) {
    if (!creates || !state_->is_directory(base::parent_directory(path))) {
      return errno_status(ENOENT, "open", path);
    }
    inode = std::make_shared<Inode>();
    state_->change({{path, inode}});
  }
  return std::unique_ptr<File>(std::make_unique<FaultFile>(state_, inode, path, state_->generation,
                                                           mode != OpenMode::kRead));
}

Result<std::vector<std::string>> FaultFileSystem::list_directory(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kDirectory)) {
    return errno_status(error, "list_directory", path);
  }
  if (!state_->is_directory(path)) {
    return errno_status(state_->find(path) ? ENOTDIR : ENOENT, "list_directory", path);
  }
  std::vector<std::string> names;
  for (const auto& [name, inode] : state_->cache) {
    if (base::parent_directory(name) == path) names.push_back(name.substr(name.rfind('/') + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status FaultFileSystem::create_directories(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kDirectory)) {
    return errno_status(error, "create_directories", path);
  }
  std::vector<std::string> missing;
  for (std::string at = path; !is_root(at); at = base::parent_directory(at)) {
    const auto inode = state_->find(at);
    if (inode != nullptr && !inode->is_directory) {
      return errno_status(ENOTDIR, "create_directories", at);
    }
    if (inode == nullptr) missing.push_back(at);
  }
  for (const std::string& at : missing) {
    auto inode = std::make_shared<Inode>();
    inode->is_directory = true;
    state_->cache[at] = inode;
    state_->disk[at] = inode;
  }
  return Status::ok_status();
}

Status FaultFileSystem::rename(const std::string& raw_from, const std::string& raw_to) {
  const std::string from = normalise(raw_from);
  const std::string to = normalise(raw_to);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kRename)) return errno_status(error, "rename", from);
  const auto inode = state_->find(from);
  if (inode == nullptr || !state_->is_directory(base::parent_directory(to))) {
    return errno_status(ENOENT, "rename", from);
  }
  // Folders are never renamed by our code.
  if (inode->is_directory || state_->is_directory(to)) return errno_status(EISDIR, "rename", from);
  if (from != to) state_->change({{from, nullptr}, {to, inode}});
  return Status::ok_status();
}

Status FaultFileSystem::remove(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kRemove)) return errno_status(error, "remove", path);
  if (state_->find(path) == nullptr) return errno_status(ENOENT, "remove", path);
  for (const auto& [name, inode] : state_->cache) {
    if (base::parent_directory(name) == path) return errno_status(ENOTEMPTY, "remove", path);
  }
  state_->change({{path, nullptr}});
  return Status::ok_status();
}

bool FaultFileSystem::exists(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  return is_root(path) || state_->find(path) != nullptr;
}

Result<uint64_t> FaultFileSystem::file_size(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (state_->is_directory(path)) return errno_status(EISDIR, "file_size", path);
  const auto inode = state_->find(path);
  if (inode == nullptr) return errno_status(ENOENT, "file_size", path);
  return uint64_t{inode->cache.size()};
}

Result<int64_t> FaultFileSystem::modified_unix_ns(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  const auto inode = state_->find(path);
  if (inode == nullptr) return errno_status(ENOENT, "modified_unix_ns", path);
  return inode->modified_unix_ns;
}

Status FaultFileSystem::sync_directory(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (!state_->is_directory(path)) return errno_status(ENOENT, "sync_directory", path);
  if (const int error = state_->pass(IoKind::kSync)) {
    return errno_status(error, "sync_directory", path);
  }
  std::vector<State::Change> left;
  for (State::Change& change : state_->changes) {
    if (change.directories.contains(path)) {
      State::apply(change, state_->disk);
    } else {
      left.push_back(std::move(change));
    }
  }
  state_->changes = std::move(left);
  return Status::ok_status();
}

Result<uint64_t> FaultFileSystem::free_bytes(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (!is_root(path) && state_->find(path) == nullptr) {
    return errno_status(ENOENT, "free_bytes", path);
  }
  const uint64_t used = state_->used_bytes();
  return state_->capacity > used ? state_->capacity - used : uint64_t{0};
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::lock_file(const std::string& raw_path) {
  const std::string path = normalise(raw_path);
  MutexLock lock(state_->mutex);
  if (const int error = state_->pass(IoKind::kLock)) return errno_status(error, "lock", path);
  if (!state_->is_directory(base::parent_directory(path))) {
    return errno_status(ENOENT, "lock", path);
  }
  if (!state_->locks.insert(path).second) return errno_status(EWOULDBLOCK, "lock", path);
  if (state_->find(path) == nullptr) state_->change({{path, std::make_shared<Inode>()}});
  return std::unique_ptr<FileLock>(std::make_unique<FaultLock>(state_, path, state_->generation));
}

void FaultFileSystem::power_cut(const Chooser& keeps) {
  MutexLock lock(state_->mutex);
  for (const State::Change& change : state_->changes) {
    if (keeps()) State::apply(change, state_->disk);
  }
  state_->changes.clear();
  state_->cache = state_->disk;
  for (const auto& [path, inode] : state_->cache) inode->power_cut(keeps);
  state_->locks.clear();
  ++state_->generation;
}

void FaultFileSystem::power_cut(uint64_t seed) {
  std::mt19937_64 random(seed);
  power_cut([&random] { return (random() >> 33) % 2 == 0; });
}

void FaultFileSystem::power_cut_dropping_all() {
  power_cut([] { return false; });
}

void FaultFileSystem::power_cut_keeping_all() {
  power_cut([] { return true; });
}

size_t FaultFileSystem::unsynced_name_count() const {
  MutexLock lock(state_->mutex);
  return state_->changes.size();
}

void FaultFileSystem::kill_process() {
  MutexLock lock(state_->mutex);
  state_->locks.clear();
  ++state_->generation;
}

void FaultFileSystem::fail(Fault fault) {
  MutexLock lock(state_->mutex);
  state_->fault = std::move(fault);
  state_->fault_passages = 0;
  state_->has_failed = false;
}

void FaultFileSystem::clear_faults() {
  MutexLock lock(state_->mutex);
  state_->fault.reset();
}

bool FaultFileSystem::has_failed() const {
  MutexLock lock(state_->mutex);
  return state_->has_failed;
}

uint64_t FaultFileSystem::operation_count() const {
  MutexLock lock(state_->mutex);
  return state_->operation_count;
}

uint64_t FaultFileSystem::sync_count() const {
  MutexLock lock(state_->mutex);
  return state_->sync_count;
}

void FaultFileSystem::set_capacity(uint64_t bytes) {
  MutexLock lock(state_->mutex);
  state_->capacity = bytes;
}

void FaultFileSystem::flip_byte(const std::string& path, uint64_t offset, uint8_t mask) {
  MutexLock lock(state_->mutex);
  const auto inode = state_->find(normalise(path));
  CHECK(inode != nullptr && offset < inode->cache.size(), "no such byte to flip");
  for (std::string* bytes : {&inode->cache, &inode->disk}) {
    if (offset < bytes->size()) (*bytes)[offset] = static_cast<char>((*bytes)[offset] ^ mask);
  }
}

void FaultFileSystem::truncate_file(const std::string& path, uint64_t size) {
  MutexLock lock(state_->mutex);
  const auto inode = state_->find(normalise(path));
  CHECK(inode != nullptr && size <= inode->cache.size(), "no such file to truncate");
  inode->cache.resize(size);
  inode->disk.resize(std::min<uint64_t>(size, inode->disk.size()));
}

std::string FaultFileSystem::contents(const std::string& path) const {
  MutexLock lock(state_->mutex);
  const auto inode = state_->find(normalise(path));
  CHECK(inode != nullptr, "no such file");
  return inode->cache;
}

}  // namespace verbatim::testing
