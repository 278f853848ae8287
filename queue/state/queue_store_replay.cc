// QueueStore from its log: docs/formats/log.md, "Recovery". Records in full change control state
// and messages; digests change messages only, because a later snapshot has the control state.
#include "base/check.h"
#include "base/endian.h"
#include "base/log.h"
#include "queue/state/queue_store.h"
#include "queue/state/source_key_digest.h"

namespace verbatim::queue {
namespace {

template <class Message>
Result<Message> parse(std::string_view payload, LogPosition position) {
  Message message;
  if (message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return message;
  return data_loss(fmt::format("a record cannot be read {}", to_string(position)));
}

}  // namespace

NamedQueue& QueueStore::queue_of(uint32_t id) {
  auto& queue = queues_[id];
  if (!queue) {
    queue = std::make_unique<NamedQueue>(options_.source_key_window, run_max_count());
    queue->id = id;
  }
  next_queue_id_ = std::max(next_queue_id_, id + 1);
  return *queue;
}

// The control state must fit into a segment beside a group, whatever clients do.
size_t QueueStore::run_max_count() const { return options_.log.segment_bytes / 1024; }

int64_t QueueStore::control_bytes() const {
  if (control_bytes_) return *control_bytes_;
  int64_t bytes = retired_bytes_;
  for (const auto& [id, queue] : queues_) bytes += queue->control_bytes();
  control_bytes_ = bytes;
  return bytes;
}

void QueueStore::retire_name(const std::string& name, uint64_t next_lookup_id) {
  const auto [it, is_new] = retired_names_.insert_or_assign(name, next_lookup_id);
  if (is_new) retired_bytes_ += NamedQueue::source_control_bytes(name);
  control_bytes_.reset();
}

void QueueStore::use_name(const std::string& name) {
  if (retired_names_.erase(name) > 0) retired_bytes_ -= NamedQueue::source_control_bytes(name);
  control_bytes_.reset();
}

Status QueueStore::replay(RecordType type, std::string_view payload, LogPosition position) {
  switch (type) {
    case RecordType::kSnapshot:
      return replay_snapshot(payload);
    case RecordType::kQueueMade: {
      ASSIGN_OR_RETURN(const auto made, parse<v1::LogQueueMade>(payload, position));
      NamedQueue& queue = queue_of(made.queue_id());
      queue.name = made.name();
      queue.settings = made.settings();
      queue.next_lookup_id = std::max<uint64_t>(1, made.next_lookup_id());
      use_name(made.name());
      return {};
    }
    case RecordType::kQueueChanged: {
      ASSIGN_OR_RETURN(const auto changed, parse<v1::LogQueueChanged>(payload, position));
      NamedQueue& queue = queue_of(changed.queue_id());
      queue.settings = changed.settings();
      queue.flags = changed.flags();
      return {};
    }
    case RecordType::kQueueDeleted: {
      ASSIGN_OR_RETURN(const auto deleted, parse<v1::LogQueueDeleted>(payload, position));
      return apply_deleted(deleted);
    }
    case RecordType::kProducerOpened: {
      ASSIGN_OR_RETURN(const auto opened, parse<v1::LogProducerOpened>(payload, position));
      set_opened(queue_of(opened.queue_id()), opened);
      return {};
    }
    case RecordType::kPut: {
      ASSIGN_OR_RETURN(const auto put, parse<v1::LogPut>(payload, position));
      apply_put(put);
      return {};
    }
    case RecordType::kMessage:
    case RecordType::kMessageCopy:
    case RecordType::kMessageMoved:
      return replay_message(type, payload, position);
    case RecordType::kRemoved:
    case RecordType::kDelivered:
    case RecordType::kReturned: {
      ASSIGN_OR_RETURN(const auto ranges, parse<v1::LogRanges>(payload, position));
      return apply_ranges(type, ranges, true);
    }
    case RecordType::kSourceKeyCopy: {
      ASSIGN_OR_RETURN(const auto key, parse<v1::LogSourceKey>(payload, position));
      return replay_digest(type, encode_source_key_digest(key), position,
                           static_cast<uint32_t>(payload.size()));
    }
    case RecordType::kGroup:
    case RecordType::kSummary:
      return {};
  }
  return failed_precondition(
      fmt::format("the log holds a record of a newer verbatim-queue {} record_type={}",
                  to_string(position), static_cast<int>(type)));
}

Status QueueStore::replay_digest(RecordType type, std::string_view digest, LogPosition position,
                                 uint32_t payload_size) {
  switch (type) {
    case RecordType::kMessage:
    case RecordType::kMessageCopy:
    case RecordType::kMessageMoved: {
      const auto message = decode_digest(digest);
      if (!message) break;
      return apply_message(*message, position, payload_size);
    }
    case RecordType::kRemoved:
    case RecordType::kDelivered:
    case RecordType::kReturned: {
      ASSIGN_OR_RETURN(const auto ranges, parse<v1::LogRanges>(digest, position));
      return apply_ranges(type, ranges, false);
    }
    case RecordType::kSourceKeyCopy: {
      const auto key = decode_source_key_digest(digest);
      if (!key) break;
      queue_of(key->queue_id)
          .source_keys.add(key->hash, {.lookup_id = key->lookup_id,
                                       .put_unix_ns = key->put_unix_ns,
                                       .position = PackedPosition(position),
                                       .payload_size = payload_size,
                                       .is_copy = true});
      return {};
    }
    default:
      break;
  }
  return data_loss(fmt::format("a segment's summary cannot be read {}", to_string(position)));
}

Status QueueStore::replay_message(RecordType type, std::string_view payload, LogPosition position) {
  const auto record = decode_message_record(payload);
  if (!record) {
    return data_loss(fmt::format("a message record cannot be read {}", to_string(position)));
  }
  RETURN_IF_ERROR(
      apply_message(digest_of(*record), position, static_cast<uint32_t>(payload.size())));
  NamedQueue& queue = queue_of(record->queue_id);
  if (type == RecordType::kMessageCopy) return {};
  queue.next_lookup_id = std::max(queue.next_lookup_id, record->lookup_id + 1);
  if (type == RecordType::kMessageMoved) {
    ++queue.moved_in_count;
    return {};
  }
  ++queue.accepted_count;
  queue.count_of_source(record->source) = record->source_count;
  return {};
}

Status QueueStore::apply_message(const MessageDigest& digest, LogPosition position,
                                 uint32_t payload_size) {
  NamedQueue& queue = queue_of(digest.queue_id);
  if (const IndexedMessage* known = queue.index.find(digest.lookup_id)) {
    unuse_segment(known->position.unpack(), known->payload_size);
  }
  queue.index.load({.lookup_id = digest.lookup_id,
                    .position = position,
                    .payload_size = payload_size,
                    .delivery_count = digest.delivery_count,
                    .order_key_hash = digest.order_key_hash,
                    .wants_consumed = digest.wants_consumed,
                    .reason = digest.reason});
  use_segment(queue, digest.lookup_id, position, payload_size);
  if (digest.has_source_key) {
    queue.source_keys.add(digest.source_key_hash, {.lookup_id = digest.lookup_id,
                                                   .put_unix_ns = digest.put_unix_ns,
                                                   .position = PackedPosition(position),
                                                   .payload_size = payload_size});
  }
  return {};
}

void QueueStore::apply_put(const v1::LogPut& put) {
  NamedQueue& queue = queue_of(put.queue_id());
  for (const v1::LogRun& run : put.runs()) {
    if (run.is_repeat()) queue.repeat_count += static_cast<int64_t>(run.count());
  }
  if (!options_.canaries.forgets_producers) add_runs(queue, put);
}

// `counts`: the control state is not in a later snapshot.
Status QueueStore::apply_ranges(RecordType type, const v1::LogRanges& ranges, bool counts) {
  NamedQueue& queue = queue_of(ranges.queue_id());
  if (counts) queue.redelivered_count += ranges.redelivered_count();
  int64_t count = 0;
  for (int i = 0; i + 1 < ranges.ranges_size(); i += 2) {
    const uint64_t first = ranges.ranges(i);
    // Each message leaves once, so all count, also those whose segment is gone.
    count += static_cast<int64_t>(ranges.ranges(i + 1));
    for (uint64_t id = first; id < first + ranges.ranges(i + 1); ++id) {
      IndexedMessage* message = queue.index.find(id);
      if (message == nullptr) continue;
      if (type == RecordType::kRemoved) {
        unuse_segment(message->position.unpack(), message->payload_size);
        queue.index.unload(id);
      } else if (type == RecordType::kDelivered) {
        if (!options_.canaries.forgets_deliveries) queue.index.load_delivery(id);
      } else {
        queue.index.load_return(id, ranges.is_untried());
        if (ranges.not_before_unix_ns() != 0) {
          queue.index.delay(id, monotonic_of(ranges.not_before_unix_ns()));
        }
      }
    }
  }
  if (!counts || type != RecordType::kRemoved) return {};
  if (ranges.is_destroyed()) {
    queue.destroyed_count += count;
  } else if (ranges.end_reason() == v1::END_REASON_UNSPECIFIED) {
    queue.committed_count += count;
  } else {
    queue.ended_count[ranges.end_reason()] += count;
  }
  return {};
}

Status QueueStore::apply_deleted(const v1::LogQueueDeleted& deleted) {
  const auto it = queues_.find(deleted.queue_id());
  if (it == queues_.end()) return {};
  if (it->second->index.count() > 0) {
    return data_loss("a queue was deleted that holds messages name=" + deleted.name());
  }
  run_count_ -= it->second->producers.run_count();
  destroyed_of_deleted_count_ += it->second->destroyed_count;
  retire_name(deleted.name(), deleted.next_lookup_id());
  ids_.erase(deleted.name());
  queues_.erase(it);
  return {};
}

Status QueueStore::replay_snapshot(std::string_view payload) {
  ASSIGN_OR_RETURN(const auto snapshot, parse<v1::LogSnapshot>(payload, {}));
  std::map<uint32_t, bool> named;
  for (const v1::LogQueue& saved : snapshot.queues()) {
    queue_of(saved.queue_id()).load(saved);
    named[saved.queue_id()] = true;
  }
  for (auto it = queues_.begin(); it != queues_.end();) {
    if (named.contains(it->first)) {
      ++it;
      continue;
    }
    // Deleted in a segment that was read by its summary.
    if (it->second->index.count() > 0) return data_loss("a snapshot has lost a queue");
    it = queues_.erase(it);
  }
  next_queue_id_ = std::max(next_queue_id_, snapshot.next_queue_id());
  destroyed_of_deleted_count_ = snapshot.destroyed_of_deleted_count();
  retired_names_.clear();
  retired_bytes_ = 0;
  for (const auto& [name, next] : snapshot.retired_names()) retire_name(name, next);
  run_count_ = 0;
  for (const auto& [id, queue] : queues_) run_count_ += queue->producers.run_count();
  return {};
}

std::string QueueStore::snapshot() {
  v1::LogSnapshot snapshot;
  for (const auto& [id, queue] : queues_) queue->save(*snapshot.add_queues());
  snapshot.set_next_queue_id(next_queue_id_);
  snapshot.set_destroyed_of_deleted_count(destroyed_of_deleted_count_);
  for (const auto& [name, next] : retired_names_) (*snapshot.mutable_retired_names())[name] = next;
  return snapshot.SerializeAsString();
}

Status QueueStore::finish_replay() {
  for (const auto& [id, queue] : queues_) {
    if (queue->name.empty()) return data_loss("the log has messages of a queue without a name");
    ids_[queue->name] = id;
    queue->index.finish_loading();
  }
  return {};
}

}  // namespace verbatim::queue
