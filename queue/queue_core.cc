#include "queue/queue_core.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/frame.h"
#include "base/log.h"

namespace verbatim::queue {
namespace {

std::string random_bytes(size_t count) {
  std::random_device device;
  std::string bytes;
  while (bytes.size() < count) bytes.push_back(static_cast<char>(device()));
  return bytes;
}

// Lease ids of an earlier life of the service must never name a lease of this one.
uint64_t random_lease_id() {
  std::random_device device;
  return ((uint64_t{device()} << 32 | device()) >> 2) + 1;
}

}  // namespace

QueueCore::QueueCore(base::FileSystem& file_system, base::Clock& clock, const CoreOptions& options)
    : file_system_(file_system),
      clock_(clock),
      options_(options),
      instance_(random_bytes(16)),
      next_lease_id_(random_lease_id()) {}

QueueCore::~QueueCore() = default;

Result<std::unique_ptr<QueueCore>> QueueCore::open(base::FileSystem& file_system,
                                                   base::Clock& clock, const CoreOptions& options) {
  std::unique_ptr<QueueCore> core(new QueueCore(file_system, clock, options));
  const auto begin = clock.monotonic();
  ASSIGN_OR_RETURN(core->log_, Log::open(file_system, options.log, *core));
  core->recovery_ms_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock.monotonic() - begin).count();
  if (options.message_max_bytes > options.client_credit_bytes / 2) {
    return invalid_argument(fmt::format(
        "queue.message_max_bytes={} must be at most half of queue.client_credit_bytes={}",
        options.message_max_bytes, options.client_credit_bytes));
  }
  if (options.message_max_bytes > static_cast<int64_t>(core->log_->unit_max_bytes() / 2)) {
    return invalid_argument(fmt::format(
        "queue.message_max_bytes={} must be at most a sixteenth of queue.segment_bytes={}",
        options.message_max_bytes, options.log.segment_bytes));
  }
  for (const std::string& name : options.queues) {
    if (core->find_queue(name) != nullptr) continue;
    v1::LogQueueMade made;
    made.set_queue_id(core->queues_.empty() ? 1 : core->queues_.rbegin()->first + 1);
    made.set_name(name);
    core->log_->prepare_append();
    core->make_queue(made.queue_id(), name);
    core->log_->append(RecordType::kQueueMade, made.SerializeAsString());
  }
  RETURN_IF_ERROR(core->commit_group());
  core->update_full();
  return core;
}

// --- replay ---

Status QueueCore::replay(RecordType type, std::string_view payload, LogPosition position) {
  const auto parse = [&](google::protobuf::MessageLite& message) -> Status {
    if (message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return {};
    return data_loss(fmt::format("a record cannot be read {}", to_string(position)));
  };
  switch (type) {
    case RecordType::kSnapshot:
      return replay_snapshot(payload);
    case RecordType::kQueueMade: {
      v1::LogQueueMade made;
      RETURN_IF_ERROR(parse(made));
      make_queue(made.queue_id(), made.name());
      return {};
    }
    case RecordType::kProducerOpened: {
      v1::LogProducerOpened opened;
      RETURN_IF_ERROR(parse(opened));
      if (NamedQueue* queue = find_queue(opened.queue_id())) {
        queue->producers.open(opened.producer(), opened.epoch(), opened.unix_ns());
      }
      return {};
    }
    case RecordType::kPut: {
      v1::LogPut put;
      RETURN_IF_ERROR(parse(put));
      replay_put(put);
      return {};
    }
    case RecordType::kMessage:
    case RecordType::kMessageCopy:
      return replay_message(payload, position, type == RecordType::kMessageCopy);
    case RecordType::kCommitted:
    case RecordType::kDelivered: {
      v1::LogRanges ranges;
      RETURN_IF_ERROR(parse(ranges));
      replay_ranges(ranges, type == RecordType::kCommitted);
      return {};
    }
    case RecordType::kSourceKeyCopy: {
      v1::LogSourceKey key;
      RETURN_IF_ERROR(parse(key));
      NamedQueue* queue = find_queue(key.queue_id());
      if (queue == nullptr) return {};
      queue->source_keys.add(key.source_key(),
                             {.lookup_id = key.lookup_id(),
                              .put_unix_ns = key.put_unix_ns(),
                              .verdict = key.verdict()},
                             position.generation);
      return {};
    }
    case RecordType::kGroup:
    case RecordType::kSummary:
      return {};
  }
  return failed_precondition(
      fmt::format("the log holds a record of a newer verbatim-queue {} record_type={}",
                  to_string(position), static_cast<int>(type)));
}

Status QueueCore::replay_digest(RecordType /*type*/, std::string_view /*digest*/,
                                LogPosition /*position*/, uint32_t /*payload_size*/) {
  return {};
}

Status QueueCore::replay_message(std::string_view payload, LogPosition position, bool is_copy) {
  const auto record = decode_message_record(payload);
  NamedQueue* queue = record ? find_queue(record->queue_id) : nullptr;
  if (queue == nullptr) {
    return data_loss(fmt::format("a message record cannot be read {}", to_string(position)));
  }
  IndexedMessage message{.position = position,
                         .payload_size = static_cast<uint32_t>(payload.size()),
                         .delivery_count = record->delivery_count,
                         .put_unix_ns = record->put_unix_ns};
  if (IndexedMessage* known = queue->index.find(record->lookup_id)) {
    use_segment(known->position, known->payload_size, -1);
    if (log_) log_->release(known->position);
    known->position = position;
    known->delivery_count = record->delivery_count;
  } else {
    queue->index.add(record->lookup_id, message, record->order_key);
  }
  use_segment(position, message.payload_size, 1);
  if (log_) log_->retain(position);
  if (!record->source_key.empty()) {
    queue->source_keys.add(std::string(record->source_key),
                           {.lookup_id = record->lookup_id,
                            .put_unix_ns = record->put_unix_ns,
                            .verdict = std::string(record->verdict)},
                           position.generation);
  }
  if (is_copy) return {};
  queue->next_lookup_id = std::max(queue->next_lookup_id, record->lookup_id + 1);
  ++queue->accepted_count;
  queue->accepted_by_source[std::string(record->source)] = record->source_count;
  return {};
}

void QueueCore::replay_put(const v1::LogPut& put) {
  NamedQueue* queue = find_queue(put.queue_id());
  if (queue == nullptr) return;
  for (const v1::LogRun& run : put.runs()) {
    if (run.is_repeat()) queue->repeat_count += run.count();
  }
  queue->producers.add(put);
}

void QueueCore::replay_ranges(const v1::LogRanges& ranges, bool is_commit) {
  NamedQueue* queue = find_queue(ranges.queue_id());
  if (queue == nullptr) return;
  queue->redelivered_count += ranges.redelivered_count();
  for (int i = 0; i + 1 < ranges.ranges_size(); i += 2) {
    const uint64_t first = ranges.ranges(i);
    // Each message is committed once, so all count, also those whose segment is gone.
    if (is_commit) queue->committed_count += static_cast<int64_t>(ranges.ranges(i + 1));
    for (uint64_t id = first; id < first + ranges.ranges(i + 1); ++id) {
      IndexedMessage* message = queue->index.find(id);
      if (message == nullptr) continue;
      if (!is_commit) {
        ++message->delivery_count;
        continue;
      }
      use_segment(message->position, message->payload_size, -1);
      if (log_) log_->release(message->position);
      queue->index.remove(id);
    }
  }
}

Status QueueCore::replay_snapshot(std::string_view payload) {
  v1::LogSnapshot snapshot;
  if (!snapshot.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return data_loss("a snapshot cannot be read");
  }
  for (const v1::LogQueue& saved : snapshot.queues()) {
    NamedQueue& queue = make_queue(saved.queue_id(), saved.name());
    queue.next_lookup_id = saved.next_lookup_id();
    queue.accepted_count = saved.accepted_count();
    queue.committed_count = saved.committed_count();
    queue.repeat_count = saved.repeat_count();
    queue.redelivered_count = saved.redelivered_count();
    queue.accepted_by_source.clear();
    for (const auto& [source, count] : saved.accepted_by_source()) {
      queue.accepted_by_source[source] = count;
    }
    queue.producers.load(saved);
  }
  return {};
}

std::string QueueCore::snapshot() {
  v1::LogSnapshot snapshot;
  for (const auto& [id, queue] : queues_) {
    v1::LogQueue* saved = snapshot.add_queues();
    saved->set_queue_id(id);
    saved->set_name(queue->name);
    saved->set_next_lookup_id(queue->next_lookup_id);
    saved->set_accepted_count(queue->accepted_count);
    saved->set_committed_count(queue->committed_count);
    saved->set_repeat_count(queue->repeat_count);
    saved->set_redelivered_count(queue->redelivered_count);
    for (const auto& [source, count] : queue->accepted_by_source) {
      (*saved->mutable_accepted_by_source())[source] = count;
    }
    queue->producers.save(*saved);
  }
  return snapshot.SerializeAsString();
}

// The control state must fit into a segment beside a group, whatever clients do.
size_t QueueCore::run_max_count() const {
  return options_.log.segment_bytes / 256 / std::max<size_t>(1, options_.queues.size());
}

size_t QueueCore::source_max_count() const {
  return options_.log.segment_bytes / 1024 / std::max<size_t>(1, options_.queues.size());
}

NamedQueue* QueueCore::find_queue(const std::string& name) {
  for (const auto& [id, queue] : queues_) {
    if (queue->name == name) return queue.get();
  }
  return nullptr;
}

NamedQueue* QueueCore::find_queue(uint32_t id) {
  const auto it = queues_.find(id);
  return it == queues_.end() ? nullptr : it->second.get();
}

NamedQueue& QueueCore::make_queue(uint32_t id, const std::string& name) {
  auto& queue = queues_[id];
  if (!queue) {
    queue = std::make_unique<NamedQueue>(options_.source_key_window, run_max_count());
  }
  queue->id = id;
  queue->name = name;
  return *queue;
}

// --- groups and replies ---

std::unique_ptr<LogGroup> QueueCore::seal() {
  auto group = log_->seal();
  if (!group) return nullptr;
  behind_flight_ = std::exchange(behind_open_, {});
  run_waiting();
  return group;
}

std::unique_ptr<LogGroup> QueueCore::seal_mark() {
  CHECK(!log_->is_group_open(), "only an idle log writes a bare mark");
  return log_->seal_mark();
}

void QueueCore::group_done(const LogGroup& group) {
  log_->finished(group);
  release_replies(behind_flight_);
  run_waiting();
}

Status QueueCore::commit_group() {
  while (log_->is_group_open()) {
    auto group = seal();
    RETURN_IF_ERROR(log_->write(*group));
    group_done(*group);
  }
  return {};
}

void QueueCore::run_waiting() {
  while (!waiting_.empty()) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    if (!dispatch(request)) {
      waiting_.push_front(std::move(request));
      return;
    }
  }
  for (const auto& [id, queue] : queues_) serve_polls(*queue);
}

void QueueCore::reply(const Request& request, v1::QueueFrame frame, uint64_t lease_id) {
  reply(request.peer, request.frame.request_id(), request.bytes, std::move(frame), lease_id);
}

void QueueCore::reply(const std::string& peer, uint64_t request_id, int64_t held_bytes,
                      v1::QueueFrame frame, uint64_t lease_id) {
  frame.set_request_id(request_id);
  HeldReply held{
      .outgoing = {.peer = peer, .frame = base::encode_frame(frame), .lease_id = lease_id},
      .held_bytes = held_bytes};
  if (log_->is_group_open()) {
    behind_open_.push_back(std::move(held));
  } else {
    behind_flight_.push_back(std::move(held));
    if (!log_->is_group_in_flight()) release_replies(behind_flight_);
  }
}

void QueueCore::refuse(const Request& request, v1::Refused refused, NamedQueue* queue) {
  if (queue != nullptr) ++queue->refused[v1::RefusalReason_Name(refused.reason())];
  v1::QueueFrame frame;
  *frame.mutable_refused() = std::move(refused);
  reply(request, std::move(frame));
}

void QueueCore::release_replies(std::vector<HeldReply>& replies) {
  for (HeldReply& held : replies) {
    if (Client* client = client_of(held.outgoing.peer)) {
      client->held_count = std::max<int64_t>(0, client->held_count - 1);
      client->held_bytes = std::max<int64_t>(0, client->held_bytes - held.held_bytes);
    }
    outgoing_.push_back(std::move(held.outgoing));
  }
  replies.clear();
}

std::vector<Outgoing> QueueCore::take_outgoing() { return std::exchange(outgoing_, {}); }

// --- clients and leases ---

QueueCore::Client* QueueCore::client_of(const std::string& peer) {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : &clients_.at(it->second);
}

void QueueCore::drop_polls_of(const std::string& peer) {
  for (const auto& [id, queue] : queues_) {
    std::erase_if(queue->polls, [&](const NamedQueue::Poll& poll) { return poll.peer == peer; });
  }
}

void QueueCore::end_lease(uint64_t lease_id) {
  const auto it = leases_.find(lease_id);
  if (it == leases_.end()) return;
  NamedQueue& queue = *it->second.queue;
  for (const uint64_t lookup_id : it->second.lookup_ids) queue.index.give_back(lookup_id);
  lease_ends_.erase({it->second.until, lease_id});
  leases_.erase(it);
}

void QueueCore::end_leases_of(const std::string& client) {
  std::vector<uint64_t> ended;
  for (const auto& [id, lease] : leases_) {
    if (lease.client == client) ended.push_back(id);
  }
  for (const uint64_t id : ended) end_lease(id);
}

void QueueCore::undeliverable(const Outgoing& outgoing) {
  drop_polls_of(outgoing.peer);
  if (outgoing.lease_id == 0) return;
  const auto it = leases_.find(outgoing.lease_id);
  if (it == leases_.end()) return;
  NamedQueue& queue = *it->second.queue;
  end_lease(outgoing.lease_id);
  serve_polls(queue);
}

void QueueCore::tick() {
  expire_leases();
  expire_clients();
  expire_polls();
  update_full();
  for (const auto& [id, queue] : queues_) {
    queue->source_keys.expire(clock_.unix_now_ns(), 1'000);
    serve_polls(*queue);
  }
  recycle();
}

void QueueCore::expire_leases() {
  const auto now = clock_.monotonic();
  while (!lease_ends_.empty() && lease_ends_.begin()->first <= now) {
    end_lease(lease_ends_.begin()->second);
  }
}

void QueueCore::expire_clients() {
  const auto now = clock_.monotonic();
  for (auto it = clients_.begin(); it != clients_.end();) {
    Client& client = it->second;
    const auto silent = now - client.last_seen;
    if (silent > options_.consumer_silence_max && !client.is_silent) {
      client.is_silent = true;
      end_leases_of(client.name);
      end_polls_of(client.peer);
    }
    // A name silent for much longer is forgotten; it will be asked for a hello again.
    if (silent > options_.consumer_silence_max * 12) {
      peers_.erase(client.peer);
      it = clients_.erase(it);
    } else {
      ++it;
    }
  }
}

// A consumer that is only slow learns that it has to ask again.
void QueueCore::end_polls_of(const std::string& peer) {
  for (const auto& [id, queue] : queues_) {
    for (NamedQueue::Poll& poll : queue->polls) {
      if (poll.peer == peer) poll.until = {};
    }
  }
}

void QueueCore::expire_polls() {
  const auto now = clock_.monotonic();
  for (const auto& [id, queue] : queues_) {
    for (auto it = queue->polls.begin(); it != queue->polls.end();) {
      if (it->until > now && !is_stopping_) {
        ++it;
        continue;
      }
      v1::QueueFrame frame;
      frame.mutable_receive_reply();
      const NamedQueue::Poll poll = *it;
      it = queue->polls.erase(it);
      reply(poll.peer, poll.request_id, 0, std::move(frame), 0);
    }
  }
}

void QueueCore::start_stopping() {
  is_stopping_ = true;
  expire_polls();
}

}  // namespace verbatim::queue
