// The collector's counters as Prometheus metrics. docs/operations.md lists every name; a test holds
// the two together. Pure function.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <vector>

#include "collector/ops/picture.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct MetricsInput {
  std::string version;
  int64_t started_unix_ns = 0;
  CollectorPicture picture;
  std::vector<v1::Alarm> alarms;
  int64_t alarm_command_run_count = 0;
  int64_t alarm_command_failure_count = 0;
  uint64_t audit_last_number = 0;
};

std::vector<prometheus::MetricFamily> metric_families(const MetricsInput& input);

}  // namespace verbatim::collector
