#include "queue/log/spare_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "queue/log/log_format.h"
#include "queue/log/segment_files.h"

namespace verbatim::queue {
namespace {

constexpr std::chrono::seconds kRetryAfter{1};
// The reserve, and the next one.
constexpr size_t kAheadCount = 2;
// Zeros reach the disk in pieces, so that groups do not wait behind a whole segment of them.
constexpr uint64_t kPieceBytes = 4 * 1024 * 1024;

}  // namespace

SparePool::SparePool(base::FileSystem& file_system, std::string directory,
                     const SpareOptions& options)
    : file_system_(file_system),
      directory_(std::move(directory)),
      options_(options),
      count_(std::max(options.count, kAheadCount)),
      wanted_count_(count_ - 1) {}

SparePool::~SparePool() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void SparePool::start() {
  if (options_.in_background) {
    thread_ = std::thread([this] { run(); });
  } else {
    refill();
  }
}

void SparePool::prepare_next() {
  {
    base::MutexLock lock(mutex_);
    wanted_count_ = usual_count() + 1;
    changed_.notify_all();
  }
  if (!options_.in_background) refill();
}

void SparePool::keep_second_reserve(bool is_wanted) {
  {
    base::MutexLock lock(mutex_);
    const bool is_new = std::exchange(has_second_reserve_, is_wanted) != is_wanted;
    if (!is_new && !has_failed_) return;
    changed_.notify_all();
  }
  if (!options_.in_background) refill();
}

Status SparePool::drop_surplus() {
  std::string name;
  {
    base::MutexLock lock(mutex_);
    if (names_.size() <= count_) return {};
    name = std::move(names_.back());
    names_.pop_back();
  }
  return file_system_.remove(base::join_path(directory_, name));
}

bool SparePool::wants_more() const { return count() < count_ + (keeps_one_more_ ? 1 : 0); }

void SparePool::add(std::string name) {
  base::MutexLock lock(mutex_);
  names_.push_back(std::move(name));
  has_failed_ = false;
  changed_.notify_all();
}

size_t SparePool::count() const {
  base::MutexLock lock(mutex_);
  return names_.size();
}

bool SparePool::can_grow() const {
  base::MutexLock lock(mutex_);
  return !is_only_reserve() || !has_failed_;
}

Result<std::string> SparePool::take(bool takes_last) {
  base::MutexLock lock(mutex_);
  if (thread_.joinable()) {
    wanted_count_ = usual_count() + 1;
    changed_.notify_all();
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !is_only_reserve() || has_failed_; });
  }
  wanted_count_ = usual_count();
  const size_t kept_count = takes_last ? 0 : 1;
  if (names_.size() <= kept_count || (is_only_reserve() && !has_failed_)) {
    lock.unlock();
    auto made = write_spare();
    lock.lock();
    if (made) return made;
    note_failure(made.error());
    if (names_.size() <= kept_count) return made;
  }
  std::string name = std::move(names_.back());
  names_.pop_back();
  changed_.notify_all();
  return name;
}

void SparePool::refill() {
  base::MutexLock lock(mutex_);
  while (is_short()) {
    lock.unlock();
    auto name = write_spare();
    lock.lock();
    if (!name) return note_failure(name.error());
    names_.push_back(*std::move(name));
    has_failed_ = false;
  }
  has_filled_ = true;
  has_failed_ = false;  // nothing is missing
}

size_t SparePool::usual_count() const { return (has_filled_ ? kAheadCount : count_) - 1; }

void SparePool::run() {
  base::MutexLock lock(mutex_);
  while (!is_stopping_) {
    if (!is_short()) {
      has_filled_ = true;
      has_failed_ = false;  // nothing is missing
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return is_stopping_ || is_short(); });
      continue;
    }
    lock.unlock();
    auto name = write_spare();
    lock.lock();
    if (name) {
      names_.push_back(*std::move(name));
      has_failed_ = false;
      changed_.notify_all();
      continue;
    }
    if (is_stopping_) return;
    note_failure(name.error());
    changed_.notify_all();
    changed_.wait_for(mutex_, kRetryAfter,
                      [this]() REQUIRES(mutex_) { return is_stopping_.load(); });
  }
}

void SparePool::note_failure(const Status& status) {
  if (!std::exchange(has_failed_, true)) {
    LOG_WARN("log: no segment can be made ahead, puts will be refused: {}", status.to_string());
  }
}

Result<std::string> SparePool::write_spare() {
  std::string name;
  do {
    name = fmt::format("{}{:08x}.tmp", kSparePrefix, next_number_++);
  } while (file_system_.exists(base::join_path(directory_, name)));
  const Status status = fill(name);
  if (status.ok()) return name;
  ignore_error(file_system_.remove(base::join_path(directory_, name)),
               "the next start removes what is unfinished");
  return status;
}

Status SparePool::fill(const std::string& name) {
  ASSIGN_OR_RETURN(auto file, file_system_.open(base::join_path(directory_, name),
                                                base::OpenMode::kCreateExclusive));
  for (uint64_t size = 0; size < options_.segment_bytes;) {
    if (is_stopping_) return cancelled("the log is closed");
    size = std::min(size + kPieceBytes, options_.segment_bytes);
    RETURN_IF_ERROR(file->preallocate(size));
    if (size < options_.segment_bytes) RETURN_IF_ERROR(file->sync_data());
  }
  RETURN_IF_ERROR(file->write_at(
      0, encode_segment_header({.log_id = log_id_, .segment_size = options_.segment_bytes})));
  RETURN_IF_ERROR(file->sync());
  // Zeros are never read; groups are written past the page cache.
  file->advise(0, options_.segment_bytes, base::File::Use::kNoMore);
  return {};
}

}  // namespace verbatim::queue
