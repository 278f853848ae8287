#include "queue/ops/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

namespace verbatim::queue {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricsInput input_of(std::chrono::nanoseconds age) {
  auto snapshot = std::make_shared<QueueSnapshot>();
  v1::QueueInfo& queue = *snapshot->queues.add_queues();
  queue.set_name("events");
  queue.set_depth(7);
  queue.set_oldest_age_ms(1'500);
  (*queue.mutable_depth_by_reason())["END_REASON_PURGED"] = 3;
  snapshot->queues.mutable_log()->set_sync_p99_us(2'500);
  snapshot->queues.mutable_log()->set_group_max_bytes(65'536);
  snapshot->queues.mutable_log()->set_segment_bytes(1'000);
  snapshot->queues.mutable_log()->set_segment_count(4);
  snapshot->queues.mutable_log()->set_free_segment_count(3);
  snapshot->queues.mutable_log()->set_live_bytes(1'000);
  snapshot->queues.mutable_service()->set_index_bytes(4'000);
  MetricsInput input;
  input.snapshot = std::move(snapshot);
  input.snapshot_age = age;
  v1::Alarm alarm;
  alarm.set_name("queue-full");
  alarm.set_subject("events");
  alarm.set_is_raised(true);
  alarm.set_raised_count(2);
  input.alarms.push_back(alarm);
  input.refused_connections = {.unknown_key = 3, .bad_handshake = 4};
  return input;
}

// The value of the first sample that bears all these labels.
std::optional<double> value_of(const std::vector<MetricFamily>& all, const std::string& name,
                               const std::string& label_value = "") {
  for (const MetricFamily& family : all) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      bool is_wanted = label_value.empty();
      for (const auto& label : metric.label) is_wanted = is_wanted || label.value == label_value;
      if (!is_wanted) continue;
      return family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
  }
  return std::nullopt;
}

TEST(Metrics, CountersOfQueuesLogAndAlarmsAreThereInBaseUnits) {
  const auto all = metric_families(input_of(std::chrono::seconds(1)));
  EXPECT_EQ(value_of(all, "verbatim_queue_up"), 1.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_messages", "events"), 7.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_oldest_message_age_seconds", "events"), 1.5);
  EXPECT_EQ(value_of(all, "verbatim_queue_messages_by_reason", "END_REASON_PURGED"), 3.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_log_sync_seconds", "0.99"), 0.0025);
  EXPECT_EQ(value_of(all, "verbatim_queue_log_group_bytes", "1"), 65'536.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_log_live_ratio"), 0.25) << "of those in use";
  EXPECT_EQ(value_of(all, "verbatim_queue_index_bytes"), 4'000.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_refused_connections_total", "unknown-key"), 3.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_refused_connections_total", "bad-handshake"), 4.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_alarm_raised", "queue-full"), 1.0);
  EXPECT_EQ(value_of(all, "verbatim_queue_alarms_raised_total", "queue-full"), 2.0);
}

TEST(Metrics, ACoreThatIsSilentIsNotUp) {
  EXPECT_EQ(value_of(metric_families(input_of(std::chrono::seconds(6))), "verbatim_queue_up"), 0.0);
  MetricsInput nothing;
  EXPECT_EQ(value_of(metric_families(nothing), "verbatim_queue_up"), 0.0);
}

TEST(Metrics, NamesAreGivenOnceAndCountersAreTotals) {
  std::set<std::string> names;
  for (const MetricFamily& family : metric_families(input_of({}))) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(family.type == MetricType::Counter, family.name.ends_with("_total")) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
  }
  EXPECT_GT(names.size(), 50U);
}

TEST(Metrics, AProbeThatIsOffHasNoSamples) {
  MetricsInput input = input_of({});
  EXPECT_EQ(value_of(metric_families(input), "verbatim_queue_probe_age_seconds"), std::nullopt);
  input.probe.is_on = true;
  input.probe.age = std::chrono::milliseconds(1'500);
  EXPECT_EQ(value_of(metric_families(input), "verbatim_queue_probe_age_seconds"), 1.5);
}

}  // namespace
}  // namespace verbatim::queue
