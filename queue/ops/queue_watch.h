// QueueWatch: looks at the service once a second: takes its counters for whoever asks for metrics,
// and gives all conditions to the alarms, whose changes go to the operator's program.
//
// Life cycle: start() → stop(). Threads: one of its own; snapshot() from any, without waiting for
// the core.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/audit_log.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "queue/ops/probe.h"
#include "queue/queue_service.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::queue {

// What the core said last.
struct QueueSnapshot {
  // When, on the monotonic clock.
  std::chrono::nanoseconds taken{};
  v1::ListQueuesResponse queues;
  uint64_t garbage_count = 0;
};

class QueueWatch {
 public:
  // What is watched; all outlive this.
  struct Parts {
    QueueService& service;
    base::AuditLog& audit;
    base::AlarmRegistry& alarms;
    base::AlarmCommand& command;
    Probe& probe;
  };

  static std::unique_ptr<QueueWatch> start(base::Clock& clock, const Parts& parts);
  // Stops.
  ~QueueWatch();
  void stop();

  // Null before the first one.
  std::shared_ptr<const QueueSnapshot> snapshot() const;

 private:
  QueueWatch(base::Clock& clock, const Parts& parts);
  void run();
  void look();
  std::vector<base::AlarmCondition> stranger_conditions();

  base::Clock& clock_;
  const Parts parts_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::shared_ptr<const QueueSnapshot> snapshot_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  // Of the thread.
  uint64_t stranger_count_ = 0;
  std::optional<std::chrono::nanoseconds> stranger_seen_;
  std::thread thread_;
};

}  // namespace verbatim::queue
