#include "processor/ops/metrics.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

namespace verbatim::processor {
namespace {

using prometheus::MetricType;

MetricsInput input_of_now() {
  MetricsInput input;
  input.counts.staged_count = 7;
  v1::AdapterInfo& adapter = input.adapters.emplace_back();
  adapter.set_name("xml");
  adapter.set_state("active");
  adapter.set_pending_count(5);
  adapter.set_pending_bytes(5'000);
  adapter.set_oldest_pending_age_ms(1'500);
  v1::QueueHold& hold = input.queue_holds.emplace_back();
  hold.set_queue("events");
  hold.set_is_wanted(true);
  hold.set_pending_reason("away");
  v1::Alarm& alarm = input.alarms.emplace_back();
  alarm.set_name("staging-full");
  alarm.set_is_raised(true);
  return input;
}

std::optional<double> value_of(const MetricsInput& input, const std::string& name) {
  for (const auto& family : metric_families(input)) {
    if (family.name != "verbatim_processor_" + name || family.metric.empty()) continue;
    const auto& metric = family.metric.front();
    return family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
  }
  return std::nullopt;
}

TEST(ProcessorMetrics, LagIsToldInEventsBytesAndSeconds) {
  const MetricsInput input = input_of_now();
  EXPECT_EQ(value_of(input, "adapter_lag_events"), 5.0);
  EXPECT_EQ(value_of(input, "adapter_lag_bytes"), 5'000.0);
  EXPECT_EQ(value_of(input, "adapter_lag_seconds"), 1.5);
  EXPECT_EQ(value_of(input, "adapter_active"), 1.0);
  EXPECT_EQ(value_of(input, "staged_events"), 7.0);
  EXPECT_EQ(value_of(input, "queue_hold_pending"), 1.0);
  EXPECT_EQ(value_of(input, "alarm_raised"), 1.0);
}

TEST(ProcessorMetrics, NamesAreGivenOnceCountersAreTotalsAndEachIsDocumented) {
  const char* source_dir = std::getenv("VERBATIM_SOURCE_DIR");
  std::ifstream file(std::string(source_dir == nullptr ? "." : source_dir) + "/docs/operations.md");
  std::stringstream document;
  document << file.rdbuf();
  std::set<std::string> names;
  for (const auto& family : metric_families(input_of_now())) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(family.type == MetricType::Counter, family.name.ends_with("_total")) << family.name;
    EXPECT_NE(document.str().find("| `" + family.name + "` |"), std::string::npos) << family.name;
  }
}

}  // namespace
}  // namespace verbatim::processor
