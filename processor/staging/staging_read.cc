// What people look at: adapters, quarantine, newest events, notices. Never chat text.
#include <algorithm>

#include "base/hex.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
std::vector<v1::AdapterInfo> Staging::adapters() const {
  base::MutexLock lock(mutex_);
  std::vector<v1::AdapterInfo> infos;
  for (const auto& [name, adapter] : adapters_) {
    v1::AdapterInfo& info = infos.emplace_back();
    const v1::AdapterRow& row = adapter.row;
    info.set_name(name);
    info.set_required(row.required());
    info.set_state(row.is_paused() ? "paused" : "detached");
    info.set_last_sealed_batch(row.last_sealed_batch());
    info.set_last_acked_batch(row.last_acked_batch());
    info.set_last_acked_digest(base::to_hex(row.last_acked_digest()));
    info.set_acked_sequence(row.cursor());
    info.set_last_sequence(state_.last_sequence());
    info.set_pending_count(static_cast<int64_t>(state_.last_sequence() - row.cursor() -
                                                adapter.quarantined_ahead.size() -
                                                row.filtered_ahead() + row.owed()));
    info.set_filtered_count(static_cast<int64_t>(row.filtered()));
    info.set_pending_bytes(static_cast<int64_t>(state_.total_bytes() - row.cursor_bytes() -
                                                row.filtered_ahead_bytes()));
    info.set_replayed_count(static_cast<int64_t>(row.replayed()));
    for (const auto& part : row.replay().parts()) {
      info.set_replay_left_count(
          info.replay_left_count() +
          static_cast<int64_t>(part.last_sequence() + 1 - part.first_sequence()));
    }
    info.set_quarantined_count(static_cast<int64_t>(row.quarantined()));
    info.set_last_reason(row.last_reason());
    const auto oldest = first_pending(adapter, row.cursor());
    if (!oldest || *oldest == 0) continue;
    const auto index = index_of(*oldest);
    if (!index) continue;
    const int64_t age_ns = options_.clock->unix_now_ns() - index->staged_unix_ns;
    info.set_oldest_pending_age_ms(std::max<int64_t>(0, age_ns / 1'000'000));
  }
  return infos;
}

Result<std::vector<v1::QuarantinedEvent>> Staging::quarantined(const std::string& adapter) const {
  std::vector<v1::QuarantinedEvent> events;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kQuarantine, "", [&](auto key, auto value) {
    if (!adapter.empty() && name_of(key) != adapter) return true;
    v1::QuarantineRow row;
    parsed = parse_row(value, "quarantine", row);
    if (!parsed.ok()) return false;
    const auto info = describe_event(row.stored_event());
    v1::QuarantinedEvent& event = events.emplace_back();
    event.set_adapter(name_of(key));
    event.set_sequence(number_of(key));
    event.set_batch(row.batch());
    event.set_reason(row.reason());
    event.set_since_unix_ns(row.since_unix_ns());
    event.set_is_released(row.is_released());
    if (info) {
      event.set_kind(info->kind());
      event.set_conversation_key(info->conversation_key());
    }
    return true;
  }));
  RETURN_IF_ERROR(parsed);
  return events;
}

uint64_t Staging::deleted_through() const {
  base::MutexLock lock(mutex_);
  return state_.deleted_through();
}

Result<std::vector<v1::EventInfo>> Staging::newest_events(int count) const {
  std::vector<v1::EventInfo> events;
  Status parsed;
  if (count <= 0) return events;
  const uint64_t deleted = deleted_through();
  RETURN_IF_ERROR(store_->for_each_from_last(Family::kEvents, [&](auto key, auto value) {
    if (number_of(key) <= deleted) return false;
    auto info = describe_event(value);
    parsed = info.error();
    if (info) events.push_back(*std::move(info));
    return parsed.ok() && events.size() < static_cast<size_t>(count);
  }));
  RETURN_IF_ERROR(parsed);
  std::reverse(events.begin(), events.end());
  return events;
}

Result<std::vector<v1::EventInfo>> Staging::events_above(uint64_t sequence, int count) const {
  std::vector<v1::EventInfo> events;
  Status parsed;
  const std::string first = number_key(std::max(sequence, deleted_through()) + 1);
  RETURN_IF_ERROR(store_->for_each(Family::kEvents, first, [&](auto, auto value) {
    auto info = describe_event(value);
    parsed = info.error();
    if (info) events.push_back(*std::move(info));
    return parsed.ok() && events.size() < static_cast<size_t>(count);
  }));
  RETURN_IF_ERROR(parsed);
  return events;
}

std::vector<std::string> Staging::notices() const {
  base::MutexLock lock(mutex_);
  std::vector<std::string> sentences;
  if (!fatal_.ok()) sentences.push_back("the staging store has failed: " + fatal_.to_string());
  const bool has_required = std::any_of(adapters_.begin(), adapters_.end(),
                                        [](const auto& one) { return one.second.row.required(); });
  if (!has_required) {
    sentences.emplace_back(
        "no adapter is required: nothing counts as archived and nothing is deleted");
  }
  if (state_.unrouted_count() > 0) {
    sentences.push_back(std::to_string(state_.unrouted_count()) +
                        " events are unrouted: no required adapter's filter takes them, so they "
                        "stay in staging until one does and has acknowledged them");
  }
  for (const auto& [name, adapter] : adapters_) {
    if (adapter.row.is_paused() && adapter.row.rejected_in_a_row() == 0) {
      sentences.push_back("adapter '" + name +
                          "' is paused: it gets nothing until 'verbatimctl adapters resume'");
    } else if (adapter.row.is_paused()) {
      sentences.push_back("adapter '" + name + "' is paused after " +
                          std::to_string(adapter.row.rejected_in_a_row()) +
                          " rejected events in a row");
    }
    if (adapter.row.quarantined() > 0) {
      sentences.push_back("adapter '" + name + "' has " +
                          std::to_string(adapter.row.quarantined()) + " events in quarantine");
    }
  }
  for (const auto& [name, adapter] : adapters_) {
    if (!adapter.row.has_replay()) continue;
    sentences.push_back("a replay to adapter '" + name + "' is under way: deletion waits for it");
  }
  for (const auto& [name, queue] : queues_) {
    if (queue.position.begun_anew_count() > 0) {
      sentences.push_back("the numbering of queue '" + name + "' has begun anew " +
                          std::to_string(queue.position.begun_anew_count()) +
                          " times: what an emptied queue still held is lost");
    }
    if (queue.position.start_lookup_id() > 1) {
      sentences.push_back("this store begins at message " +
                          std::to_string(queue.position.start_lookup_id()) + " of queue '" + name +
                          "': what lies below was taken by an earlier store");
    }
  }
  return sentences;
}

}  // namespace verbatim::processor
