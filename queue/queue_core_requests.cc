// QueueCore's answers to requests: docs/formats/frames.md says what each means.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/endian.h"
#include "base/log.h"
#include "queue/queue_core.h"

namespace verbatim::queue {
namespace {

constexpr size_t kNameMaxBytes = 128;
constexpr size_t kSourceKeyMaxBytes = 512;
constexpr size_t kOrderKeyMaxBytes = 4096;
constexpr size_t kVerdictMaxBytes = 4096;
constexpr int64_t kReceiveMaxCount = 65'536;
constexpr size_t kPollMaxCount = 4'096;
// Room kept in a reply frame for the fields around the bytes.
constexpr int64_t kRangeBytes = 24;

v1::Refused refused(v1::RefusalReason reason, std::string detail) {
  v1::Refused refusal;
  refusal.set_reason(reason);
  refusal.set_detail(std::move(detail));
  return refusal;
}

bool is_name(const std::string& name) { return !name.empty() && name.size() <= kNameMaxBytes; }

MessageRecord record_of(const v1::PutMessage& message) {
  MessageRecord record;
  record.source = message.source();
  record.order_key = message.order_key();
  record.source_key = message.source_key();
  record.verdict = message.verdict();
  record.envelope = message.envelope();
  record.body = message.body();
  return record;
}

size_t put_size(const v1::Put& put) {
  size_t size = 256;
  for (const v1::PutMessage& message : put.messages()) {
    size += message_record_size(record_of(message)) + kRangeBytes;
  }
  return size;
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

}  // namespace

void QueueCore::handle_garbage(const std::string& peer, uint64_t request_id) {
  ++garbage_count_;
  if (request_id == 0) return;
  v1::QueueFrame frame;
  *frame.mutable_refused() = refused(v1::REFUSAL_REASON_INVALID, "the request cannot be read");
  reply(peer, request_id, 0, std::move(frame), 0);
}

void QueueCore::handle(const std::string& peer, const v1::QueueFrame& frame, size_t frame_bytes) {
  Client* client = client_of(peer);
  if (client != nullptr) {
    client->last_seen = clock_.monotonic();
    client->is_silent = false;
  }
  Request request{.peer = peer, .frame = frame};
  if (frame.kind_case() == v1::QueueFrame::kHeartbeat) {
    // Only a stranger hears back: it is a client that has not noticed our restart.
    if (client == nullptr) {
      refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
    }
    return;
  }
  if (frame.request_id() == 0) {
    ++garbage_count_;
    return;
  }
  if (frame.kind_case() == v1::QueueFrame::kHello) return on_hello(request);
  if (client == nullptr) {
    return refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
  }
  if (frame.has_put()) request.bytes = static_cast<int64_t>(frame_bytes);
  ++client->held_count;
  client->held_bytes += request.bytes;
  if (client->held_count > options_.client_credit_count ||
      client->held_bytes > options_.client_credit_bytes) {
    return refuse(request, refused(v1::REFUSAL_REASON_CREDIT_EXCEEDED,
                                   fmt::format("held_count={} held_bytes={}", client->held_count,
                                               client->held_bytes)));
  }
  if (!waiting_.empty() || !dispatch(request)) waiting_.push_back(std::move(request));
}

bool QueueCore::dispatch(const Request& request) {
  switch (request.frame.kind_case()) {
    case v1::QueueFrame::kOpenProducer:
      return on_open_producer(request);
    case v1::QueueFrame::kPut:
      return on_put(request);
    case v1::QueueFrame::kReceive:
      return on_receive(request);
    case v1::QueueFrame::kCommit:
      return on_settle(request, true);
    case v1::QueueFrame::kAbort:
      return on_settle(request, false);
    default:
      refuse(request, refused(v1::REFUSAL_REASON_INVALID, "not a request"));
      return true;
  }
}

void QueueCore::on_hello(const Request& request) {
  const v1::QueueHello& hello = request.frame.hello();
  if (!is_name(hello.client()) || hello.instance().size() > 64) {
    return refuse(request, refused(v1::REFUSAL_REASON_INVALID, "client is 1 to 128 bytes"));
  }
  if (!clients_.contains(hello.client()) && clients_.size() >= options_.client_max_count) {
    return refuse(request, refused(v1::REFUSAL_REASON_CREDIT_EXCEEDED, "too many clients"));
  }
  // This connection may have had another name before.
  if (const auto old = peers_.find(request.peer);
      old != peers_.end() && old->second != hello.client()) {
    end_leases_of(old->second);
    clients_.erase(old->second);
    drop_polls_of(request.peer);
  }
  Client& client = clients_[hello.client()];
  if (client.instance != hello.instance()) end_leases_of(hello.client());
  if (client.peer != request.peer) {
    drop_polls_of(client.peer);
    peers_.erase(client.peer);
  }
  client = {.name = hello.client(),
            .instance = hello.instance(),
            .peer = request.peer,
            .last_seen = clock_.monotonic()};
  peers_[request.peer] = client.name;
  v1::QueueFrame frame;
  v1::QueueHelloReply& reply_body = *frame.mutable_hello_reply();
  reply_body.set_service_instance(instance_);
  reply_body.set_credit_bytes(options_.client_credit_bytes);
  reply_body.set_credit_count(options_.client_credit_count);
  reply_body.set_message_max_bytes(options_.message_max_bytes);
  reply(request, std::move(frame));
  for (const auto& [id, queue] : queues_) serve_polls(*queue);
}

bool QueueCore::on_open_producer(const Request& request) {
  const v1::OpenProducer& open = request.frame.open_producer();
  NamedQueue* queue = find_queue(open.queue());
  if (queue == nullptr) {
    refuse(request, refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, "no such queue"));
    return true;
  }
  if (!is_name(open.producer())) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "producer is 1 to 128 bytes"), queue);
    return true;
  }
  const Producer* known = queue->producers.find(open.producer());
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
    if (!log_->has_room(2 * kNameMaxBytes, 1)) return false;
    v1::LogProducerOpened opened;
    opened.set_queue_id(queue->id);
    opened.set_producer(open.producer());
    opened.set_epoch(open.epoch());
    opened.set_unix_ns(clock_.unix_now_ns());
    log_->append(RecordType::kProducerOpened, opened.SerializeAsString());
    queue->producers.open(open.producer(), open.epoch(), opened.unix_ns());
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

std::optional<v1::Refused> QueueCore::check_put(const NamedQueue& queue, const v1::Put& put) const {
  const auto invalid = [](std::string detail) {
    return refused(v1::REFUSAL_REASON_INVALID, std::move(detail));
  };
  if (!is_name(put.producer())) return invalid("producer is 1 to 128 bytes");
  if (put.epoch() == 0 || put.first_sequence() == 0) return invalid("epoch and number are above 0");
  if (put.messages().empty()) return invalid("a put has a message");
  if (put.first_sequence() > (uint64_t{1} << 62)) return invalid("first_sequence is too large");
  for (const v1::PutMessage& message : put.messages()) {
    if (!is_name(message.source())) return invalid("source is 1 to 128 bytes");
    if (message.source_key().size() > kSourceKeyMaxBytes) return invalid("source_key is too long");
    if (message.order_key().size() > kOrderKeyMaxBytes) return invalid("order_key is too long");
    if (message.verdict().size() > kVerdictMaxBytes) return invalid("verdict is too long");
    const auto size = static_cast<int64_t>(message.envelope().size() + message.body().size());
    if (size > options_.message_max_bytes) {
      return refused(
          v1::REFUSAL_REASON_TOO_LARGE,
          fmt::format("message_bytes={} message_max_bytes={}", size, options_.message_max_bytes));
    }
    if (queue.accepted_by_source.size() >= source_max_count() &&
        !queue.accepted_by_source.contains(message.source())) {
      return invalid("too many sources");
    }
  }
  if (const size_t size = put_size(put); size > log_->unit_max_bytes()) {
    return refused(v1::REFUSAL_REASON_TOO_LARGE,
                   fmt::format("put_bytes={} put_max_bytes={}", size, log_->unit_max_bytes()));
  }
  return std::nullopt;
}

std::optional<v1::Refused> QueueCore::check_numbers(const NamedQueue& queue,
                                                    const v1::Put& put) const {
  const Producer* producer = queue.producers.find(put.producer());
  const uint64_t known_epoch = producer != nullptr ? producer->epoch : 0;
  if (put.epoch() < known_epoch) {
    v1::Refused refusal = refused(v1::REFUSAL_REASON_FENCED, "a newer epoch is in force");
    refusal.set_expected_epoch(known_epoch);
    return refusal;
  }
  const bool is_known = producer != nullptr && put.epoch() == known_epoch;
  if (!is_known && (producer != nullptr || put.first_sequence() > 1)) {
    return refused(v1::REFUSAL_REASON_UNKNOWN_PRODUCER, "open the producer's epoch first");
  }
  const uint64_t expected = is_known ? producer->last_sequence + 1 : 1;
  const auto count = static_cast<uint64_t>(put.messages_size());
  const uint64_t repeat_count =
      put.first_sequence() < expected ? std::min(count, expected - put.first_sequence()) : 0;
  const bool is_forgotten =
      repeat_count > 0 &&
      queue.producers.answers(put.producer(), put.first_sequence(), repeat_count).empty();
  if (put.first_sequence() > expected || is_forgotten) {
    v1::Refused refusal = refused(v1::REFUSAL_REASON_OUT_OF_SEQUENCE,
                                  is_forgotten ? "stored, but its answer is no longer known"
                                               : "a put before this one is missing");
    refusal.set_expected_sequence(expected);
    refusal.set_expected_epoch(put.epoch());
    return refusal;
  }
  return std::nullopt;
}

bool QueueCore::on_put(const Request& request) {
  const v1::Put& put = request.frame.put();
  NamedQueue* queue = find_queue(put.queue());
  if (queue == nullptr) {
    refuse(request, refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, "no such queue"));
    return true;
  }
  auto refusal = check_put(*queue, put);
  if (!refusal && is_stopping_) {
    refusal = refused(v1::REFUSAL_REASON_STOPPING, "the service is stopping");
  }
  if (!refusal) refusal = check_numbers(*queue, put);
  if (refusal) {
    refuse(request, *std::move(refusal), queue);
    return true;
  }
  const Producer* producer = queue->producers.find(put.producer());
  const uint64_t last = producer != nullptr ? producer->last_sequence : 0;
  const auto count = static_cast<uint64_t>(put.messages_size());
  const uint64_t repeat_count =
      put.first_sequence() <= last ? std::min(count, last + 1 - put.first_sequence()) : 0;
  const bool stores = repeat_count < count;
  if (stores && is_full()) {
    v1::Refused full = refused(v1::REFUSAL_REASON_FULL, is_disk_full_    ? "the disk is nearly full"
                                                        : is_quota_full_ ? "the quota is reached"
                                                                         : "too many source keys");
    full.set_retry_after_ms(options_.full_retry_after.count());
    refuse(request, std::move(full), queue);
    return true;
  }
  if (stores && !log_->has_room(put_size(put), count + 1)) return false;
  v1::QueueFrame frame;
  v1::PutReply& answers = *frame.mutable_put_reply();
  // What was stored before is answered as the first time.
  const auto stored = queue->producers.answers(put.producer(), put.first_sequence(), repeat_count);
  for (size_t i = 0; i < stored.size(); ++i) {
    v1::PutResult* result = answers.add_results();
    result->set_lookup_id(stored[i].lookup_id);
    result->set_is_repeat(stored[i].is_repeat);
    if (!stored[i].is_repeat) continue;
    const SourceKeyState* key = queue->source_keys.find(
        put.messages(static_cast<int>(i)).source_key(), clock_.unix_now_ns());
    if (key != nullptr) result->set_first_verdict(key->verdict);
  }
  if (stores) store_put(*queue, put, repeat_count, answers);
  reply(request, std::move(frame));
  if (stores) serve_polls(*queue);
  return true;
}

void QueueCore::store_put(NamedQueue& queue, const v1::Put& put, size_t repeat_count,
                          v1::PutReply& answers) {
  log_->prepare_append();
  v1::LogPut log;
  log.set_queue_id(queue.id);
  log.set_producer(put.producer());
  log.set_epoch(put.epoch());
  log.set_first_sequence(put.first_sequence() + repeat_count);
  const int64_t now = clock_.unix_now_ns();
  log.set_unix_ns(now);
  for (int i = static_cast<int>(repeat_count); i < put.messages_size(); ++i) {
    const v1::PutMessage& message = put.messages(i);
    v1::PutResult* result = answers.add_results();
    const SourceKeyState* key =
        message.source_key().empty() ? nullptr : queue.source_keys.find(message.source_key(), now);
    if (key != nullptr) {
      result->set_lookup_id(key->lookup_id);
      result->set_is_repeat(true);
      result->set_first_verdict(key->verdict);
      ++queue.repeat_count;
    } else {
      result->set_lookup_id(store_message(queue, message, now));
    }
    add_run(log, result->lookup_id(), result->is_repeat());
  }
  log_->append(RecordType::kPut, log.SerializeAsString());
  queue.producers.add(log);
}

uint64_t QueueCore::store_message(NamedQueue& queue, const v1::PutMessage& message, int64_t now) {
  MessageRecord record = record_of(message);
  record.queue_id = queue.id;
  record.lookup_id = queue.next_lookup_id++;
  record.put_unix_ns = now;
  auto source = queue.accepted_by_source.find(message.source());
  if (source == queue.accepted_by_source.end()) {
    source = queue.accepted_by_source.emplace(message.source(), 0).first;
  }
  record.source_count = ++source->second;
  ++queue.accepted_count;
  append_message_record(log_->begin_record(), record);
  const LogPosition position = log_->end_record(RecordType::kMessage);
  const IndexedMessage indexed{.position = position,
                               .payload_size = static_cast<uint32_t>(message_record_size(record)),
                               .put_unix_ns = now};
  queue.index.add(record.lookup_id, indexed, record.order_key);
  log_->retain(position);
  use_segment(position, indexed.payload_size, 1);
  if (!message.source_key().empty()) {
    queue.source_keys.add(
        message.source_key(),
        {.lookup_id = record.lookup_id, .put_unix_ns = now, .verdict = message.verdict()},
        position.generation);
  }
  return record.lookup_id;
}

// --- receiving ---

bool QueueCore::on_receive(const Request& request) {
  const v1::Receive& receive = request.frame.receive();
  NamedQueue* queue = find_queue(receive.queue());
  if (queue == nullptr) {
    refuse(request, refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, "no such queue"));
    return true;
  }
  if (receive.max_count() < 1 || receive.max_count() > kReceiveMaxCount ||
      receive.max_bytes() < 1 || receive.lease_ms() < 1 || receive.wait_ms() < 0) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "a limit is out of range"), queue);
    return true;
  }
  if (is_stopping_) {
    refuse(request, refused(v1::REFUSAL_REASON_STOPPING, "the service is stopping"), queue);
    return true;
  }
  const auto wait = std::chrono::milliseconds(std::min<int64_t>(receive.wait_ms(), 60'000));
  const NamedQueue::Poll poll{.peer = request.peer,
                              .request_id = request.frame.request_id(),
                              .request = receive,
                              .until = clock_.monotonic() + wait};
  if (queue->polls.empty() && queue->index.has_ready()) return serve(*queue, poll);
  if (wait.count() == 0 || queue->polls.size() >= kPollMaxCount) {
    v1::QueueFrame frame;
    frame.mutable_receive_reply();
    reply(request, std::move(frame));
    return true;
  }
  queue->polls.push_back(poll);
  return true;
}

// Gives messages to one consumer; false: no room for the record that counts the delivery.
bool QueueCore::serve(NamedQueue& queue, const NamedQueue::Poll& poll) {
  const auto max_count = std::min<int64_t>(
      poll.request.max_count(), static_cast<int64_t>(log_->unit_max_bytes()) / (2 * kRangeBytes));
  const uint64_t record_bytes = static_cast<uint64_t>(max_count * kRangeBytes);
  if (!log_->has_room(record_bytes, 1)) return false;
  Client* client = client_of(poll.peer);
  if (client == nullptr) return true;
  log_->prepare_append();
  const uint64_t lease_id = next_lease_id_++;
  const std::vector<uint64_t> taken = queue.index.take(
      {.max_count = max_count,
       .max_bytes = std::min<int64_t>(poll.request.max_bytes(), int64_t{64} * 1024 * 1024)},
      lease_id);
  append_ranges(RecordType::kDelivered, queue, taken);
  const auto lease_time = std::chrono::milliseconds(
      std::min<int64_t>(poll.request.lease_ms(), options_.lease_max.count()));
  Lease& lease = leases_[lease_id];
  lease = {.queue = &queue,
           .client = client->name,
           .lookup_ids = {taken.begin(), taken.end()},
           .until = clock_.monotonic() + lease_time};
  lease_ends_.insert({lease.until, lease_id});
  v1::QueueFrame frame;
  v1::ReceiveReply& reply_body = *frame.mutable_receive_reply();
  reply_body.set_lease_id(lease_id);
  base::put_le64(*reply_body.mutable_log_id(), log_->log_id());
  fill_messages(queue, taken, reply_body);
  reply(poll.peer, poll.request_id, 0, std::move(frame), lease_id);
  return true;
}

void QueueCore::serve_polls(NamedQueue& queue) {
  while (!queue.polls.empty() && queue.index.has_ready()) {
    const NamedQueue::Poll poll = queue.polls.front();
    if (!serve(queue, poll)) return;
    queue.polls.pop_front();
  }
}

void QueueCore::fill_messages(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                              v1::ReceiveReply& reply_body) {
  std::string scratch;
  reply_body.mutable_messages()->Reserve(static_cast<int>(lookup_ids.size()));
  for (const uint64_t lookup_id : lookup_ids) {
    const IndexedMessage& message = *queue.index.find(lookup_id);
    const auto payload = log_->read(message.position, message.payload_size, scratch);
    const auto record = payload ? decode_message_record(*payload) : std::nullopt;
    if (!record || record->lookup_id != lookup_id) {
      if (fatal_.ok()) {
        fatal_ = payload ? data_loss("a message record cannot be read back") : payload.error();
      }
      return;
    }
    v1::QueueMessage* out = reply_body.add_messages();
    out->set_lookup_id(lookup_id);
    out->set_delivery_count(message.delivery_count);
    out->set_put_unix_ns(record->put_unix_ns);
    out->set_source(std::string(record->source));
    out->set_source_count(record->source_count);
    out->set_order_key(record->order_key.data(), record->order_key.size());
    out->set_source_key(record->source_key.data(), record->source_key.size());
    out->set_verdict(record->verdict.data(), record->verdict.size());
    out->set_envelope(record->envelope.data(), record->envelope.size());
    out->set_body(record->body.data(), record->body.size());
  }
}

void QueueCore::append_ranges(RecordType type, NamedQueue& queue,
                              const std::vector<uint64_t>& lookup_ids) {
  v1::LogRanges ranges;
  ranges.set_queue_id(queue.id);
  if (type == RecordType::kDelivered) {
    const auto redelivered =
        std::count_if(lookup_ids.begin(), lookup_ids.end(),
                      [&queue](uint64_t id) { return queue.index.find(id)->delivery_count > 1; });
    ranges.set_redelivered_count(redelivered);
    queue.redelivered_count += redelivered;
  }
  for (size_t i = 0; i < lookup_ids.size();) {
    size_t end = i + 1;
    while (end < lookup_ids.size() && lookup_ids[end] == lookup_ids[end - 1] + 1) ++end;
    ranges.add_ranges(lookup_ids[i]);
    ranges.add_ranges(end - i);
    i = end;
  }
  log_->append(type, ranges.SerializeAsString());
}

bool QueueCore::on_settle(const Request& request, bool is_commit) {
  v1::Settle settle = request.frame.commit();
  if (!is_commit) {
    settle.set_queue(request.frame.abort().queue());
    settle.set_lease_id(request.frame.abort().lease_id());
    *settle.mutable_lookup_ids() = request.frame.abort().lookup_ids();
  }
  const Client* client = client_of(request.peer);
  const auto it = leases_.find(settle.lease_id());
  if (client == nullptr || it == leases_.end() || it->second.client != client->name ||
      it->second.queue->name != settle.queue()) {
    refuse(request, refused(v1::REFUSAL_REASON_LEASE_LOST, "no such lease"),
           find_queue(settle.queue()));
    return true;
  }
  Lease& lease = it->second;
  NamedQueue& queue = *lease.queue;
  std::set<uint64_t> wanted;
  for (const uint64_t id : settle.lookup_ids()) {
    if (lease.lookup_ids.contains(id)) wanted.insert(id);
  }
  if (settle.lookup_ids().empty()) wanted = lease.lookup_ids;
  const std::vector<uint64_t> ids(wanted.begin(), wanted.end());
  if (is_commit && !log_->has_room(ids.size() * static_cast<size_t>(kRangeBytes), 1)) return false;
  if (is_commit && !ids.empty()) commit_messages(queue, ids);
  for (const uint64_t id : ids) {
    if (!is_commit) queue.index.give_back(id);
    lease.lookup_ids.erase(id);
  }
  if (lease.lookup_ids.empty()) {
    lease_ends_.erase({lease.until, it->first});
    leases_.erase(it);
  }
  v1::QueueFrame frame;
  frame.mutable_settle_reply()->set_settled_count(static_cast<int64_t>(ids.size()));
  reply(request, std::move(frame));
  serve_polls(queue);
  return true;
}

void QueueCore::commit_messages(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids) {
  log_->prepare_append();
  append_ranges(RecordType::kCommitted, queue, lookup_ids);
  for (const uint64_t id : lookup_ids) {
    const IndexedMessage& message = *queue.index.find(id);
    use_segment(message.position, message.payload_size, -1);
    log_->release(message.position);
    queue.index.remove(id);
    ++queue.committed_count;
  }
}

}  // namespace verbatim::queue
