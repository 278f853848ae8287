// AttemptTracker: what was attempted and permitted, and whether its confirmation came.
//
// I1 An attempt is tracked when it is durable, its decision was PASS (changed or not), and the
//    profile in force has the event that confirms it (confirmation.h).
// I2 It ends in one of two ways: the confirming event is durable, whatever was decided about that;
//    or an outcome names the attempt, once (its source key is fixed when the attempt begins).
// I3 At most `open_max_count` are open. Beyond it the oldest ends at once, as "unknown". As many
//    again may wait for the outbox to take their outcome; further attempts are then not tracked,
//    and counted.
//
// Durable: the file is as of the last save(), which the broker calls each second and at its end. A
// start begins the whole time anew for what stands there, because the node sends again what a
// collector that died has not answered. What was attempted after the last save lies within the
// capture gap "collector down", which begins at the same second; what was confirmed after it may be
// called unconfirmed, and the outcome says that a restart lay between.
//
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/log_limit.h"
#include "base/mutex.h"
#include "base/status.h"
#include "collector/broker/profile.h"
#include "verbatim/v1/collector_state.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

struct AttemptTrackerOptions {
  std::string path;
  Profile profile;
  std::chrono::milliseconds wait{60'000};
  size_t open_max_count = 10'000;
  const base::Clock* clock = &base::system_clock();
  std::string collector_name = "collector";
};

class AttemptTracker {
 public:
  // An attempt that ended without a confirmation, and what is to be recorded of it.
  struct Outcome {
    uint64_t number = 0;  // for finish()
    v1::OpenAttempt attempt;
    v1::VerdictOutcome::Outcome outcome = v1::VerdictOutcome::OUTCOME_UNCONFIRMED;
    std::string detail;
  };

  // Reads the file; none means that nothing was open. Errors: kDataLoss (damaged),
  // kFailedPrecondition (of a newer version), and those of the file system.
  static Result<std::unique_ptr<AttemptTracker>> open(base::FileSystem& file_system,
                                                      AttemptTrackerOptions options);

  // True for an event that note() would look at.
  bool concerns(const v1::Event& event) const;
  // Takes a durable event, or its outline, and the decision that its sender is told.
  void note(const v1::Event& event, v1::Decision decision);

  // Attempts whose time has passed. Each is to be recorded, and then finished: true: recorded;
  // false: the outbox has no room, and it comes again in a second.
  std::vector<Outcome> take_due();
  void finish(uint64_t number, bool is_recorded);

  // Writes what is open, if it has changed. Durable at return.
  Status save();

  int64_t open_count() const;
  // Outcomes recorded since the start.
  int64_t unconfirmed_count() const;

 private:
  struct Open {
    v1::OpenAttempt attempt;
    bool is_from_before = false;  // of a collector that ran before
    bool is_over_bound = false;
  };
  using ByDue = std::multimap<std::chrono::nanoseconds, Open>;

  AttemptTracker(base::FileSystem& file_system, AttemptTrackerOptions options);
  Status read();
  void begin(const v1::Event& event, std::string_view confirmation) REQUIRES(mutex_);
  void add(std::chrono::nanoseconds due, Open open) REQUIRES(mutex_);
  void end(const std::string& key) REQUIRES(mutex_);
  void forget_key(ByDue::iterator place) REQUIRES(mutex_);
  Outcome make_outcome(const Open& open) const;
  v1::AttemptState to_proto() const REQUIRES(mutex_);

  base::FileSystem& file_system_;
  const AttemptTrackerOptions options_;
  mutable base::Mutex mutex_;
  ByDue open_ GUARDED_BY(mutex_);
  // Of one key the oldest ends first: without a message id several acts look alike.
  std::unordered_map<std::string, std::vector<ByDue::iterator>> by_key_ GUARDED_BY(mutex_);
  std::map<uint64_t, Open> taken_ GUARDED_BY(mutex_);
  uint64_t next_number_ GUARDED_BY(mutex_) = 1;
  int64_t unconfirmed_count_ GUARDED_BY(mutex_) = 0;
  int64_t untracked_count_ GUARDED_BY(mutex_) = 0;
  base::LogLimit untracked_log_ GUARDED_BY(mutex_);
  bool is_changed_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::collector
