#include "collector/ops/metrics.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>

namespace verbatim::collector {
namespace {

using prometheus::MetricType;

MetricsInput input_of_now() {
  MetricsInput input;
  input.version = "0.0.1";
  input.picture.routing = RoutingTable::create({}).value();
  for (const char* listen : {"one link", "another"}) {
    v1::SourceInfo& source = *input.picture.sources.add_sources();
    source.set_name("node1");
    source.set_protocol("xcp");
    source.set_listen(listen);
    source.set_state(v1::SourceInfo::LINK_STATE_ACTIVE);
    source.set_accepted_count(7);
  }
  for (const char* node : {"n1", "n2"}) {
    v1::ServerInfo& server = *input.picture.servers.add_servers();
    server.set_server("wall");
    server.set_node(node);
    server.set_profile("walls");
    server.set_asked_count(9);
    server.set_timeout_count(2);
    server.set_recent_latency_us(1'500'000);
    server.set_is_suspended(true);
  }
  input.picture.servers.mutable_servers(1)->set_state(v1::SourceInfo::LINK_STATE_ACTIVE);
  input.picture.servers.set_waiting_bytes(4'096);
  input.picture.sources.mutable_outbox()->set_event_count(3);
  input.picture.sources.mutable_fetch()->set_downloaded_bytes(5'000);
  v1::Alarm alarm;
  alarm.set_name("policy-suspended");
  alarm.set_subject("server wall");
  alarm.set_is_raised(true);
  alarm.set_raised_count(4);
  input.alarms.push_back(alarm);
  return input;
}

// The value of the first sample that bears this label.
std::optional<double> value_of(const MetricsInput& input, const std::string& name,
                               const std::string& label_value = "") {
  for (const auto& family : metric_families(input)) {
    if (family.name != "verbatim_collector_" + name) continue;
    for (const auto& metric : family.metric) {
      bool is_wanted = label_value.empty();
      for (const auto& label : metric.label) is_wanted = is_wanted || label.value == label_value;
      if (!is_wanted) continue;
      return family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
  }
  return std::nullopt;
}

TEST(CollectorMetrics, CountersOfSourcesServersOutboxFetchAndAlarmsAreThere) {
  const MetricsInput input = input_of_now();
  EXPECT_EQ(value_of(input, "source_accepted_events_total", "node1"), 14.0) << "of both links";
  EXPECT_EQ(value_of(input, "source_active", "node1"), 2.0);
  EXPECT_EQ(value_of(input, "policy_questions_total", "wall"), 9.0) << "rows repeat it";
  EXPECT_EQ(value_of(input, "policy_timeouts_total", "wall"), 2.0);
  EXPECT_EQ(value_of(input, "policy_recent_latency_seconds", "wall"), 1.5);
  EXPECT_EQ(value_of(input, "policy_suspended", "wall"), 1.0);
  EXPECT_EQ(value_of(input, "policy_active", "n1"), 0.0);
  EXPECT_EQ(value_of(input, "policy_active", "n2"), 1.0);
  EXPECT_EQ(value_of(input, "policies_waiting_bytes"), 4'096.0);
  EXPECT_EQ(value_of(input, "outbox_events"), 3.0);
  EXPECT_EQ(value_of(input, "fetched_bytes_total"), 5'000.0);
  EXPECT_EQ(value_of(input, "alarm_raised", "policy-suspended"), 1.0);
  EXPECT_EQ(value_of(input, "alarms_raised_total", "policy-suspended"), 4.0);
}

TEST(CollectorMetrics, NamesAreGivenOnceCountersAreTotalsAndEachIsDocumented) {
  const char* source_dir = std::getenv("VERBATIM_SOURCE_DIR");
  std::ifstream file(std::string(source_dir == nullptr ? "." : source_dir) + "/docs/operations.md");
  std::stringstream document;
  document << file.rdbuf();
  std::set<std::string> names;
  for (const auto& family : metric_families(input_of_now())) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(family.type == MetricType::Counter, family.name.ends_with("_total")) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_NE(document.str().find("| `" + family.name + "` |"), std::string::npos) << family.name;
  }
}

}  // namespace
}  // namespace verbatim::collector
