// What the core shows of itself: to verbatimctl, to metrics, to alarms. Never message bytes.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr int kPeekMaxCount = 1'000;
constexpr int kPeekLookMaxCount = 100'000;
// Clients wait meanwhile.
constexpr std::chrono::milliseconds kPeekMaxTime{20};
constexpr std::chrono::minutes kNotPermittedLife{10};

void fill_flags(const NamedQueue& queue, v1::QueueInfo& info) {
  *info.mutable_settings() = queue.settings;
  info.set_is_put_paused(queue.flags.is_put_paused());
  info.set_is_receive_paused(queue.flags.is_receive_paused());
  info.set_is_held(queue.flags.is_held());
  info.set_is_deleting(queue.flags.is_deleting());
  info.set_is_full(queue.is_full);
  info.set_active_consumer(queue.active_client);
}

void fill_counters(const NamedQueue& queue, v1::QueueInfo& info) {
  info.set_name(queue.name);
  info.set_depth(queue.index.count());
  info.set_bytes(queue.index.bytes());
  info.set_leased_count(queue.index.leased_count());
  info.set_last_lookup_id(queue.next_lookup_id - 1);
  info.set_redelivered_count(queue.redelivered_count);
  for (const auto& [reason, count] : queue.refused) (*info.mutable_refused())[reason] = count;
  for (const auto& [source, count] : queue.accepted_by_source) {
    (*info.mutable_accepted_by_source())[source] = count;
  }
  info.set_accepted_count(queue.accepted_count);
  info.set_committed_count(queue.committed_count);
  info.set_repeat_count(queue.repeat_count);
  for (const auto& [reason, count] : queue.ended_count) {
    (*info.mutable_ended())[v1::EndReason_Name(static_cast<v1::EndReason>(reason))] = count;
  }
  info.set_destroyed_count(queue.destroyed_count);
  info.set_moved_in_count(queue.moved_in_count);
  info.set_delivered_count(queue.delivered_count);
  info.set_delayed_count(static_cast<int64_t>(queue.index.delays().size()));
  info.set_order_key_count(queue.index.lane_count());
  info.set_put_rate(queue.put_rate.per_second());
  info.set_commit_rate(queue.commit_rate.per_second());
  const auto& by_reason = queue.index.count_by_reason();
  for (size_t reason = 1; reason < by_reason.size(); ++reason) {
    if (by_reason[reason] == 0) continue;
    (*info.mutable_depth_by_reason())[v1::EndReason_Name(static_cast<v1::EndReason>(reason))] =
        by_reason[reason];
  }
}

bool is_asked_for(const std::string& wanted, const std::string& name) {
  return wanted.empty() || name == wanted || parent_of(name) == wanted;
}

}  // namespace

// Read from the record of the oldest message, and remembered.
int64_t QueueCore::oldest_age_ms(const NamedQueue& queue) const {
  const uint64_t oldest = queue.index.at_or_above(1);
  if (oldest == 0) return 0;
  if (queue.oldest_lookup_id != oldest) {
    const auto stored = store_->read(queue, oldest);
    if (!stored) return 0;
    queue.oldest_lookup_id = oldest;
    queue.oldest_put_unix_ns = stored->record.put_unix_ns;
  }
  return std::max<int64_t>(0, (clock_.unix_now_ns() - queue.oldest_put_unix_ns) / 1'000'000);
}

v1::ListQueuesResponse QueueCore::list_queues(const v1::ListQueuesRequest& request) const {
  v1::ListQueuesResponse response;
  for (const auto& [id, queue] : store_->queues()) {
    if (!is_asked_for(request.queue(), queue->name)) continue;
    v1::QueueInfo* info = response.add_queues();
    fill_counters(*queue, *info);
    fill_flags(*queue, *info);
    info->set_oldest_age_ms(oldest_age_ms(*queue));
    std::set<std::string> consumers;
    for (const Demand& demand : queue->demands) consumers.insert(demand.client);
    for (const auto& [lease_id, lease] : leases_) {
      if (lease.queue_id != id) continue;
      consumers.insert(lease.client);
      info->set_lease_count(info->lease_count() + 1);
    }
    info->set_consumer_count(static_cast<int64_t>(consumers.size()));
    for (const Request& waiting : waiting_for_journal_) {
      if (waiting.frame.commit().queue() == queue->name) {
        info->set_waiting_commit_count(info->waiting_commit_count() + 1);
      }
    }
  }
  fill_log(*response.mutable_log());
  fill_service(*response.mutable_service());
  return response;
}

void QueueCore::fill_log(v1::LogInfo& info) const {
  const Log& log = std::as_const(*store_).log();
  info.set_segment_count(static_cast<int64_t>(log.segment_count()));
  info.set_free_segment_count(static_cast<int64_t>(log.spare_count()));
  info.set_live_bytes(store_->live_bytes());
  info.set_sync_count(static_cast<int64_t>(log.stats().sync_count));
  info.set_synced_record_count(static_cast<int64_t>(log.stats().synced_record_count));
  info.set_recovery_ms(recovery_ms_);
  info.set_cut_bytes(static_cast<int64_t>(log.stats().cut_bytes));
  info.set_segment_bytes(static_cast<int64_t>(log.segment_bytes()));
  info.set_copied_bytes(store_->copied_bytes());
  const LogStats& stats = log.stats();
  const Percentiles sync = stats.write_ns.percentiles();
  info.set_sync_p50_us(sync.p50 / 1'000);
  info.set_sync_p99_us(sync.p99 / 1'000);
  info.set_sync_max_us(sync.max / 1'000);
  const Percentiles group = stats.group_bytes.percentiles();
  info.set_group_p50_bytes(group.p50);
  info.set_group_p99_bytes(group.p99);
  info.set_group_max_bytes(group.max);
  info.set_synced_bytes(static_cast<int64_t>(stats.written_bytes));
  info.set_recovered_summary_count(static_cast<int64_t>(stats.summarised_segment_count));
  info.set_recovered_full_count(static_cast<int64_t>(stats.replayed_segment_count));
  info.set_cache_hit_count(static_cast<int64_t>(stats.memory_read_count));
  info.set_cache_miss_count(static_cast<int64_t>(stats.window_read_count + stats.disk_read_count));
}

void QueueCore::fill_service(v1::ServiceQuota& quota) const {
  quota.set_message_count(store_->message_count());
  quota.set_destroyed_count(store_->destroyed_count());
  quota.set_quota_messages(options_.quota_messages);
  quota.set_bytes(store_->message_bytes());
  quota.set_quota_bytes(options_.quota_bytes);
  quota.set_free_disk_bytes(free_disk_bytes_);
  quota.set_free_disk_min_bytes(options_.free_disk_min_bytes);
  quota.set_full_reason(full_reason());
  quota.set_is_full(!quota.full_reason().empty());
  quota.set_source_key_count(store_->source_key_count());
  quota.set_source_key_bytes(static_cast<int64_t>(store_->source_key_memory()));
  quota.set_client_count(static_cast<int64_t>(clients_.size()));
  size_t index_bytes = 0;
  for (const auto& [id, queue] : store_->queues()) index_bytes += queue->index.memory_bytes();
  quota.set_index_bytes(static_cast<int64_t>(index_bytes));
}

std::vector<std::string> QueueCore::notices() const {
  std::vector<std::string> notices;
  for (const base::AlarmCondition& alarm : alarm_conditions()) {
    notices.push_back(alarm.subject.empty() ? alarm.text : alarm.subject + ": " + alarm.text);
  }
  if (const uint64_t cut = std::as_const(*store_).log().stats().cut_bytes; cut > 0) {
    notices.push_back(fmt::format("{} bytes of an unfinished group were cut at the start", cut));
  }
  return notices;
}

// Of a disk that takes no more segments, where a queue has a journal; empty if none has.
std::string QueueCore::what_waits_to_copy() const {
  const auto& queues = store_->queues();
  const bool has_journal = std::any_of(queues.begin(), queues.end(), [](const auto& entry) {
    return entry.second->settings.has_journal();
  });
  if (!has_journal) return {};
  return fmt::format(
      ", queues with a journal give nothing out and their commits wait waiting_commit_count={}",
      waiting_for_journal_.size());
}

std::vector<base::AlarmCondition> QueueCore::alarm_conditions() const {
  std::vector<base::AlarmCondition> alarms;
  const auto raise = [&alarms](std::string name, std::string subject, std::string text) {
    alarms.push_back({std::move(name), std::move(subject), std::move(text)});
  };
  if (damage_count_ > 0) {
    raise(
        "log-damaged", "",
        fmt::format("{} damaged places in the log, the first: {}; a message that lies there cannot "
                    "be delivered: see the runbook before anything is restarted",
                    damage_count_, damage_));
  }
  if (is_disk_full_) {
    raise("disk-full", "",
          fmt::format("the disk is nearly full: puts are refused free_bytes={} "
                      "free_disk_min_bytes={}; make room on the disk of queue.data_dir",
                      free_disk_bytes_, options_.free_disk_min_bytes));
  }
  if (!std::as_const(*store_).log().can_grow()) {
    raise(
        "disk-full", "segments",
        fmt::format("the disk takes no more segments: puts are refused{}{}; make room on the disk "
                    "of queue.data_dir",
                    may_end() ? "" : ", what is poison or abandoned waits", what_waits_to_copy()));
  }
  if (store_->is_short_of_space()) {
    raise("service-full", "clearing",
          "old segments are being cleared: puts are refused until their space is free again; "
          "queue.copy_bytes_per_second or the disk is too slow for what is put");
  }
  if (is_full_of_source_keys()) {
    raise("service-full", "source-keys",
          fmt::format("too many source keys within their window: puts with one are refused "
                      "source_keys={}; see queue.source_key_window_ms",
                      store_->source_key_count()));
  }
  if (is_service_full_) {
    raise("service-full", "",
          fmt::format("queue.quota_bytes or queue.quota_messages is reached: puts are refused "
                      "messages={} bytes={}; see why consumers are slow",
                      store_->message_count(), store_->message_bytes()));
  }
  if (!store_->has_control_room(store_->control_max_bytes() / 10)) {
    raise("control-full", "",
          fmt::format("sources, producers, queues and names of deleted queues take nearly all that "
                      "fits: above it new ones are refused bytes={} bytes_max={}; delete queues "
                      "that are not needed, or set a larger queue.segment_bytes",
                      store_->control_bytes(), store_->control_max_bytes()));
  }
  if (!not_permitted_who_.empty() || not_permitted_count_ > 0) {
    if (clock_.monotonic() - not_permitted_at_ < kNotPermittedLife) {
      raise("not-permitted", not_permitted_who_,
            "a client asked for what its key may not do; see queue.security.clients");
    }
  }
  for (const auto& [name, count] : lost_acknowledgements_) {
    if (std::as_const(*store_).find(name) != nullptr) continue;
    raise("acknowledgements-lost", name,
          fmt::format("acknowledgements had no queue any more count={}; make it again", count));
  }
  for (const auto& [id, queue] : store_->queues()) queue_alarms(*queue, alarms);
  return alarms;
}

void QueueCore::queue_alarms(const NamedQueue& queue,
                             std::vector<base::AlarmCondition>& alarms) const {
  const auto raise = [&](std::string name, std::string text) {
    alarms.push_back({std::move(name), queue.name, std::move(text)});
  };
  const std::string_view sub = sub_name_of(queue.name);
  const int64_t depth = queue.index.count();
  if (queue.is_full) {
    raise("queue-full", fmt::format("the queue's quota is reached: puts are refused messages={} "
                                    "bytes={}; see why its consumers are slow",
                                    depth, queue.index.bytes()));
  }
  if ((sub == kDeadLetters || sub == kPoison) && depth > options_.alarm_dead_letters) {
    raise(sub == kPoison ? "poison" : "dead-letters",
          fmt::format("{} messages are here and in no archive: look at them, then redrive", depth));
    return;
  }
  if (sub == kJournal) return;
  if (!waiting_for_journal_.empty() || queue.settings.has_journal()) {
    const int64_t quota = queue.settings.journal_quota_bytes();
    const NamedQueue* journal = std::as_const(*store_).find(sub_queue(queue.name, kJournal));
    if (quota > 0 && journal != nullptr && journal->index.bytes() >= quota) {
      raise("journal-full", fmt::format("the journal is at its quota: commits wait bytes={} "
                                        "quota={}; trim it",
                                        journal->index.bytes(), quota));
    }
  }
  // An operator's own sub-queues have consumers as queues have.
  if (!is_system_sub_queue(queue.name) && oldest_age_ms(queue) > options_.alarm_age.count()) {
    raise("oldest-age", fmt::format("the oldest message waits for more than {} s: see whether its "
                                    "consumer runs, and whether an order key is stuck",
                                    options_.alarm_age.count() / 1'000));
  }
}

// --- peek ---

Result<v1::PeekResponse> QueueCore::peek(const v1::PeekRequest& request) {
  const bool is_retry_view = sub_name_of(request.queue()) == kRetry;
  const std::string name =
      is_retry_view ? std::string(parent_of(request.queue())) : request.queue();
  const NamedQueue* queue = store_->find(name);
  if (queue == nullptr) return not_found("no such queue");
  if (request.max_count() < 1 || request.max_count() > kPeekMaxCount) {
    return invalid_argument("max_count must be 1 to 1,000");
  }
  const uint64_t from = request.from_lookup_id();
  const bool is_backward = request.direction() == v1::PeekRequest::DIRECTION_PREVIOUS ||
                           request.direction() == v1::PeekRequest::DIRECTION_LAST;
  const auto next = [&](uint64_t id) {
    return is_backward ? (id <= 1 ? 0 : queue->index.at_or_below(id - 1))
                       : queue->index.at_or_above(id + 1);
  };
  uint64_t id = 0;
  switch (request.direction()) {
    case v1::PeekRequest::DIRECTION_FIRST:
      id = queue->index.at_or_above(1);
      break;
    case v1::PeekRequest::DIRECTION_LAST:
      id = queue->index.at_or_below(queue->next_lookup_id);
      break;
    case v1::PeekRequest::DIRECTION_NEXT:
    case v1::PeekRequest::DIRECTION_PREVIOUS:
      id = next(from);
      break;
    case v1::PeekRequest::DIRECTION_AT:
      if (queue->index.find(from) == nullptr) return not_found("no such message");
      id = from;
      break;
    default:
      id = queue->index.at_or_above(std::max<uint64_t>(1, from));
  }
  v1::PeekResponse response;
  const auto until = clock_.monotonic() + kPeekMaxTime;
  for (int looked = 0; id != 0; id = next(id)) {
    if (response.messages_size() >= request.max_count() || ++looked > kPeekLookMaxCount ||
        (looked > 1 && clock_.monotonic() > until)) {
      response.set_next_lookup_id(id);
      break;
    }
    const bool is_in_view = !is_retry_view || queue->index.find(id)->is_delayed;
    ASSIGN_OR_RETURN(const bool is_meant, matches(*queue, id, request.filter()));
    if (is_in_view && is_meant) {
      RETURN_IF_ERROR(fill_message_info(*queue, id, *response.add_messages()));
    }
    if (request.direction() == v1::PeekRequest::DIRECTION_AT) break;
  }
  return response;
}

Status QueueCore::fill_message_info(const NamedQueue& queue, uint64_t lookup_id,
                                    v1::MessageInfo& info) {
  const IndexedMessage& message = *queue.index.find(lookup_id);
  ASSIGN_OR_RETURN(StoredMessage stored, store_->read(queue, lookup_id));
  const MessageRecord& record = stored.record;
  info.set_lookup_id(lookup_id);
  info.set_source(std::string(record.source));
  info.set_put_unix_ns(record.put_unix_ns);
  info.set_bytes(static_cast<int64_t>(record.envelope.size() + record.body.size()));
  info.set_delivery_count(message.delivery_count);
  info.set_is_leased(message.state == MessageState::kLeased);
  info.set_order_key(std::string(record.order_key));
  info.set_label(stored.extra.label());
  info.set_correlation_id(stored.extra.correlation_id());
  *info.mutable_hops() = std::move(*stored.extra.mutable_hops());
  const auto until = queue.index.delayed_until(lookup_id);
  if (until > std::chrono::nanoseconds(0) && until < std::chrono::nanoseconds::max()) {
    info.set_not_before_unix_ns(clock_.unix_now_ns() + (until - clock_.monotonic()).count());
  }
  return {};
}

}  // namespace verbatim::queue
