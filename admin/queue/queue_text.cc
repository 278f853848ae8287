#include "admin/queue/queue_text.h"

#include <fmt/format.h>

#include <functional>
#include <utility>
#include <vector>

#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr const char* kEndPrefix = "END_REASON_";
constexpr const char* kRefusalPrefix = "REFUSAL_REASON_";
constexpr int32_t kDefaultLowMarkPercent = 95;
constexpr int32_t kDefaultRetries = 5;
constexpr int32_t kDefaultRetryCycles = 2;
constexpr int64_t kDefaultRetryCycleDelayMs = 600'000;

std::string or_none(int64_t value, const std::string& text) {
  return value == 0 ? "none of its own" : text;
}

std::string rate(double per_second) { return fmt::format("{:.1f}/s", per_second); }

struct Counter {
  const char* name;
  std::string (*text)(const v1::QueueInfo&);
};

constexpr Counter kCounters[] = {
    {"messages", [](const v1::QueueInfo& q) { return human_count(q.depth()); }},
    {"size", [](const v1::QueueInfo& q) { return human_bytes(q.bytes()); }},
    {"oldest message", [](const v1::QueueInfo& q) { return human_age(q.oldest_age_ms()); }},
    {"leased messages", [](const v1::QueueInfo& q) { return human_count(q.leased_count()); }},
    {"leases", [](const v1::QueueInfo& q) { return human_count(q.lease_count()); }},
    {"delayed messages", [](const v1::QueueInfo& q) { return human_count(q.delayed_count()); }},
    {"order keys", [](const v1::QueueInfo& q) { return human_count(q.order_key_count()); }},
    {"consumers", [](const v1::QueueInfo& q) { return human_count(q.consumer_count()); }},
    {"put", [](const v1::QueueInfo& q) { return rate(q.put_rate()); }},
    {"committed", [](const v1::QueueInfo& q) { return rate(q.commit_rate()); }},
    {"accepted", [](const v1::QueueInfo& q) { return human_count(q.accepted_count()); }},
    {"committed in all", [](const v1::QueueInfo& q) { return human_count(q.committed_count()); }},
    {"repeats", [](const v1::QueueInfo& q) { return human_count(q.repeat_count()); }},
    {"deliveries", [](const v1::QueueInfo& q) { return human_count(q.delivered_count()); }},
    {"redelivered", [](const v1::QueueInfo& q) { return human_count(q.redelivered_count()); }},
    {"moved in", [](const v1::QueueInfo& q) { return human_count(q.moved_in_count()); }},
    {"destroyed", [](const v1::QueueInfo& q) { return human_count(q.destroyed_count()); }},
    {"commits that wait",
     [](const v1::QueueInfo& q) { return human_count(q.waiting_commit_count()); }},
    {"last lookup id", [](const v1::QueueInfo& q) { return human_count(q.last_lookup_id()); }},
    {"active consumer",
     [](const v1::QueueInfo& q) {
       return q.active_consumer().empty() ? std::string("-") : printable(q.active_consumer());
     }},
    {"ended", [](const v1::QueueInfo& q) { return counts_by_reason(q.ended()); }},
    {"here because", [](const v1::QueueInfo& q) { return counts_by_reason(q.depth_by_reason()); }},
    {"refused", [](const v1::QueueInfo& q) { return counts_by_reason(q.refused()); }},
};

}  // namespace

Cell state_cell(const v1::QueueInfo& queue) {
  std::string words;
  const auto add = [&words](bool is_so, const char* word) {
    if (is_so) words += (words.empty() ? "" : ", ") + std::string(word);
  };
  const bool is_paused = queue.is_put_paused() && queue.is_receive_paused();
  add(queue.is_full(), "full");
  add(is_paused, "paused");
  add(!is_paused && queue.is_put_paused(), "puts paused");
  add(!is_paused && queue.is_receive_paused(), "receives paused");
  add(queue.is_held(), "held");
  add(queue.is_deleting(), "being deleted");
  if (words.empty()) return {"ok", Mood::kGood};
  return {words, queue.is_full() ? Mood::kBad : Mood::kPlain};
}

std::string counts_by_reason(const google::protobuf::Map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [reason, count] : counts) {
    if (count == 0) continue;
    const char* prefix = reason.starts_with(kRefusalPrefix) ? kRefusalPrefix : kEndPrefix;
    text += (text.empty() ? "" : ", ") + printable(enum_word(reason, prefix)) + " " +
            human_count(count);
  }
  return text.empty() ? "-" : text;
}

std::string reason_word(v1::EndReason reason) {
  if (reason == v1::END_REASON_UNSPECIFIED) return "-";
  return enum_word(v1::EndReason_Name(reason), kEndPrefix);
}

std::string dead_letters_of(const std::string& queue) {
  return queue.find(';') == std::string::npos ? queue + ";dead-letters" : queue;
}

std::string hops_text(const v1::MessageInfo& message) {
  std::string text;
  for (const v1::MessageHop& hop : message.hops()) {
    text += fmt::format("{}{}/{} {}", text.empty() ? "" : ", ", printable(hop.queue()),
                        hop.lookup_id(), reason_word(hop.reason()));
    if (hop.delivery_count() > 0) text += fmt::format(" after {} tries", hop.delivery_count());
    if (!hop.detail().empty()) text += " \"" + printable(hop.detail()) + "\"";
  }
  return text.empty() ? "-" : text;
}

std::string settings_text(const v1::QueueSettings& settings) {
  const int32_t low_mark =
      settings.low_mark_percent() == 0 ? kDefaultLowMarkPercent : settings.low_mark_percent();
  const int32_t retries = settings.has_retries() ? settings.retries() : kDefaultRetries;
  const int32_t cycles =
      settings.has_retry_cycles() ? settings.retry_cycles() : kDefaultRetryCycles;
  const int64_t delay = settings.has_retry_cycle_delay_ms() ? settings.retry_cycle_delay_ms()
                                                            : kDefaultRetryCycleDelayMs;
  const int64_t tries = (int64_t{cycles} + 1) * (int64_t{retries} + 1);
  const bool goes_to_dead_letters =
      settings.poison_target() == v1::QueueSettings::POISON_TARGET_DEAD_LETTERS;
  const bool is_exclusive = settings.consumer_mode() == v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE;
  std::string text = fmt::format(
      "Quota: messages {}, bytes {}; puts go on below {} % of it\n"
      "Tries: {} ({} retries, {} cycles with {} between them), then to the {}\n"
      "Consumers: {}\n",
      or_none(settings.quota_messages(), human_count(settings.quota_messages())),
      or_none(settings.quota_bytes(), human_bytes(settings.quota_bytes())), low_mark,
      human_count(tries), retries, cycles, human_age(delay),
      goes_to_dead_letters ? "dead letters" : "poison queue",
      is_exclusive ? "one at a time, others stand by" : "several, order keys divided between them");
  if (!settings.has_journal()) return text + "Journal: none\n";
  return text + fmt::format("Journal: yes, quota {}\n",
                            or_none(settings.journal_quota_bytes(),
                                    human_bytes(settings.journal_quota_bytes())));
}

Table counters_table(const v1::ListQueuesResponse& answer) {
  std::vector<Table::Column> columns{{"COUNTER", Align::kLeft}};
  for (const auto& queue : answer.queues())
    columns.push_back({printable(queue.name()), Align::kRight});
  Table table(std::move(columns));
  std::vector<Cell> states{Cell("state")};
  for (const auto& queue : answer.queues()) states.push_back(state_cell(queue));
  table.add_row(std::move(states));
  for (const Counter& counter : kCounters) {
    std::vector<Cell> row{Cell(counter.name)};
    for (const auto& queue : answer.queues()) row.emplace_back(counter.text(queue));
    table.add_row(std::move(row));
  }
  return table;
}

std::string service_text(const v1::ServiceQuota& service) {
  const std::string quota_messages =
      service.quota_messages() == 0 ? "" : " of " + human_count(service.quota_messages());
  return fmt::format(
      "Service: {}{} messages, {} of {}; {} free on the disk, {} are kept free; {} clients; "
      "memory: "
      "index {}, {} source keys {}\n{}",
      human_count(service.message_count()), quota_messages, human_bytes(service.bytes()),
      human_bytes(service.quota_bytes()), human_bytes(service.free_disk_bytes()),
      human_bytes(service.free_disk_min_bytes()), human_count(service.client_count()),
      human_bytes(service.index_bytes()), human_count(service.source_key_count()),
      human_bytes(service.source_key_bytes()),
      service.is_full() ? "FULL: " + printable(service.full_reason()) + "\n" : "");
}

std::string log_text(const v1::LogInfo& log) {
  const double records = log.sync_count() == 0 ? 0.0
                                               : static_cast<double>(log.synced_record_count()) /
                                                     static_cast<double>(log.sync_count());
  const int64_t used = log.segment_count() * log.segment_bytes();
  const int64_t live_percent = used == 0 ? 0 : log.live_bytes() * 100 / used;
  return fmt::format(
      "Log: {} segments in use and {} spare of {}, {} live ({} % of those in use); {} records ({}) "
      "in {} syncs, {:.1f} a sync; {} "
      "copied forward\n"
      "Syncs: median {} us, 99 % {} us, longest {} us; groups: median {}, 99 % {}, largest {}\n"
      "Records handed out: from memory {}, from the disk {}\n"
      "Last start: recovered in {}, {} segments by their summaries, {} in full{}\n",
      human_count(log.segment_count()), human_count(log.free_segment_count()),
      human_bytes(log.segment_bytes()), human_bytes(log.live_bytes()), live_percent,
      human_count(log.synced_record_count()), human_bytes(log.synced_bytes()),
      human_count(log.sync_count()), records, human_bytes(log.copied_bytes()),
      human_count(log.sync_p50_us()), human_count(log.sync_p99_us()),
      human_count(log.sync_max_us()), human_bytes(log.group_p50_bytes()),
      human_bytes(log.group_p99_bytes()), human_bytes(log.group_max_bytes()),
      human_count(log.cache_hit_count()), human_count(log.cache_miss_count()),
      human_age(log.recovery_ms()), human_count(log.recovered_summary_count()),
      human_count(log.recovered_full_count()),
      log.cut_bytes() > 0 ? ", " + human_bytes(log.cut_bytes()) + " of an unfinished end were cut"
                          : "");
}

}  // namespace verbatim::admin
