// OutageTracker: from the first event of a source that could not be made durable to the first that
// could, there is one capture gap, with the count of what was refused.
//
// Also keeps gaps that found no room in the outbox ("owed") until they do.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "collector/broker/broker.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

class OutageTracker {
 public:
  // An event of the source was answered with an error, or dropped, at this time.
  void note_failure(const std::string& source, const std::string& protocol, int64_t unix_ns);
  // The queue has confirmed something: ends all open gaps and gives them.
  std::vector<GapReport> note_success(int64_t unix_ns);

  // A gap to try again later. At most 1,024 are kept: beyond that, all of one source become one
  // wider gap; with more sources than that the oldest is dropped and logged.
  void owe(GapReport report);
  std::vector<GapReport> take_owed();

  // Everything open or owed, for the alive mark. Open ones have an end of 0.
  std::vector<v1::OwedGap> snapshot() const;

 private:
  void join_owed() REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::map<std::pair<std::string, std::string>, v1::CaptureGap> open_ GUARDED_BY(mutex_);
  std::deque<GapReport> owed_ GUARDED_BY(mutex_);
  std::atomic<bool> has_open_{false};
};

}  // namespace verbatim::collector
