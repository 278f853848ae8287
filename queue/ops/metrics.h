// The service's counters as Prometheus metrics. docs/operations.md lists every name; a test holds
// the two together. Pure function.
#pragma once

#include <prometheus/metric_family.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/zmq_socket.h"
#include "queue/ops/probe.h"
#include "queue/ops/queue_watch.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::queue {

struct MetricsInput {
  std::string version;
  int64_t started_unix_ns = 0;
  // Null before the first one; its age says whether the core still answers.
  std::shared_ptr<const QueueSnapshot> snapshot;
  std::chrono::nanoseconds snapshot_age{};
  uint64_t dropped_answer_count = 0;
  base::ZmqRefusals refused_connections{};
  std::vector<v1::Alarm> alarms;
  int64_t alarm_command_run_count = 0;
  int64_t alarm_command_failure_count = 0;
  uint64_t audit_last_number = 0;
  Probe::State probe;
};

// A core that has not answered for 5 s gives `verbatim_queue_up 0`, and what it said last.
std::vector<prometheus::MetricFamily> metric_families(const MetricsInput& input);

}  // namespace verbatim::queue
