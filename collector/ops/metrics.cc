#include "collector/ops/metrics.h"

#include <map>
#include <tuple>
#include <utility>

#include "base/metric_family.h"

namespace verbatim::collector {
namespace {

using prometheus::MetricFamily;
using Family = base::MetricFamily;

constexpr double kNanosecond = 1e-9;
constexpr double kMicrosecond = 1e-6;

template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

template <class Thing>
struct Metric {
  const char* name;
  const char* help;
  double (*value)(const Thing&);
};

double is_active(v1::SourceInfo::LinkState state) {
  return state == v1::SourceInfo::LINK_STATE_ACTIVE ? 1 : 0;
}

// clang-format off: one line a metric
constexpr Metric<v1::SourceInfo> kSourceMetrics[] = {
    {"source_active", "Links that are authenticated, or attached producers",
     [](const v1::SourceInfo& s) { return is_active(s.state()); }},
    {"source_received_events_total", "Events taken in",
     [](const v1::SourceInfo& s) { return number(s.received_count()); }},
    {"source_accepted_events_total", "Events answered as durable",
     [](const v1::SourceInfo& s) { return number(s.accepted_count()); }},
    {"source_refused_events_total", "Events refused for good",
     [](const v1::SourceInfo& s) { return number(s.refused_count()); }},
    {"source_errors_total", "Events answered with an error for lack of a durable answer",
     [](const v1::SourceInfo& s) { return number(s.error_count()); }},
    {"source_repeated_events_total", "Repeats answered as the first time",
     [](const v1::SourceInfo& s) { return number(s.repeat_count()); }},
    {"source_gaps_total", "Capture gaps found",
     [](const v1::SourceInfo& s) { return number(s.gap_count()); }},
    {"source_in_flight_events", "Events that are not answered yet",
     [](const v1::SourceInfo& s) { return number(s.in_flight_count()); }},
};

constexpr Metric<v1::ServerInfo> kServerMetrics[] = {
    {"policy_suspended", "1 while it is not asked, after too many timeouts in a row",
     [](const v1::ServerInfo& s) { return number(s.is_suspended()); }},
    {"policy_standby_instances", "Instances that stand by",
     [](const v1::ServerInfo& s) { return number(s.standby_count()); }},
    {"policy_open_questions", "Questions that it has not answered yet",
     [](const v1::ServerInfo& s) { return number(s.open_count()); }},
    {"policy_recent_latency_seconds", "Median time of its latest answers, 0 before the first",
     [](const v1::ServerInfo& s) { return number(s.recent_latency_us()) * kMicrosecond; }},
    {"policy_questions_total", "Questions that it was asked",
     [](const v1::ServerInfo& s) { return number(s.asked_count()); }},
    {"policy_passed_total", "Answers PASS, unchanged",
     [](const v1::ServerInfo& s) { return number(s.pass_count()); }},
    {"policy_changed_total", "Answers PASS with a changed stanza",
     [](const v1::ServerInfo& s) { return number(s.changed_count()); }},
    {"policy_handled_total", "Answers HANDLE",
     [](const v1::ServerInfo& s) { return number(s.handle_count()); }},
    {"policy_errors_total", "Answers that were errors",
     [](const v1::ServerInfo& s) { return number(s.error_count()); }},
    {"policy_timeouts_total", "Questions without an answer in time",
     [](const v1::ServerInfo& s) { return number(s.timeout_count()); }},
    {"policy_invalid_replies_total", "Answers that the event's reply class forbids",
     [](const v1::ServerInfo& s) { return number(s.invalid_count()); }},
    {"policy_late_replies_total", "Answers after the question was closed",
     [](const v1::ServerInfo& s) { return number(s.late_count()); }},
};

constexpr Metric<CollectorPicture> kOwnMetrics[] = {
    {"queue_connected", "1 while the queue answers",
     [](const CollectorPicture& p) { return number(p.sources.is_queue_connected()); }},
    {"in_flight_events", "Events that wait for the queue",
     [](const CollectorPicture& p) { return number(p.sources.in_flight_count()); }},
    {"outbox_events", "Events in the outbox",
     [](const CollectorPicture& p) { return number(p.sources.outbox().event_count()); }},
    {"outbox_bytes", "Their bytes",
     [](const CollectorPicture& p) { return number(p.sources.outbox().bytes()); }},
    {"outbox_max_bytes", "Beyond so many, what nobody waits for is dropped and recorded as a gap",
     [](const CollectorPicture& p) { return number(p.outbox_max_bytes); }},
    {"policies_waiting_events", "Events that wait for policies",
     [](const CollectorPicture& p) { return number(p.servers.waiting_count()); }},
    {"policies_waiting_bytes", "Their bytes",
     [](const CollectorPicture& p) { return number(p.servers.waiting_bytes()); }},
    {"policies_waiting_max_bytes", "Beyond so many the answer is an error",
     [](const CollectorPicture& p) { return number(p.waiting_max_bytes); }},
    {"compliance_revision", "Changes of profiles, servers and assignments so far",
     [](const CollectorPicture& p) { return number(p.routing->state().revision()); }},
    {"fetches_outstanding", "Files behind links that are not fetched yet",
     [](const CollectorPicture& p) { return number(p.sources.fetch().outstanding_count()); }},
    {"fetched_files_total", "Files behind links that were fetched",
     [](const CollectorPicture& p) { return number(p.sources.fetch().downloaded_count()); }},
    {"fetched_bytes_total", "Their bytes",
     [](const CollectorPicture& p) { return number(p.sources.fetch().downloaded_bytes()); }},
    {"fetch_failures_total", "Files behind links that were given up",
     [](const CollectorPicture& p) { return number(p.sources.fetch().failed_count()); }},
    {"fetch_retries_total", "Attempts that failed and are made again",
     [](const CollectorPicture& p) { return number(p.sources.fetch().retry_count()); }},
};
// clang-format on

std::string full_name(const char* name) { return std::string("verbatim_collector_") + name; }

// A source has a row for each of its links or producers: their sum.
void add_sources(std::vector<MetricFamily>& all, const v1::ListSourcesResponse& answer) {
  for (const auto& metric : kSourceMetrics) {
    std::map<std::pair<std::string, std::string>, double> sums;
    for (const auto& source : answer.sources()) {
      sums[{source.name(), source.protocol()}] += metric.value(source);
    }
    Family family(all, full_name(metric.name), metric.help);
    for (const auto& [key, value] : sums) {
      family.add(value, {{"source", key.first}, {"protocol", key.second}});
    }
  }
}

// Counters are the server's; its rows, one for each assignment, repeat them.
void add_servers(std::vector<MetricFamily>& all, const v1::ListServersResponse& answer) {
  for (const auto& metric : kServerMetrics) {
    std::map<std::string, double> values;
    for (const auto& server : answer.servers()) {
      values.try_emplace(server.server(), metric.value(server));
    }
    Family family(all, full_name(metric.name), metric.help);
    for (const auto& [server, value] : values) family.add(value, {{"server", server}});
  }
  std::map<std::tuple<std::string, std::string, std::string>, double> links;
  for (const auto& server : answer.servers()) {
    links.try_emplace({server.server(), server.node(), server.profile()},
                      is_active(server.state()));
  }
  Family active(all, full_name("policy_active"), "1 while it can be asked");
  for (const auto& [key, value] : links) {
    active.add(
        value,
        {{"server", std::get<0>(key)}, {"node", std::get<1>(key)}, {"profile", std::get<2>(key)}});
  }
}

void add_alarms(std::vector<MetricFamily>& all, const MetricsInput& input) {
  Family raised(all, full_name("alarm_raised"), "1 while the alarm is raised");
  Family count(all, full_name("alarms_raised_total"),
               "How often it was raised since the data folder was made");
  for (const v1::Alarm& alarm : input.alarms) {
    const Family::Labels labels{{"name", alarm.name()}, {"subject", alarm.subject()}};
    raised.add(number(alarm.is_raised()), labels);
    count.add(number(alarm.raised_count()), labels);
  }
}

}  // namespace

std::vector<MetricFamily> metric_families(const MetricsInput& input) {
  std::vector<MetricFamily> all;
  add_sources(all, input.picture.sources);
  add_servers(all, input.picture.servers);
  for (const auto& metric : kOwnMetrics) {
    Family(all, full_name(metric.name), metric.help).add(metric.value(input.picture));
  }
  add_alarms(all, input);
  Family(all, full_name("info"), "1, with the version").add(1, {{"version", input.version}});
  Family(all, full_name("start_time_seconds"), "When the service started, Unix time")
      .add(number(input.started_unix_ns) * kNanosecond);
  Family(all, full_name("alarm_command_runs_total"), "Alarms told to collector.alarm_command")
      .add(number(input.alarm_command_run_count));
  Family(all, full_name("alarm_command_failures_total"), "Alarms that it could not be told of")
      .add(number(input.alarm_command_failure_count));
  Family(all, full_name("audit_entries_total"), "Number of the last audit entry")
      .add(number(input.audit_last_number));
  return all;
}

}  // namespace verbatim::collector
