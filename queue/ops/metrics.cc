#include "queue/ops/metrics.h"

#include <utility>

#include "base/metric_family.h"

namespace verbatim::queue {
namespace {

using prometheus::MetricFamily;
using Family = base::MetricFamily;
using Labels = Family::Labels;

constexpr std::chrono::seconds kSilentAfter{5};
constexpr double kMillisecond = 1e-3;
constexpr double kMicrosecond = 1e-6;
constexpr double kNanosecond = 1e-9;

double seconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) * 1e-9; }

template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

// --- per queue ---

struct QueueMetric {
  const char* name;
  const char* help;
  double (*value)(const v1::QueueInfo&);
};

// clang-format off: one line a metric
constexpr QueueMetric kQueueMetrics[] = {
    {"messages", "Messages stored and not committed, leased ones included",
     [](const v1::QueueInfo& q) { return number(q.depth()); }},
    {"bytes", "Bytes of these messages", [](const v1::QueueInfo& q) { return number(q.bytes()); }},
    {"oldest_message_age_seconds", "Age of the oldest of them, 0 when empty",
     [](const v1::QueueInfo& q) { return number(q.oldest_age_ms()) * kMillisecond; }},
    {"leased_messages", "Messages under a lease",
     [](const v1::QueueInfo& q) { return number(q.leased_count()); }},
    {"leases", "Leases in force", [](const v1::QueueInfo& q) { return number(q.lease_count()); }},
    {"delayed_messages", "Messages that wait for a delay",
     [](const v1::QueueInfo& q) { return number(q.delayed_count()); }},
    {"waiting_commits", "Commits that wait because the journal is at its quota",
     [](const v1::QueueInfo& q) { return number(q.waiting_commit_count()); }},
    {"order_keys", "Order keys in use",
     [](const v1::QueueInfo& q) { return number(q.order_key_count()); }},
    {"consumers", "Consumers", [](const v1::QueueInfo& q) { return number(q.consumer_count()); }},
    {"put_messages_per_second", "Messages put, over the last ten seconds or so",
     [](const v1::QueueInfo& q) { return q.put_rate(); }},
    {"commit_messages_per_second", "Messages committed, over the last ten seconds or so",
     [](const v1::QueueInfo& q) { return q.commit_rate(); }},
    {"quota_messages", "Its own quota of messages, 0: none",
     [](const v1::QueueInfo& q) { return number(q.settings().quota_messages()); }},
    {"quota_bytes", "Its own quota of bytes, 0: none",
     [](const v1::QueueInfo& q) { return number(q.settings().quota_bytes()); }},
    {"full", "1 while puts are answered \"full\"",
     [](const v1::QueueInfo& q) { return number(q.is_full()); }},
    {"put_paused", "1 while puts are paused",
     [](const v1::QueueInfo& q) { return number(q.is_put_paused()); }},
    {"receive_paused", "1 while receives are paused",
     [](const v1::QueueInfo& q) { return number(q.is_receive_paused()); }},
    {"held", "1 while nothing of it may be destroyed",
     [](const v1::QueueInfo& q) { return number(q.is_held()); }},
    {"last_lookup_id", "The highest lookup id given",
     [](const v1::QueueInfo& q) { return number(q.last_lookup_id()); }},
    {"accepted_messages_total", "Messages stored since the queue was made",
     [](const v1::QueueInfo& q) { return number(q.accepted_count()); }},
    {"committed_messages_total", "Messages committed since the queue was made",
     [](const v1::QueueInfo& q) { return number(q.committed_count()); }},
    {"repeated_messages_total", "Repeats answered with the first verdict",
     [](const v1::QueueInfo& q) { return number(q.repeat_count()); }},
    {"delivered_messages_total", "Deliveries (attempts) since the service started",
     [](const v1::QueueInfo& q) { return number(q.delivered_count()); }},
    {"redelivered_messages_total", "Messages handed out more than once",
     [](const v1::QueueInfo& q) { return number(q.redelivered_count()); }},
    {"moved_in_messages_total", "Messages moved in from other queues",
     [](const v1::QueueInfo& q) { return number(q.moved_in_count()); }},
    {"destroyed_messages_total", "Messages destroyed by operators",
     [](const v1::QueueInfo& q) { return number(q.destroyed_count()); }},
};
// clang-format on

struct QueueReasons {
  const char* name;
  const char* help;
  const google::protobuf::Map<std::string, int64_t>& (v1::QueueInfo::*counts)() const;
};
constexpr QueueReasons kQueueReasons[] = {
    {"refused_requests_total", "Requests refused since the service started",
     &v1::QueueInfo::refused},
    {"ended_messages_total", "Messages that left it other than by a commit", &v1::QueueInfo::ended},
    {"messages_by_reason", "Of dead letters and poison: by the reason of their last move",
     &v1::QueueInfo::depth_by_reason},
};

void add_queues(std::vector<MetricFamily>& all, const v1::ListQueuesResponse& answer) {
  for (const QueueMetric& metric : kQueueMetrics) {
    Family family(all, std::string("verbatim_queue_") + metric.name, metric.help);
    for (const auto& queue : answer.queues()) {
      family.add(metric.value(queue), {{"queue", queue.name()}});
    }
  }
  for (const QueueReasons& metric : kQueueReasons) {
    Family family(all, std::string("verbatim_queue_") + metric.name, metric.help);
    for (const auto& queue : answer.queues()) {
      for (const auto& [reason, count] : (queue.*metric.counts)()) {
        family.add(number(count), {{"queue", queue.name()}, {"reason", reason}});
      }
    }
  }
}

// --- the service and its log ---

struct ServiceMetric {
  const char* name;
  const char* help;
  double (*value)(const v1::ServiceQuota&);
};
constexpr ServiceMetric kServiceMetrics[] = {
    {"service_messages", "Messages of all queues",
     [](const v1::ServiceQuota& s) { return number(s.message_count()); }},
    {"service_quota_messages", "Their quota, 0: none",
     [](const v1::ServiceQuota& s) { return number(s.quota_messages()); }},
    {"service_bytes", "Bytes of all queues",
     [](const v1::ServiceQuota& s) { return number(s.bytes()); }},
    {"service_quota_bytes", "Their quota",
     [](const v1::ServiceQuota& s) { return number(s.quota_bytes()); }},
    {"service_destroyed_messages_total",
     "Messages that operators destroyed, in queues that are gone, too",
     [](const v1::ServiceQuota& s) { return number(s.destroyed_count()); }},
    {"service_full", "1 while all puts are answered \"full\"",
     [](const v1::ServiceQuota& s) { return number(s.is_full()); }},
    {"disk_free_bytes", "Free bytes on the disk of the log",
     [](const v1::ServiceQuota& s) { return number(s.free_disk_bytes()); }},
    {"disk_free_min_bytes", "Below so many, puts are answered \"full\"",
     [](const v1::ServiceQuota& s) { return number(s.free_disk_min_bytes()); }},
    {"clients", "Clients known",
     [](const v1::ServiceQuota& s) { return number(s.client_count()); }},
    {"source_keys", "Source keys kept",
     [](const v1::ServiceQuota& s) { return number(s.source_key_count()); }},
    {"source_key_bytes", "Memory for source keys",
     [](const v1::ServiceQuota& s) { return number(s.source_key_bytes()); }},
    {"index_bytes", "Memory for the index of messages",
     [](const v1::ServiceQuota& s) { return number(s.index_bytes()); }},
};

struct LogMetric {
  const char* name;
  const char* help;
  double (*value)(const v1::LogInfo&);
};
constexpr LogMetric kLogMetrics[] = {
    {"log_segments", "Segments in use",
     [](const v1::LogInfo& l) { return number(l.segment_count()); }},
    {"log_spare_segments", "Segments ready for use",
     [](const v1::LogInfo& l) { return number(l.free_segment_count()); }},
    {"log_segment_bytes", "Size of one segment",
     [](const v1::LogInfo& l) { return number(l.segment_bytes()); }},
    {"log_live_bytes", "Bytes of records that still count",
     [](const v1::LogInfo& l) { return number(l.live_bytes()); }},
    {"log_live_ratio", "These bytes as a part of the segments in use",
     [](const v1::LogInfo& l) {
       const int64_t used = l.segment_count() * l.segment_bytes();
       return used > 0 ? number(l.live_bytes()) / number(used) : 0.0;
     }},
    {"log_syncs_total", "Groups written and synced",
     [](const v1::LogInfo& l) { return number(l.sync_count()); }},
    {"log_synced_records_total", "Records in them",
     [](const v1::LogInfo& l) { return number(l.synced_record_count()); }},
    {"log_synced_bytes_total", "Bytes in them",
     [](const v1::LogInfo& l) { return number(l.synced_bytes()); }},
    {"log_copied_bytes_total", "Bytes copied forward out of old segments",
     [](const v1::LogInfo& l) { return number(l.copied_bytes()); }},
    {"log_recovery_seconds", "Time that the last start took to read the log",
     [](const v1::LogInfo& l) { return number(l.recovery_ms()) * kMillisecond; }},
    {"log_cut_bytes", "Bytes cut from the unfinished end at the last start",
     [](const v1::LogInfo& l) { return number(l.cut_bytes()); }},
    {"log_cache_hits_total", "Records handed out from memory",
     [](const v1::LogInfo& l) { return number(l.cache_hit_count()); }},
    {"log_cache_misses_total", "Records read from the disk to be handed out",
     [](const v1::LogInfo& l) { return number(l.cache_miss_count()); }},
};

void add_service(std::vector<MetricFamily>& all, const v1::ListQueuesResponse& answer) {
  for (const ServiceMetric& metric : kServiceMetrics) {
    Family(all, std::string("verbatim_queue_") + metric.name, metric.help)
        .add(metric.value(answer.service()));
  }
  const v1::LogInfo& log = answer.log();
  for (const LogMetric& metric : kLogMetrics) {
    Family(all, std::string("verbatim_queue_") + metric.name, metric.help).add(metric.value(log));
  }
  Family(all, "verbatim_queue_log_sync_seconds",
         "Time of a group's write and sync, of the last thousand or so; quantile 1 is the largest")
      .add(number(log.sync_p50_us()) * kMicrosecond, {{"quantile", "0.5"}})
      .add(number(log.sync_p99_us()) * kMicrosecond, {{"quantile", "0.99"}})
      .add(number(log.sync_max_us()) * kMicrosecond, {{"quantile", "1"}});
  Family(all, "verbatim_queue_log_group_bytes",
         "Size of these groups, each written and synced at once; quantile 1 is the largest")
      .add(number(log.group_p50_bytes()), {{"quantile", "0.5"}})
      .add(number(log.group_p99_bytes()), {{"quantile", "0.99"}})
      .add(number(log.group_max_bytes()), {{"quantile", "1"}});
  Family(all, "verbatim_queue_log_recovered_segments", "Segments read by the last start")
      .add(number(log.recovered_summary_count()), {{"by", "summary"}})
      .add(number(log.recovered_full_count()), {{"by", "full"}});
}

// --- what does not come from the core ---

void add_alarms(std::vector<MetricFamily>& all, const MetricsInput& input) {
  Family raised(all, "verbatim_queue_alarm_raised", "1 while the alarm is raised");
  Family count(all, "verbatim_queue_alarms_raised_total",
               "How often the alarm was raised since the data folder was made");
  for (const v1::Alarm& alarm : input.alarms) {
    const Labels labels{{"name", alarm.name()}, {"subject", alarm.subject()}};
    raised.add(number(alarm.is_raised()), labels);
    count.add(number(alarm.raised_count()), labels);
  }
}

void add_operations(std::vector<MetricFamily>& all, const MetricsInput& input) {
  Family(all, "verbatim_queue_alarm_command_runs_total", "Alarms told to queue.alarm_command")
      .add(number(input.alarm_command_run_count));
  Family(all, "verbatim_queue_alarm_command_failures_total", "Alarms that it could not be told of")
      .add(number(input.alarm_command_failure_count));
  Family(all, "verbatim_queue_audit_entries_total", "Number of the last audit entry")
      .add(number(input.audit_last_number));
  Family(all, "verbatim_queue_unsent_answers_total", "Answers whose client was gone")
      .add(number(input.dropped_answer_count));
  Family(all, "verbatim_queue_refused_connections_total",
         "Connections refused before they could ask for anything")
      .add(number(input.refused_connections.unknown_key), {{"reason", "unknown-key"}})
      .add(number(input.refused_connections.bad_handshake), {{"reason", "bad-handshake"}});
  Family age(all, "verbatim_queue_probe_age_seconds",
             "Since a probe message last went all the way through");
  Family latency(all, "verbatim_queue_probe_latency_seconds", "How long that took");
  Family failures(all, "verbatim_queue_probe_failures_total", "Probe messages that did not");
  if (!input.probe.is_on) return;
  age.add(seconds(input.probe.age));
  latency.add(seconds(input.probe.latency));
  failures.add(number(input.probe.failure_count));
}

}  // namespace

std::vector<MetricFamily> metric_families(const MetricsInput& input) {
  std::vector<MetricFamily> all;
  const bool is_up = input.snapshot != nullptr && input.snapshot_age < kSilentAfter;
  Family(all, "verbatim_queue_up", "1 while the core answers within 5 s").add(number(is_up));
  Family(all, "verbatim_queue_info", "1, with the version").add(1, {{"version", input.version}});
  Family(all, "verbatim_queue_start_time_seconds", "When the service started, Unix time")
      .add(number(input.started_unix_ns) * kNanosecond);
  if (input.snapshot != nullptr) {
    add_queues(all, input.snapshot->queues);
    add_service(all, input.snapshot->queues);
    Family(all, "verbatim_queue_unreadable_frames_total", "Frames that were no requests")
        .add(number(input.snapshot->garbage_count));
  }
  add_alarms(all, input);
  add_operations(all, input);
  return all;
}

}  // namespace verbatim::queue
