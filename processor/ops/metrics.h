// The processor's counters as Prometheus metrics. docs/operations.md lists every name; a test holds
// the two together. Pure function.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <vector>

#include "processor/staging/staging.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::processor {

struct MetricsInput {
  std::string version;
  int64_t started_unix_ns = 0;
  StagingCounts counts;
  uint64_t store_epoch = 0;
  uint64_t high_bytes = 0;
  uint64_t free_disk_bytes = 0;
  uint64_t free_disk_min_bytes = 0;
  bool takes = true;
  bool is_draining = false;
  std::vector<v1::AdapterInfo> adapters;
  std::vector<v1::QueueHold> queue_holds;
  v1::FileCollection files;
  std::vector<v1::Alarm> alarms;
  int64_t alarm_command_run_count = 0;
  int64_t alarm_command_failure_count = 0;
};

std::vector<prometheus::MetricFamily> metric_families(const MetricsInput& input);

}  // namespace verbatim::processor
