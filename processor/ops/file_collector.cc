#include "processor/ops/file_collector.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"

namespace verbatim::processor {
namespace {

// Looked up in the store at once, which holds its mutex meanwhile.
constexpr size_t kLookUpMaxCount = 256;

bool is_passed(const QueueFacts& cut, const QueueFacts& now) {
  return now.first_lookup_id == 0 || now.first_lookup_id > cut.last_lookup_id;
}

// Nothing can be said with a cut from before a message went another way than out to us, or from
// before the queue's numbering began anew.
bool is_void(const QueueFacts& cut, const QueueFacts& now) {
  return now.left_otherwise_count != cut.left_otherwise_count ||
         now.moved_in_count != cut.moved_in_count || now.last_lookup_id < cut.last_lookup_id;
}

template <class Judge>
bool any_queue(const std::vector<QueueFacts>& cut, const std::vector<QueueFacts>& now,
               Judge judge) {
  for (size_t i = 0; i < cut.size(); ++i) {
    if (judge(cut[i], now[i])) return true;
  }
  return false;
}

}  // namespace

FileCollector::FileCollector(base::ContentRemoval removal, FileCollectorOptions options)
    : removal_(std::move(removal)), options_(std::move(options)) {}

FileCollector::~FileCollector() { stop(); }

void FileCollector::start() {
  thread_ = std::thread([this] { run(); });
}

void FileCollector::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void FileCollector::run() {
  Status last;
  while (true) {
    const Status status = look();
    if (!status.ok() && status != last) {
      LOG_WARN("stored files stay for now: {}", status.to_string());
    }
    last = status;
    base::MutexLock lock(mutex_);
    if (changed_.wait_for(mutex_, options_.interval,
                          [this]() REQUIRES(mutex_) { return is_stopping_; })) {
      return;
    }
  }
}

Status FileCollector::look() {
  base::MutexLock round(round_mutex_);
  const Status status = look_at_all();
  base::MutexLock lock(mutex_);
  state_.set_obstacle(status.ok() ? "" : status.message());
  if (!status.ok()) return status;
  state_.set_round_count(state_.round_count() + 1);
  state_.set_last_round_unix_ns(base::system_clock().unix_now_ns());
  return status;
}

Status FileCollector::look_at_all() {
  RETURN_IF_ERROR(removal_.restore());
  RETURN_IF_ERROR(note_candidates());
  {
    base::MutexLock lock(mutex_);
    if (candidates_.empty()) return {};
  }
  // After the claims were looked at: what named a file while it was claimed is below this cut.
  ASSIGN_OR_RETURN(const CutPointer now, take_cut());
  const std::vector<std::string> chosen = choose(now);
  for (size_t i = 0; i < chosen.size(); i += kLookUpMaxCount) {
    const auto begin = chosen.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end =
        begin + static_cast<std::ptrdiff_t>(std::min(kLookUpMaxCount, chosen.size() - i));
    ASSIGN_OR_RETURN(const auto unnamed, options_.unnamed({begin, end}));
    RETURN_IF_ERROR(remove({unnamed.begin(), unnamed.end()}));
  }
  return {};
}

Status FileCollector::note_candidates() {
  ASSIGN_OR_RETURN(base::ContentRemoval::Listing listing, removal_.list());
  for (const std::string& digest : listing.released) {
    // A claim was made and released since the last round: what the file's cut said is void.
    RETURN_IF_ERROR(removal_.take_release(digest));
    base::MutexLock lock(mutex_);
    candidates_.erase(digest);
  }
  base::MutexLock lock(mutex_);
  for (const std::string& digest : listing.claimed) listing.stored.erase(digest);
  std::erase_if(candidates_, [&](const auto& one) { return !listing.stored.contains(one.first); });
  for (const std::string& digest : listing.stored) candidates_.try_emplace(digest);
  claimed_ = std::move(listing.claimed);
  return {};
}

Result<FileCollector::CutPointer> FileCollector::take_cut() const {
  Cut cut;
  for (const QueueLook& queue : options_.queues) {
    const auto facts = queue.look();
    const std::string name = "queue '" + queue.queue + "'";
    if (!facts) {
      return Status(facts.error().code(),
                    name + " does not say what it holds: " + facts.error().message());
    }
    if (facts->beside_count > 0) {
      return failed_precondition(
          fmt::format("{} has {} messages in its sub-queues (poison, dead letters), which may name "
                      "files: redrive or destroy them",
                      name, facts->beside_count));
    }
    cut.push_back(*facts);
  }
  return std::make_shared<const Cut>(std::move(cut));
}

// Those whose cut is passed; the others wait with a cut that holds.
std::vector<std::string> FileCollector::choose(const CutPointer& now) {
  std::vector<std::string> chosen;
  base::MutexLock lock(mutex_);
  for (auto& [digest, cut] : candidates_) {
    if (cut == nullptr || any_queue(*cut, *now, is_void)) cut = now;
    if (!any_queue(*cut, *now, [](auto& a, auto& b) { return !is_passed(a, b); })) {
      chosen.push_back(digest);
    }
  }
  state_.set_waiting_count(static_cast<int64_t>(candidates_.size() - chosen.size()));
  return chosen;
}

Status FileCollector::remove(const std::vector<std::string>& digests) {
  for (const std::string& digest : digests) {
    const auto removed = removal_.remove(digest);
    // Another hand than ours has removed it.
    if (!removed && removed.error().code() == StatusCode::kNotFound) continue;
    if (!removed) return removed.error();
    note_removed(digest, *removed);
  }
  return {};
}

void FileCollector::note_removed(const std::string& digest,
                                 const base::ContentRemoval::Removed& removed) {
  base::MutexLock lock(mutex_);
  candidates_.erase(digest);
  if (removed.outcome != base::ContentRemoval::Outcome::kRemoved) return;
  state_.set_collected_count(state_.collected_count() + 1);
  state_.set_collected_bytes(state_.collected_bytes() + static_cast<int64_t>(removed.bytes));
  LOG_INFO("a stored file that nothing names is removed sha256={} bytes={} total={}",
           base::to_hex(digest), removed.bytes, state_.collected_count());
}

v1::FileCollection FileCollector::state() const {
  base::MutexLock lock(mutex_);
  return state_;
}

Result<std::vector<v1::NamedFile>> FileCollector::unnamed(size_t max_count) const {
  std::vector<std::string> all;
  std::set<std::string> claimed;
  std::string obstacle;
  {
    base::MutexLock lock(mutex_);
    claimed = claimed_;
    obstacle = state_.obstacle();
    for (const auto& [digest, cut] : candidates_) all.push_back(digest);
    all.insert(all.end(), claimed.begin(), claimed.end());
  }
  std::vector<v1::NamedFile> files;
  for (size_t i = 0; i < all.size() && files.size() < max_count; i += kLookUpMaxCount) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(kLookUpMaxCount, all.size() - i));
    ASSIGN_OR_RETURN(const auto unnamed, options_.unnamed({begin, end}));
    for (const std::string& digest : unnamed) {
      if (files.size() == max_count) break;
      v1::NamedFile& file = files.emplace_back();
      file.set_sha256(base::to_hex(digest));
      file.set_stays_because(
          claimed.contains(digest)
              ? "an event may name it still (files.named_within_ms), or the collector is away"
              : "the queues have to give out what was in them" +
                    (obstacle.empty() ? "" : "; " + obstacle));
    }
  }
  return files;
}

}  // namespace verbatim::processor
