// QueueCore's answers to producers: docs/formats/frames.md, "Hop numbering".
#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/refusal.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr size_t kNameMaxBytes = 128;
constexpr size_t kSourceKeyMaxBytes = 512;
constexpr size_t kOrderKeyMaxBytes = 4096;
constexpr size_t kVerdictMaxBytes = 4096;
constexpr size_t kLabelMaxBytes = 249;
constexpr size_t kCorrelationMaxBytes = 64;
constexpr uint64_t kAcknowledgementBytes = 8 * 1024;
constexpr size_t kSourceMaxCount = 16 * 1024;
constexpr const char* kNoControlRoom =
    "too many sources, producers and queues for queue.segment_bytes: nothing new";

bool is_name(std::string_view name) { return !name.empty() && name.size() <= kNameMaxBytes; }

bool has_extra(const PutMessageView& message) {
  return !message.label.empty() || !message.correlation_id.empty() || message.acknowledge;
}

MessageRecord record_of(const PutMessageView& message) {
  MessageRecord record;
  record.source = message.source;
  record.order_key = message.order_key;
  record.source_key = message.source_key;
  record.verdict = message.verdict;
  record.envelope = message.envelope;
  record.body = message.body;
  return record;
}

std::optional<v1::LogMessageExtra> extra_of(const PutMessageView& message) {
  if (!has_extra(message)) return std::nullopt;
  v1::LogMessageExtra extra;
  extra.set_label(std::string(message.label));
  extra.set_correlation_id(std::string(message.correlation_id));
  if (message.acknowledge) *extra.mutable_acknowledge() = *message.acknowledge;
  return extra;
}

// Payload bytes and records that a put may need.
struct Room {
  uint64_t bytes = QueueStore::kRecordBytes;
  uint64_t count = 1;
};
Room room_of(const PutView& put) {
  Room room;
  for (const PutMessageView& message : put.messages) {
    room.bytes += message_record_size(record_of(message)) + QueueStore::kRangeBytes;
    ++room.count;
    if (!has_extra(message)) continue;
    room.bytes += message.label.size() + message.correlation_id.size() + QueueStore::kRangeBytes;
    if (!message.acknowledge) continue;
    room.bytes += message.acknowledge->ByteSizeLong();
    if (!message.acknowledge->on_reached()) continue;
    room.bytes += kAcknowledgementBytes;
    ++room.count;
  }
  return room;
}

// Takes the next answer into the runs of a put.
void add_run(v1::LogPut& log, uint64_t lookup_id, bool is_repeat) {
  if (const int count = log.runs_size(); count > 0) {
    v1::LogRun& last = *log.mutable_runs(count - 1);
    if (last.is_repeat() == is_repeat && last.first_lookup_id() + last.count() == lookup_id) {
      last.set_count(last.count() + 1);
      return;
    }
  }
  v1::LogRun* run = log.add_runs();
  run->set_count(1);
  run->set_first_lookup_id(lookup_id);
  run->set_is_repeat(is_repeat);
}

std::string check_fields(const PutMessageView& message) {
  if (!is_name(message.source)) return "source is 1 to 128 bytes";
  if (message.source_key.size() > kSourceKeyMaxBytes) return "source_key is too long";
  if (message.order_key.size() > kOrderKeyMaxBytes) return "order_key is too long";
  if (message.verdict.size() > kVerdictMaxBytes) return "verdict is too long";
  if (message.label.size() > kLabelMaxBytes) return "label is longer than 249 bytes";
  if (message.correlation_id.size() > kCorrelationMaxBytes) {
    return "correlation_id is longer than 64 bytes";
  }
  return {};
}

}  // namespace

bool QueueCore::on_open_producer(const Request& request) {
  const v1::OpenProducer& open = request.frame.open_producer();
  if (refuse_unknown_or_forbidden(request, open.queue(), true)) return true;
  NamedQueue* queue = store_->find(open.queue());
  if (!is_name(open.producer())) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "producer is 1 to 128 bytes"), queue);
    return true;
  }
  const Producer* known = queue->producers.find(open.producer());
  if (!may_use(request.user, known)) {
    refuse(request,
           refused(v1::REFUSAL_REASON_NOT_PERMITTED, "its producer belongs to another key"), queue);
    return true;
  }
  const uint64_t epoch = known != nullptr ? known->epoch : 0;
  if (open.epoch() != 0 && open.epoch() <= epoch) {
    v1::Refused refusal = refused(v1::REFUSAL_REASON_FENCED, "a newer epoch is in force");
    refusal.set_expected_epoch(epoch);
    refuse(request, std::move(refusal), queue);
    return true;
  }
  if (open.epoch() != 0) {
    if (is_stopping_) {
      refuse(request, refused(v1::REFUSAL_REASON_STOPPING, "the service is stopping"), queue);
      return true;
    }
    if (auto refusal = check_new_producer(*queue, open.producer(), request.user)) {
      refuse(request, *std::move(refusal), queue);
      return true;
    }
    if (!store_->reserve(QueueStore::kRecordBytes, 1)) return false;
    v1::LogProducerOpened opened;
    opened.set_queue_id(queue->id);
    opened.set_producer(open.producer());
    opened.set_epoch(open.epoch());
    opened.set_unix_ns(clock_.unix_now_ns());
    opened.set_owner(request.user);
    store_->open_producer(*queue, opened);
    known = queue->producers.find(open.producer());
  }
  v1::QueueFrame frame;
  v1::OpenProducerReply& reply_body = *frame.mutable_open_producer_reply();
  if (known != nullptr) {
    reply_body.set_epoch(known->epoch);
    reply_body.set_last_sequence(known->last_sequence);
  }
  reply(request, std::move(frame));
  return true;
}

std::optional<v1::Refused> QueueCore::check_put(const NamedQueue& queue, const PutView& put) {
  const auto invalid = [](std::string detail) {
    return refused(v1::REFUSAL_REASON_INVALID, std::move(detail));
  };
  if (is_system_sub_queue(queue.name)) {
    return invalid("only the service itself puts into this sub-queue");
  }
  // The service takes out what is in there: only what says that it is the service's own may be.
  const auto is_own = [&](const PutMessageView& message) { return message.source == queue.name; };
  if (is_service_queue(queue.name) &&
      !std::all_of(put.messages.begin(), put.messages.end(), is_own)) {
    return invalid("only the service itself puts into this queue");
  }
  if (put.message_count > put.messages.size()) {
    return refused(v1::REFUSAL_REASON_TOO_LARGE,
                   fmt::format("message_count={} message_max_count={}", put.message_count,
                               put.messages.size()));
  }
  if (!is_name(put.producer)) return invalid("producer is 1 to 128 bytes");
  if (put.epoch == 0 || put.first_sequence == 0) return invalid("epoch and number are above 0");
  if (put.messages.empty()) return invalid("a put has a message");
  if (put.first_sequence > (uint64_t{1} << 62)) return invalid("first_sequence is too large");
  return std::nullopt;
}

// Only of what is new: what is stored is answered as the first time, whatever the rules are now.
std::optional<v1::Refused> QueueCore::check_messages(const NamedQueue& queue,
                                                     const Request& request,
                                                     size_t repeat_count) const {
  const PutView& put = *request.put;
  const auto invalid = [](std::string detail) {
    return refused(v1::REFUSAL_REASON_INVALID, std::move(detail));
  };
  for (size_t i = repeat_count; i < put.messages.size(); ++i) {
    const PutMessageView& message = put.messages[i];
    if (std::string wrong = check_fields(message); !wrong.empty()) return invalid(std::move(wrong));
    const auto size = static_cast<int64_t>(message.envelope.size() + message.body.size());
    if (size > options_.message_max_bytes) {
      return refused(
          v1::REFUSAL_REASON_TOO_LARGE,
          fmt::format("message_bytes={} message_max_bytes={}", size, options_.message_max_bytes));
    }
    if (!message.acknowledge) continue;
    if (!may(request.user, message.acknowledge->queue(), true)) {
      return refused(v1::REFUSAL_REASON_NOT_PERMITTED,
                     "its key may not put to the administration queue");
    }
    const NamedQueue* wanted = std::as_const(*store_).find(message.acknowledge->queue());
    if (wanted == nullptr || is_system_sub_queue(wanted->name) || is_service_queue(wanted->name)) {
      return refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, "no such administration queue");
    }
  }
  if (const uint64_t size = room_of(put).bytes; size > store_->unit_max_bytes()) {
    return refused(v1::REFUSAL_REASON_TOO_LARGE,
                   fmt::format("put_bytes={} put_max_bytes={}", size, store_->unit_max_bytes()));
  }
  return check_new_sources(queue, put);
}

// "Full" and no more than that: a client keeps what it has and tries again.
v1::Refused QueueCore::no_room_for_new(std::string detail) const {
  v1::Refused full = refused(v1::REFUSAL_REASON_FULL, std::move(detail));
  full.set_retry_after_ms(options_.full_retry_after.count());
  return full;
}

std::optional<v1::Refused> QueueCore::check_new_producer(const NamedQueue& queue,
                                                         std::string_view name,
                                                         const std::string& user) const {
  if (queue.producers.find(name) != nullptr) return std::nullopt;
  if (!queue.producers.has_room(user)) {
    return no_room_for_new("too many producers that belong to keys");
  }
  if (!store_->has_control_room(Producers::control_bytes(name, user))) {
    return no_room_for_new(kNoControlRoom);
  }
  return std::nullopt;
}

std::optional<v1::Refused> QueueCore::check_new_sources(const NamedQueue& queue,
                                                        const PutView& put) const {
  // As if all were new: mostly that is enough to know.
  int64_t bytes = 0;
  for (const PutMessageView& message : put.messages) {
    bytes += NamedQueue::source_control_bytes(message.source);
  }
  const size_t known_count = queue.accepted_by_source.size();
  if (store_->has_control_room(bytes) && known_count + put.messages.size() <= kSourceMaxCount) {
    return std::nullopt;
  }
  std::set<std::string_view> new_sources;
  bytes = 0;
  for (const PutMessageView& message : put.messages) {
    if (queue.accepted_by_source.contains(message.source)) continue;
    if (!new_sources.insert(message.source).second) continue;
    bytes += NamedQueue::source_control_bytes(message.source);
  }
  if (new_sources.empty()) return std::nullopt;
  if (known_count + new_sources.size() > kSourceMaxCount) {
    return refused(v1::REFUSAL_REASON_INVALID, "too many sources");
  }
  if (!store_->has_control_room(bytes)) return no_room_for_new(kNoControlRoom);
  return std::nullopt;
}

std::optional<v1::Refused> QueueCore::check_numbers(const NamedQueue& queue,
                                                    const Request& request) const {
  const PutView& put = *request.put;
  const Producer* producer = queue.producers.find(put.producer);
  if (!may_use(request.user, producer)) {
    return refused(v1::REFUSAL_REASON_NOT_PERMITTED, "its producer belongs to another key");
  }
  const uint64_t known_epoch = producer != nullptr ? producer->epoch : 0;
  const bool takes_epoch =
      put.epoch == known_epoch || (put.epoch < known_epoch && options_.canaries.takes_older_epochs);
  if (put.epoch < known_epoch && !takes_epoch) {
    v1::Refused refusal = refused(v1::REFUSAL_REASON_FENCED, "a newer epoch is in force");
    refusal.set_expected_epoch(known_epoch);
    return refusal;
  }
  // With keys a producer is opened first: that says to whom it belongs.
  const bool is_known =
      producer != nullptr && takes_epoch && (request.user.empty() || !producer->owner.empty());
  if (!is_known && (producer != nullptr || put.first_sequence > 1 || !request.user.empty())) {
    return refused(v1::REFUSAL_REASON_UNKNOWN_PRODUCER, "open the producer's epoch first");
  }
  if (!is_known) {
    if (auto refusal = check_new_producer(queue, put.producer, request.user)) return refusal;
  }
  const uint64_t expected = is_known ? producer->last_sequence + 1 : 1;
  const auto count = put.messages.size();
  const uint64_t repeat_count =
      put.first_sequence < expected ? std::min(count, expected - put.first_sequence) : 0;
  const bool is_forgotten =
      repeat_count > 0 &&
      queue.producers.answers(put.producer, put.first_sequence, repeat_count).empty();
  const bool is_gap =
      put.first_sequence > expected && !options_.canaries.takes_puts_out_of_sequence;
  if (is_gap || is_forgotten) {
    v1::Refused refusal = refused(v1::REFUSAL_REASON_OUT_OF_SEQUENCE,
                                  is_forgotten ? "stored, but its answer is no longer known"
                                               : "a put before this one is missing");
    refusal.set_expected_sequence(expected);
    refusal.set_expected_epoch(put.epoch);
    return refusal;
  }
  return std::nullopt;
}

std::optional<v1::Refused> QueueCore::check_full(NamedQueue& queue, const PutView& put) {
  std::string why = full_reason();
  if (why.empty() && is_full_of_source_keys() &&
      std::any_of(put.messages.begin(), put.messages.end(),
                  [](const PutMessageView& one) { return !one.source_key.empty(); })) {
    why = "too many source keys within their window";
  }
  const auto look_at = [&why](NamedQueue& one) {
    one.update_full();
    if (one.is_full && why.empty())
      why = fmt::format("the quota of queue '{}' is reached", one.name);
  };
  look_at(queue);
  for (const PutMessageView& message : put.messages) {
    if (!message.acknowledge) continue;
    if (NamedQueue* wanted = store_->find(message.acknowledge->queue())) look_at(*wanted);
  }
  if (why.empty() || options_.canaries.ignores_quotas) return std::nullopt;
  v1::Refused full = refused(v1::REFUSAL_REASON_FULL, std::move(why));
  full.set_retry_after_ms(options_.full_retry_after.count());
  return full;
}

bool QueueCore::on_put(const Request& request) {
  const PutView& put = *request.put;
  if (refuse_unknown_or_forbidden(request, put.queue, true)) return true;
  NamedQueue* queue = store_->find(put.queue);
  auto refusal = check_put(*queue, put);
  if (!refusal && is_stopping_) {
    refusal = refused(v1::REFUSAL_REASON_STOPPING, "the service is stopping");
  }
  if (!refusal) refusal = check_numbers(*queue, request);
  const Producer* producer = queue->producers.find(put.producer);
  const uint64_t last = producer != nullptr ? producer->last_sequence : 0;
  const auto count = put.messages.size();
  const uint64_t repeat_count =
      put.first_sequence <= last ? std::min(count, last + 1 - put.first_sequence) : 0;
  const bool stores = repeat_count < count;
  if (!refusal && stores) refusal = check_messages(*queue, request, repeat_count);
  if (!refusal && stores && (queue->flags.is_put_paused() || queue->flags.is_deleting())) {
    refusal =
        refused(v1::REFUSAL_REASON_PAUSED,
                queue->flags.is_deleting() ? "the queue is being deleted" : "the queue is paused");
    refusal->set_retry_after_ms(options_.full_retry_after.count());
  }
  if (!refusal && stores) refusal = check_full(*queue, put);
  if (refusal) {
    refuse(request, *std::move(refusal), queue);
    return true;
  }
  const Room room = room_of(put);
  if (stores && !store_->reserve(room.bytes, room.count)) return false;
  v1::QueueFrame frame;
  v1::PutReply& answers = *frame.mutable_put_reply();
  // What was stored before is answered as the first time.
  const auto stored = queue->producers.answers(put.producer, put.first_sequence, repeat_count);
  for (size_t i = 0; i < stored.size(); ++i) {
    v1::PutResult* result = answers.add_results();
    result->set_lookup_id(stored[i].lookup_id);
    result->set_is_repeat(stored[i].is_repeat);
    if (!stored[i].is_repeat) continue;
    auto repeat = store_->find_repeat(*queue, put.messages[i].source_key, clock_.unix_now_ns());
    if (!repeat) return fail(repeat.error());
    if (*repeat) result->set_first_verdict((*repeat)->verdict);
  }
  if (stores && !store_put(*queue, put, repeat_count, answers)) return true;
  reply(request, std::move(frame));
  if (stores) serve_demands(*queue);
  return true;
}

bool QueueCore::store_put(NamedQueue& queue, const PutView& put, size_t repeat_count,
                          v1::PutReply& answers) {
  v1::LogPut log;
  log.set_queue_id(queue.id);
  log.set_producer(std::string(put.producer));
  log.set_epoch(put.epoch);
  log.set_first_sequence(put.first_sequence + repeat_count);
  const int64_t now = clock_.unix_now_ns();
  log.set_unix_ns(now);
  for (size_t i = repeat_count; i < put.messages.size(); ++i) {
    const PutMessageView& message = put.messages[i];
    v1::PutResult* result = answers.add_results();
    if (!message.source_key.empty() && !options_.canaries.stores_repeats_of_source_keys) {
      auto repeat = store_->find_repeat(queue, message.source_key, now);
      if (!repeat) return !fail(repeat.error());
      if (*repeat) {
        result->set_lookup_id((*repeat)->lookup_id);
        result->set_is_repeat(true);
        result->set_first_verdict(std::move((*repeat)->verdict));
        ++queue.repeat_count;
      }
    }
    if (!result->is_repeat()) {
      const auto extra = extra_of(message);
      result->set_lookup_id(store_->put(queue, record_of(message), extra ? &*extra : nullptr, now));
      if (message.acknowledge && message.acknowledge->on_reached()) {
        v1::Acknowledgement reached;
        reached.set_kind(v1::Acknowledgement::KIND_REACHED);
        reached.set_queue(queue.name);
        reached.set_lookup_id(result->lookup_id());
        reached.set_label(std::string(message.label));
        reached.set_correlation_id(std::string(message.correlation_id));
        reached.set_source(std::string(message.source));
        acknowledge(*message.acknowledge, std::move(reached), message.order_key);
      }
    }
    add_run(log, result->lookup_id(), result->is_repeat());
  }
  store_->finish_put(queue, log);
  return true;
}

}  // namespace verbatim::queue
