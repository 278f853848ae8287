#include "queue/state/named_queue.h"

#include <algorithm>

#include "base/log.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr int64_t kQuotaMax = int64_t{1} << 50;
constexpr int kRetriesMax = 1'000;
constexpr int64_t kDelayMaxMs = 86'400'000;
constexpr std::chrono::nanoseconds kRateInterval = std::chrono::seconds(1);
constexpr double kRateKeep = 0.8;
// Settings, flags and counters in a snapshot, each at its largest.
constexpr int64_t kQueueBytes = 448;
// ";poison", ";dead-letters" and ";journal".
constexpr int64_t kSystemSubQueueCount = 3;
constexpr int64_t kSubNameBytes = 16;

int retries(const v1::QueueSettings& settings) {
  return settings.has_retries() ? settings.retries() : kDefaultRetries;
}

int retry_cycles(const v1::QueueSettings& settings) {
  return settings.has_retry_cycles() ? settings.retry_cycles() : kDefaultRetryCycles;
}

Status check_range(const char* field, int64_t value, int64_t max) {
  if (value >= 0 && value <= max) return {};
  return invalid_argument(fmt::format("{}={} must be 0 to {}", field, value, max));
}

}  // namespace

Status check_queue_settings(const v1::QueueSettings& settings) {
  RETURN_IF_ERROR(check_range("quota_messages", settings.quota_messages(), kQuotaMax));
  RETURN_IF_ERROR(check_range("quota_bytes", settings.quota_bytes(), kQuotaMax));
  RETURN_IF_ERROR(check_range("journal_quota_bytes", settings.journal_quota_bytes(), kQuotaMax));
  RETURN_IF_ERROR(check_range("low_mark_percent", settings.low_mark_percent(), 100));
  RETURN_IF_ERROR(check_range("retries", settings.retries(), kRetriesMax));
  RETURN_IF_ERROR(check_range("retry_cycles", settings.retry_cycles(), kRetriesMax));
  RETURN_IF_ERROR(
      check_range("retry_cycle_delay_ms", settings.retry_cycle_delay_ms(), kDelayMaxMs));
  if (tries_max(settings) > 60'000) {
    return invalid_argument("(retry_cycles + 1) * (retries + 1) must be at most 60,000");
  }
  if (!v1::QueueSettings::PoisonTarget_IsValid(settings.poison_target()) ||
      !v1::QueueSettings::ConsumerMode_IsValid(settings.consumer_mode())) {
    return invalid_argument("poison_target or consumer_mode is not known to this version");
  }
  return {};
}

int64_t tries_per_cycle(const v1::QueueSettings& settings) { return retries(settings) + 1; }

int64_t tries_max(const v1::QueueSettings& settings) {
  return (int64_t{retry_cycles(settings)} + 1) * tries_per_cycle(settings);
}

std::chrono::milliseconds retry_cycle_delay(const v1::QueueSettings& settings) {
  return std::chrono::milliseconds(settings.has_retry_cycle_delay_ms()
                                       ? settings.retry_cycle_delay_ms()
                                       : kDefaultRetryCycleDelayMs);
}

int64_t low_mark(int64_t quota, const v1::QueueSettings& settings) {
  const int percent =
      settings.low_mark_percent() > 0 ? settings.low_mark_percent() : kDefaultLowMarkPercent;
  return low_mark(quota, percent);
}

// At least 1, so that an empty queue is below it.
int64_t low_mark(int64_t quota, int percent) {
  return std::max<int64_t>(1, quota / 100 * percent + quota % 100 * percent / 100);
}

void Rate::update(std::chrono::nanoseconds now) {
  const auto passed = now - last_;
  if (passed < kRateInterval) return;
  const double seconds = std::chrono::duration<double>(passed).count();
  const double rate = static_cast<double>(count_) / seconds;
  per_second_ = last_.count() == 0 ? 0 : kRateKeep * per_second_ + (1 - kRateKeep) * rate;
  count_ = 0;
  last_ = now;
}

void NamedQueue::update_full() {
  const auto is_over = [this](int64_t value, int64_t quota) {
    return quota > 0 && value >= (is_full ? low_mark(quota, settings) : quota);
  };
  is_full = is_over(index.count(), settings.quota_messages()) ||
            is_over(index.bytes(), settings.quota_bytes());
}

uint64_t& NamedQueue::count_of_source(std::string_view source) {
  auto it = accepted_by_source.find(source);
  if (it == accepted_by_source.end()) {
    it = accepted_by_source.emplace(source, 0).first;
    source_bytes += source_control_bytes(source);
  }
  return it->second;
}

int64_t NamedQueue::control_bytes_of_new(std::string_view name) {
  const int64_t bytes = kQueueBytes + static_cast<int64_t>(name.size());
  if (!sub_name_of(name).empty()) return bytes;
  return bytes + kSystemSubQueueCount * (bytes + kSubNameBytes);
}

int64_t NamedQueue::control_bytes() const {
  return control_bytes_of_new(name) + source_bytes + producers.control_bytes();
}

void NamedQueue::save(v1::LogQueue& saved) const {
  saved.set_queue_id(id);
  saved.set_name(name);
  *saved.mutable_settings() = settings;
  *saved.mutable_flags() = flags;
  saved.set_next_lookup_id(next_lookup_id);
  saved.set_accepted_count(accepted_count);
  saved.set_committed_count(committed_count);
  saved.set_repeat_count(repeat_count);
  saved.set_redelivered_count(redelivered_count);
  saved.set_moved_in_count(moved_in_count);
  saved.set_destroyed_count(destroyed_count);
  for (const auto& [source, count] : accepted_by_source) {
    (*saved.mutable_accepted_by_source())[source] = count;
  }
  for (const auto& [reason, count] : ended_count) (*saved.mutable_ended_count())[reason] = count;
  producers.save(saved);
}

void NamedQueue::load(const v1::LogQueue& saved) {
  id = saved.queue_id();
  name = saved.name();
  settings = saved.settings();
  flags = saved.flags();
  next_lookup_id = saved.next_lookup_id();
  accepted_count = saved.accepted_count();
  committed_count = saved.committed_count();
  repeat_count = saved.repeat_count();
  redelivered_count = saved.redelivered_count();
  moved_in_count = saved.moved_in_count();
  destroyed_count = saved.destroyed_count();
  accepted_by_source.clear();
  source_bytes = 0;
  for (const auto& [source, count] : saved.accepted_by_source()) count_of_source(source) = count;
  ended_count.clear();
  for (const auto& [reason, count] : saved.ended_count()) ended_count[reason] = count;
  producers.load(saved);
}

}  // namespace verbatim::queue
