// HoldKeeper: sets the hold flag of each queue that feeds the store while there are holds, and
// takes back what it has set when there are none.
//
// I1 A flag that somebody else has set is left alone: the store notes durably that the flag is its
//    own before it sets it, and takes back its own only.
// I2 It never gives up: a queue that is away is asked again with a growing delay; what is pending
//    is told in queues(). A flag is looked at again and again, so that one that is lost (an emptied
//    queue, another's release) is set anew.
// I3 A queue is not spoken to while there is nothing to set and nothing to take back.
//
// Life cycle: create → start → stop. Threads: one of its own; queues(), look_now() from any.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {

// The flag of one queue. Both calls are bounded in time.
struct QueueFlag {
  std::string queue;
  std::function<Result<bool>()> is_held;
  std::function<Status(bool is_wanted)> set;
};

struct HoldKeeperOptions {
  // How often a flag that is as it should be is looked at.
  std::chrono::milliseconds look_interval{10'000};
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{10'000};
  // False while the store's disk takes no write: then no flag is changed, for that is noted first.
  // Empty: it always does.
  std::function<bool()> has_room = {};
};

class HoldKeeper {
 public:
  // `staging` outlives it.
  HoldKeeper(Staging& staging, std::vector<QueueFlag> flags, const HoldKeeperOptions& options = {});
  ~HoldKeeper();

  void start();
  // Safe twice and before start.
  void stop();

  // Holds have changed: looks at once, and waits until it has, at most so long.
  void look_now(std::chrono::milliseconds time_max);
  std::vector<v1::QueueHold> queues() const;

 private:
  void run();
  // True when all is as it should be.
  bool look();
  v1::QueueHold look_at(const QueueFlag& flag, bool is_wanted);
  Status bring_about(const QueueFlag& flag, bool is_wanted, v1::QueueHold& state);

  Staging& staging_;
  const std::vector<QueueFlag> flags_;
  const HoldKeeperOptions options_;
  std::thread thread_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  uint64_t asked_count_ GUARDED_BY(mutex_) = 0;
  uint64_t answered_count_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, v1::QueueHold> states_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::processor
