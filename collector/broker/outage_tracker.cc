#include "collector/broker/outage_tracker.h"

#include <algorithm>

#include "base/log.h"
#include "collector/outbox/capture_gaps.h"

namespace verbatim::collector {
namespace {

constexpr size_t kOwedMaxCount = 1'024;

v1::OwedGap to_owed(const std::string& source, const std::string& protocol,
                    const v1::CaptureGap& gap) {
  v1::OwedGap owed;
  owed.set_source(source);
  owed.set_protocol(protocol);
  *owed.mutable_gap() = gap;
  return owed;
}

}  // namespace

void OutageTracker::note_failure(const std::string& source, const std::string& protocol,
                                 int64_t unix_ns) {
  base::MutexLock lock(mutex_);
  const auto [place, is_new] = open_.try_emplace({source, protocol});
  v1::CaptureGap& gap = place->second;
  if (is_new) {
    gap.set_start_unix_ns(unix_ns);
    gap.set_reason(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE);
    gap.set_detail("the queue did not take events; who waited was answered with an error");
  }
  gap.set_start_unix_ns(std::min(gap.start_unix_ns(), unix_ns));
  gap.set_missing_count(gap.missing_count() + 1);
  has_open_ = true;
}

std::vector<GapReport> OutageTracker::note_success(int64_t unix_ns) {
  if (!has_open_) return {};
  base::MutexLock lock(mutex_);
  std::vector<GapReport> ended;
  for (auto& [key, gap] : open_) {
    gap.set_end_unix_ns(std::max(unix_ns, gap.start_unix_ns()));
    ended.push_back({key.first, key.second, gap});
  }
  open_.clear();
  has_open_ = false;
  return ended;
}

void OutageTracker::owe(GapReport report) {
  base::MutexLock lock(mutex_);
  if (owed_.size() >= kOwedMaxCount) join_owed();
  if (owed_.size() < kOwedMaxCount) {
    owed_.push_back(std::move(report));
    return;
  }
  for (GapReport& older : owed_) {
    if (older.source_name != report.source_name) continue;
    join_gap(older.gap, report.gap);
    return;
  }
  const GapReport& dropped = owed_.front();
  LOG_ERROR(
      "capture gap dropped for lack of room source={} start_unix_ns={} end_unix_ns={} "
      "missing_count={}",
      dropped.source_name, dropped.gap.start_unix_ns(), dropped.gap.end_unix_ns(),
      dropped.gap.missing_count());
  owed_.pop_front();
  owed_.push_back(std::move(report));
}

// One gap for each source, in the order of their first ones.
void OutageTracker::join_owed() {
  std::map<std::string, size_t> place_of;
  std::deque<GapReport> joined;
  for (GapReport& report : owed_) {
    const auto [found, is_new] = place_of.try_emplace(report.source_name, joined.size());
    if (is_new) {
      joined.push_back(std::move(report));
    } else {
      join_gap(joined[found->second].gap, report.gap);
    }
  }
  owed_ = std::move(joined);
}

std::vector<GapReport> OutageTracker::take_owed() {
  base::MutexLock lock(mutex_);
  std::vector<GapReport> taken(owed_.begin(), owed_.end());
  owed_.clear();
  return taken;
}

std::vector<v1::OwedGap> OutageTracker::snapshot() const {
  base::MutexLock lock(mutex_);
  std::vector<v1::OwedGap> gaps;
  for (const auto& [key, gap] : open_) gaps.push_back(to_owed(key.first, key.second, gap));
  for (const auto& report : owed_) {
    gaps.push_back(to_owed(report.source_name, report.source_protocol, report.gap));
  }
  return gaps;
}

}  // namespace verbatim::collector
