#include "processor/ops/processor_watch.h"

#include <utility>

namespace verbatim::processor {

std::chrono::milliseconds own_interval(const v1::AdapterSettings& adapter) {
  if (adapter.mode() == "interval") return std::chrono::minutes(adapter.run_interval_minutes());
  return std::chrono::milliseconds(adapter.interval_ms());
}

std::vector<base::AlarmCondition> SkippedEvents::look(const std::map<std::string, uint64_t>& counts,
                                                      std::chrono::nanoseconds now) {
  constexpr std::chrono::hours kRemembered{24};
  for (const auto& [name, count] : counts) {
    const uint64_t before = std::exchange(seen_[name], count);
    if (!has_looked_ || count <= before) continue;
    losses_[name].count += count - before;
    losses_[name].last = now;
  }
  has_looked_ = true;
  std::erase_if(losses_, [&](const auto& one) {
    return !counts.contains(one.first) || now - one.second.last >= kRemembered;
  });
  std::vector<base::AlarmCondition> all;
  for (const auto& [name, loss] : losses_) {
    all.push_back({"adapter-skipped", name,
                   std::to_string(loss.count) +
                       " events were deleted before it took them, it never gets them: it is "
                       "optional and lagged more than processor.optional_lag_max_bytes; this "
                       "ends a day after the last"});
  }
  return all;
}

ProcessorWatch::ProcessorWatch(const WatchParts& parts, WatchOptions options)
    : parts_(parts), options_(std::move(options)) {}

ProcessorWatch::~ProcessorWatch() { stop(); }

void ProcessorWatch::start() {
  thread_ = std::thread([this] { run(); });
}

void ProcessorWatch::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void ProcessorWatch::run() {
  bool is_stopping = false;
  while (!is_stopping) {
    look();
    base::MutexLock lock(mutex_);
    is_stopping = changed_.wait_for(mutex_, options_.look_interval,
                                    [this]() REQUIRES(mutex_) { return is_stopping_; });
  }
}

void ProcessorWatch::look() {
  if (!parts_.staging.fatal().ok()) return;
  for (const v1::Alarm& alarm : parts_.alarms.update(conditions())) parts_.command.tell(alarm);
  const auto now = std::chrono::steady_clock::now();
  if (parts_.marks.look() != StagingMarks::State::kDiskFull ||
      now - reclaimed_ < options_.reclaim_interval) {
    return;
  }
  reclaimed_ = now;
  parts_.staging.reclaim_space();
}

std::vector<base::AlarmCondition> ProcessorWatch::conditions() {
  std::vector<base::AlarmCondition> all;
  add_mark(all);
  const StagingCounts counts = parts_.staging.counts();
  if (counts.unrouted_count > 0) {
    all.push_back(
        {"unrouted", "staging",
         std::to_string(counts.unrouted_count) +
             " events are taken by no required adapter's filter: they stay until one takes "
             "them; widen a filter, or add a required adapter that starts with the oldest"});
  }
  if (!counts.has_required_adapter) {
    all.push_back({"no-required-adapter", "staging",
                   "nothing counts as archived and nothing is deleted; verbatimctl adapters "
                   "require NAME"});
  }
  if (parts_.is_draining()) {
    all.push_back({"draining", "processor",
                   "drain mode: adapters get what waits at once, whatever their interval; "
                   "verbatimctl drain --end ends it and lets puts go on"});
  }
  for (const auto& adapter : parts_.hub.adapters()) add_adapter(adapter, all);
  for (auto& condition :
       skipped_.look(counts.skipped, std::chrono::steady_clock::now().time_since_epoch())) {
    all.push_back(std::move(condition));
  }
  for (const auto& hold : parts_.holds.queues()) {
    if (hold.pending_reason().empty()) continue;
    all.push_back({"hold-pending", hold.queue(),
                   "the queue's hold flag is not as the holds want it: " + hold.pending_reason()});
  }
  if (const std::string error = parts_.command.last_error(); !error.empty()) {
    all.push_back({"alarm-command", "processor.alarm_command", error});
  }
  return all;
}

void ProcessorWatch::add_mark(std::vector<base::AlarmCondition>& all) const {
  switch (parts_.marks.look()) {
    case StagingMarks::State::kFull:
      all.push_back({"staging-full", "staging",
                     "more than processor.staging_high_bytes is staged, nothing is taken from the "
                     "queues: which adapter lags?"});
      return;
    case StagingMarks::State::kDiskFull:
      all.push_back({"disk-full", "staging",
                     "less than processor.free_disk_min_bytes is free, nothing is taken from the "
                     "queues: free space, what else writes to that disk?"});
      return;
    case StagingMarks::State::kTakes:
      return;
  }
}

void ProcessorWatch::add_adapter(const v1::AdapterInfo& adapter,
                                 std::vector<base::AlarmCondition>& all) const {
  if (adapter.state() == "paused") {
    all.push_back({"adapter-paused", adapter.name(),
                   "it is paused, by a person, for its rejects, or for a damaged batch; "
                   "verbatimctl adapters list says more, adapters resume ends it"});
  }
  if (adapter.quarantined_count() > 0) {
    all.push_back({"quarantine", adapter.name(),
                   std::to_string(adapter.quarantined_count()) +
                       " events; verbatimctl quarantine list says why"});
  }
  const auto age_max = options_.age_max + options_.interval_of(adapter.name());
  if (adapter.oldest_pending_age_ms() > age_max.count()) {
    all.push_back({"adapter-behind", adapter.name(),
                   "its oldest event has waited longer than processor.alarm_age_ms and its own "
                   "interval; it is " +
                       adapter.state()});
  }
}

}  // namespace verbatim::processor
