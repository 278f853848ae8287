#include "processor/ops/metrics.h"

#include "base/metric_family.h"

namespace verbatim::processor {
namespace {

using Metrics = base::MetricFamily;
using Families = std::vector<prometheus::MetricFamily>;

template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

struct AdapterMetric {
  const char* name;
  const char* help;
  double (*value)(const v1::AdapterInfo&);
};

// clang-format off: one line a metric
constexpr AdapterMetric kAdapterMetrics[] = {
    {"adapter_required", "1 while deletion waits for it",
     [](const v1::AdapterInfo& a) { return number(a.required()); }},
    {"adapter_active", "1 while an instance takes batches",
     [](const v1::AdapterInfo& a) { return number(a.state() == "active"); }},
    {"adapter_lag_events", "Events that it has not acknowledged",
     [](const v1::AdapterInfo& a) { return number(a.pending_count()); }},
    {"adapter_lag_bytes", "Their bytes",
     [](const v1::AdapterInfo& a) { return number(a.pending_bytes()); }},
    {"adapter_lag_seconds", "Age of the oldest of them, 0 if there is none",
     [](const v1::AdapterInfo& a) { return number(a.oldest_pending_age_ms()) * 1e-3; }},
    {"adapter_quarantined_events", "Events that it has in quarantine",
     [](const v1::AdapterInfo& a) { return number(a.quarantined_count()); }},
    {"adapter_replay_left_events", "Events that a replay has still to give, at most",
     [](const v1::AdapterInfo& a) { return number(a.replay_left_count()); }},
    {"adapter_replayed_events_total", "Events that it was given again",
     [](const v1::AdapterInfo& a) { return number(a.replayed_count()); }},
    {"adapter_sealed_batches_total", "Number of its last sealed batch",
     [](const v1::AdapterInfo& a) { return number(a.last_sealed_batch()); }},
    {"adapter_acknowledged_batches_total", "Number of its last acknowledged batch",
     [](const v1::AdapterInfo& a) { return number(a.last_acked_batch()); }},
    {"adapter_retries_total", "\"Not now\" since the service started",
     [](const v1::AdapterInfo& a) { return number(a.retry_count()); }},
};
// clang-format on

Metrics one(Families& all, const char* name, const char* help) {
  return {all, std::string("verbatim_processor_") + name, help};
}

void add_store(Families& all, const MetricsInput& input) {
  const StagingCounts& counts = input.counts;
  one(all, "staged_events", "Events that are not deleted yet").add(number(counts.staged_count));
  one(all, "staged_bytes", "Their bytes").add(number(counts.staged_bytes));
  one(all, "staged_high_bytes", "Above so many nothing is taken").add(number(input.high_bytes));
  one(all, "kept_events", "Copies kept for holds").add(number(counts.kept_count));
  one(all, "kept_bytes", "Their bytes").add(number(counts.kept_bytes));
  one(all, "quarantined_events", "Events that count as quarantined")
      .add(number(counts.quarantined_count));
  one(all, "staged_events_total", "Sequence of the newest event").add(number(counts.last_sequence));
  one(all, "store_epoch", "Openings of the store").add(number(input.store_epoch));
  one(all, "disk_free_bytes", "Free bytes on the store's disk, 0 where it is not looked at")
      .add(number(input.free_disk_bytes));
  one(all, "disk_free_min_bytes", "Below so many nothing is taken")
      .add(number(input.free_disk_min_bytes));
  one(all, "takes", "1 while events are taken from the queues").add(number(input.takes));
  one(all, "draining", "1 in drain mode").add(number(input.is_draining));
}

void add_skipped(Families& all, const MetricsInput& input) {
  Metrics skipped = one(all, "adapter_skipped_events_total",
                        "Events that were deleted before it, an optional one, took them");
  for (const auto& adapter : input.adapters) {
    const auto found = input.counts.skipped.find(adapter.name());
    skipped.add(found == input.counts.skipped.end() ? 0 : number(found->second),
                {{"adapter", adapter.name()}});
  }
}

void add_queues(Families& all, const MetricsInput& input) {
  Metrics wanted = one(all, "queue_hold_wanted", "1 while holds want the queue's flag");
  Metrics pending = one(all, "queue_hold_pending", "1 while the flag is not as it should be");
  for (const auto& hold : input.queue_holds) {
    wanted.add(number(hold.is_wanted()), {{"queue", hold.queue()}});
    pending.add(number(!hold.pending_reason().empty()), {{"queue", hold.queue()}});
  }
}

void add_files(Families& all, const v1::FileCollection& files) {
  one(all, "files_collected_total", "Stored files removed since the service started")
      .add(number(files.collected_count()));
  one(all, "files_collected_bytes_total", "Their bytes").add(number(files.collected_bytes()));
  one(all, "files_waiting", "Files without a claim that wait for what the queues still hold")
      .add(number(files.waiting_count()));
  one(all, "files_obstructed", "1 while no stored file can be removed")
      .add(number(!files.obstacle().empty()));
}

void add_alarms(Families& all, const MetricsInput& input) {
  Metrics raised = one(all, "alarm_raised", "1 while the alarm is raised");
  Metrics count =
      one(all, "alarms_raised_total", "How often it was raised since the data folder was made");
  for (const v1::Alarm& alarm : input.alarms) {
    const Metrics::Labels labels{{"name", alarm.name()}, {"subject", alarm.subject()}};
    raised.add(number(alarm.is_raised()), labels);
    count.add(number(alarm.raised_count()), labels);
  }
}

}  // namespace

Families metric_families(const MetricsInput& input) {
  Families all;
  one(all, "info", "1, with the version").add(1, {{"version", input.version}});
  one(all, "start_time_seconds", "When the service started, Unix time")
      .add(number(input.started_unix_ns) * 1e-9);
  add_store(all, input);
  for (const AdapterMetric& metric : kAdapterMetrics) {
    Metrics family = one(all, metric.name, metric.help);
    for (const auto& adapter : input.adapters) {
      family.add(metric.value(adapter), {{"adapter", adapter.name()}});
    }
  }
  add_skipped(all, input);
  add_queues(all, input);
  add_files(all, input.files);
  add_alarms(all, input);
  one(all, "alarm_command_runs_total", "Alarms told to processor.alarm_command")
      .add(number(input.alarm_command_run_count));
  one(all, "alarm_command_failures_total", "Alarms that it could not be told of")
      .add(number(input.alarm_command_failure_count));
  return all;
}

}  // namespace verbatim::processor
