#include "collector/sources/xcp/sequence_tracker.h"

#include <utility>

namespace verbatim::collector {

// What is still missing of the boot before will not come any more.
void SequenceTracker::begin_boot(uint64_t boot) {
  for (const auto& [first, range] : missing_) {
    ready_.push_back({range.last - first + 1, range.start_unix_ns, range.end_unix_ns});
  }
  missing_.clear();
  boot_ = boot;
  next_ = 1;
}

void SequenceTracker::take(uint64_t boot, uint64_t sequence, int64_t event_time_unix_ns,
                           std::chrono::nanoseconds now) {
  if (boot == 0 || sequence == 0 || boot < boot_) return;
  if (boot_ == 0) {
    boot_ = boot;
    next_ = sequence;
  } else if (boot > boot_) {
    begin_boot(boot);
  }
  if (sequence < next_) return fill(sequence);
  if (sequence > next_) {
    missing_[next_] = {sequence - 1, last_time_unix_ns_, event_time_unix_ns, now};
    if (missing_.size() > kRangesMaxCount) {
      const auto oldest = missing_.begin();
      ready_.push_back({oldest->second.last - oldest->first + 1, oldest->second.start_unix_ns,
                        oldest->second.end_unix_ns});
      missing_.erase(oldest);
    }
  }
  next_ = sequence + 1;
  last_time_unix_ns_ = event_time_unix_ns;
}

void SequenceTracker::fill(uint64_t sequence) {
  auto found = missing_.upper_bound(sequence);
  if (found == missing_.begin()) return;
  --found;
  const auto [first, range] = *found;
  if (sequence > range.last) return;
  missing_.erase(found);
  if (first < sequence) {
    Range before = range;
    before.last = sequence - 1;
    missing_[first] = before;
  }
  if (sequence < range.last) missing_[sequence + 1] = range;
}

std::vector<SequenceGap> SequenceTracker::collect(std::chrono::nanoseconds now, bool all) {
  for (auto range = missing_.begin(); range != missing_.end();) {
    if (!all && range->second.since + grace_ > now) {
      ++range;
      continue;
    }
    ready_.push_back({range->second.last - range->first + 1, range->second.start_unix_ns,
                      range->second.end_unix_ns});
    range = missing_.erase(range);
  }
  return std::exchange(ready_, {});
}

}  // namespace verbatim::collector
