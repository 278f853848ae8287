// Probe: now and then one message goes the way of all others, through the service's own socket into
// the system queue "verbatim.probe" and out again. What it measures is what a client would see.
//
// Life cycle: start() → stop(). Threads: one of its own; the rest from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/alarms.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

inline constexpr const char* kProbeQueue = "verbatim.probe";

struct ProbeOptions {
  // 0: no probe at all.
  std::chrono::milliseconds interval{60'000};
  // One round trip takes at most so long, and at most the interval.
  std::chrono::milliseconds time_max{10'000};
  // A client of kProbeQueue, with whatever key the socket wants.
  std::function<Result<std::unique_ptr<QueueClient>>()> connect;
};

class Probe {
 public:
  static std::unique_ptr<Probe> start(base::Clock& clock, ProbeOptions options);
  // Stops.
  ~Probe();
  // Ends a round trip that is under way. Safe twice.
  void stop();

  struct State {
    bool is_on = false;
    // Since the last success, or since the start; of the last success.
    std::chrono::nanoseconds age{};
    std::chrono::nanoseconds latency{};
    int64_t success_count = 0;
    int64_t failure_count = 0;
    std::string last_error;  // empty after a success
  };
  State state() const;
  // "probe-late": no success for three intervals.
  std::vector<base::AlarmCondition> alarm_conditions() const;

 private:
  Probe(base::Clock& clock, ProbeOptions options);
  void run();
  bool wait_for_next();
  Status make_round_trip();
  Result<uint64_t> put(QueueClient& client, std::chrono::nanoseconds until);
  Status take(QueueClient& client, uint64_t lookup_id, std::chrono::nanoseconds until);

  base::Clock& clock_;
  const ProbeOptions options_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  State state_ GUARDED_BY(mutex_);
  std::chrono::nanoseconds last_success_ GUARDED_BY(mutex_);
  std::shared_ptr<QueueClient> client_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::queue
