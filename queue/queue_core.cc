#include "queue/queue_core.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/frame.h"
#include "base/log.h"
#include "queue/refusal.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1};
// A log that is full for less than this is everyday life; after more of it, clients are listened to
// for so long before anyone counts as silent.
constexpr std::chrono::milliseconds kDeafMin{250};
constexpr std::chrono::milliseconds kListenTime{1'000};
// Of a request that is no put: one that names each message of the largest lease takes less. Read by
// protobuf, a request may take many times its size, and it is read before its sender is known.
constexpr size_t kRequestMaxBytes = 1024 * 1024;

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

Result<std::unique_ptr<QueueCore>> QueueCore::open(base::FileSystem& file_system,
                                                   base::Clock& clock, const CoreOptions& options) {
  std::unique_ptr<QueueCore> core(new QueueCore(file_system, clock, options));
  const auto begin = clock.monotonic();
  ASSIGN_OR_RETURN(core->store_,
                   QueueStore::open(file_system, clock,
                                    {.log = options.log,
                                     .source_key_window = options.source_key_window,
                                     .copy_bytes_per_second = options.copy_bytes_per_second,
                                     .canaries = options.canaries}));
  core->put_max_count_ = core->store_->unit_max_bytes() /
                         (message_record_size(MessageRecord()) + QueueStore::kRangeBytes);
  RETURN_IF_ERROR(core->check_options());
  RETURN_IF_ERROR(core->make_configured_queues());
  RETURN_IF_ERROR(core->recover_tries());
  RETURN_IF_ERROR(core->commit_group());
  core->update_marks();
  core->recovery_ms_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock.monotonic() - begin).count();
  return core;
}

Status QueueCore::check_options() const {
  if (options_.message_max_bytes > options_.client_credit_bytes / 2) {
    return invalid_argument(fmt::format(
        "queue.message_max_bytes={} must be at most half of queue.client_credit_bytes={}",
        options_.message_max_bytes, options_.client_credit_bytes));
  }
  if (options_.message_max_bytes > static_cast<int64_t>(store_->unit_max_bytes() / 2)) {
    return invalid_argument(fmt::format(
        "queue.message_max_bytes={} must be at most a sixteenth of queue.segment_bytes={}",
        options_.message_max_bytes, options_.log.segment_bytes));
  }
  return {};
}

Status QueueCore::make_configured_queues() {
  for (const std::string& name : options_.queues) {
    RETURN_IF_ERROR(check_queue_name(name));
    if (store_->find(name) != nullptr) continue;
    RETURN_IF_ERROR(check_room_for_queue(name));
    if (options_.before_queue_made) RETURN_IF_ERROR(options_.before_queue_made(name));
    CHECK(store_->reserve(QueueStore::kRecordBytes, 1), "an empty group takes a record");
    store_->make_queue(name, {});
    RETURN_IF_ERROR(commit_group());
  }
  return {};
}

Status QueueCore::check_room_for_queue(const std::string& name) const {
  if (store_->has_control_room(NamedQueue::control_bytes_of_new(name))) return {};
  return resource_exhausted(fmt::format(
      "too many sources, producers, queues and names of deleted queues for segments of {} bytes: "
      "delete queues that are not needed, or set a larger queue.segment_bytes",
      std::as_const(*store_).log().segment_bytes()));
}

// What was out when the service ended has had its try. Whether it was out is not known of a message
// whose delay between two cycles is over: it waits once more.
Status QueueCore::recover_tries() {
  for (const auto& [id, queue] : store_->queues()) {
    const int64_t max = tries_max(queue->settings);
    std::vector<uint64_t> spent;
    queue->index.for_each([&](uint64_t lookup_id, const IndexedMessage& message) {
      if (message.delivery_count >= max && !options_.canaries.never_is_poison) {
        spent.push_back(lookup_id);
      }
    });
    RETURN_IF_ERROR(end_cycles(*queue));
    for (const uint64_t lookup_id : spent) {
      queue->index.delay(lookup_id, std::chrono::nanoseconds::max());
      poison_.emplace_back(id, lookup_id);
    }
    if (queue->flags.is_deleting()) start_deletion(*queue);
  }
  return {};
}

Status QueueCore::end_cycles(NamedQueue& queue) {
  const auto delay = retry_cycle_delay(queue.settings);
  if (delay.count() == 0) return {};
  const auto now = clock_.monotonic();
  std::vector<uint64_t> ended;
  queue.index.for_each([&](uint64_t lookup_id, const IndexedMessage& message) {
    if (message.delivery_count > 0 && message.delivery_count < tries_max(queue.settings) &&
        message.delivery_count % tries_per_cycle(queue.settings) == 0 &&
        queue.index.delayed_until(lookup_id) <= now) {
      ended.push_back(lookup_id);
    }
  });
  const int64_t not_before = clock_.unix_now_ns() + std::chrono::nanoseconds(delay).count();
  const size_t part_max = store_->unit_max_bytes() / (4 * QueueStore::kRangeBytes);
  for (size_t begin = 0; begin < ended.size(); begin += part_max) {
    const auto first = ended.begin() + static_cast<std::ptrdiff_t>(begin);
    const size_t count = std::min(part_max, ended.size() - begin);
    const uint64_t range_bytes = count * QueueStore::kRangeBytes;
    CHECK(store_->reserve(range_bytes + QueueStore::kRecordBytes, 1, range_bytes),
          "an empty group takes a part");
    store_->postpone(queue, {first, first + static_cast<std::ptrdiff_t>(count)}, not_before);
    RETURN_IF_ERROR(commit_group());
  }
  return {};
}

// --- requests ---

void QueueCore::handle_garbage(const std::string& peer, uint64_t request_id) {
  refuse_unread(peer, request_id,
                refused(v1::REFUSAL_REASON_INVALID, "the request cannot be read"));
}

void QueueCore::refuse_unread(const std::string& peer, uint64_t request_id, v1::Refused refusal) {
  ++garbage_count_;
  if (request_id == 0) return;
  v1::QueueFrame frame;
  frame.set_request_id(request_id);
  *frame.mutable_refused() = std::move(refusal);
  hold_reply({.outgoing = {.peer = peer, .frame = base::encode_frame(frame)}});
}

void QueueCore::handle(const std::string& peer, std::string_view frame, const std::string& user) {
  if (!fatal_.ok()) return;
  const auto body = base::frame_body(frame);
  if (!body) return handle_garbage(peer, 0);
  Request request{.peer = peer, .user = user};
  switch (read_put(*body, put_max_count_, put_)) {
    case PutRead::kPut:
      request.put = &put_;
      request.bytes = static_cast<int64_t>(frame.size());
      request.frame.set_request_id(put_.request_id);
      break;
    case PutRead::kUnreadable:
      return handle_garbage(peer, put_.request_id);
    case PutRead::kOther:
      if (body->size() > kRequestMaxBytes) {
        return refuse_unread(
            peer, put_.request_id,
            refused(v1::REFUSAL_REASON_TOO_LARGE,
                    fmt::format("request_bytes={} max_bytes={}", body->size(), kRequestMaxBytes)));
      }
      if (!base::decode_frame_body(*body, request.frame).ok()) {
        return handle_garbage(peer, request.frame.request_id());
      }
  }
  take(std::move(request), *body);
}

void QueueCore::take(Request request, std::string_view body) {
  const std::string& peer = request.peer;
  Client* client = client_of(peer);
  // Another key's connection may have the identity of one that is gone.
  if (client != nullptr && client->user != request.user) client = nullptr;
  if (client != nullptr) client->last_seen = clock_.monotonic();
  if (request.frame.kind_case() == v1::QueueFrame::kHeartbeat) {
    // Only a stranger hears back: it is a client that has not noticed our restart.
    if (client == nullptr) {
      refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
    }
    return;
  }
  if (request.frame.request_id() == 0) {
    ++garbage_count_;
    return;
  }
  if (request.frame.kind_case() == v1::QueueFrame::kHello) return on_hello(request);
  if (client == nullptr) {
    return refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
  }
  ++client->held_count;
  client->held_bytes += request.bytes;
  if (client->held_count > options_.client_credit_count ||
      client->held_bytes > options_.client_credit_bytes) {
    return refuse(request, refused(v1::REFUSAL_REASON_CREDIT_EXCEEDED,
                                   fmt::format("held_count={} held_bytes={}", client->held_count,
                                               client->held_bytes)));
  }
  if (waiting_.empty() && dispatch(request)) return;
  if (request.put != nullptr) request.kept = body;
  if (waiting_.empty()) deaf_since_ = clock_.monotonic();
  waiting_.push_back(std::move(request));
}

// A request that waited may have outlived its client.
bool QueueCore::is_of_stranger(const Request& request) {
  const Client* client = client_of(request.peer);
  return client == nullptr || client->user != request.user;
}

bool QueueCore::dispatch(Request& request) {
  if (request.put != nullptr) {
    if (!request.kept.empty()) {
      CHECK(read_put(request.kept, put_max_count_, put_) == PutRead::kPut, "it was read before");
    }
    return on_put(request);
  }
  switch (request.frame.kind_case()) {
    case v1::QueueFrame::kOpenProducer:
      return on_open_producer(request);
    case v1::QueueFrame::kReceive:
      return on_receive(request);
    case v1::QueueFrame::kSubscribe:
      return on_subscribe(request);
    case v1::QueueFrame::kCommit:
      return on_commit(request);
    case v1::QueueFrame::kAbort:
      return on_abort(request);
    case v1::QueueFrame::kAbandon:
      return on_abandon(request);
    case v1::QueueFrame::kExtend:
      return on_extend(request);
    default:
      refuse(request, refused(v1::REFUSAL_REASON_INVALID, "not a request"));
      return true;
  }
}

void QueueCore::run_waiting() {
  while (!waiting_.empty() && fatal_.ok()) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    if (is_of_stranger(request)) {
      refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
    } else if (!dispatch(request)) {
      waiting_.push_front(std::move(request));
      return;
    }
  }
  if (!fatal_.ok()) return;
  end_poison();
  serve_all();
}

bool QueueCore::may(const std::string& user, std::string_view queue, bool is_put) const {
  const auto& rule = is_put ? options_.may_put : options_.may_receive;
  return !rule || rule(user, queue);
}

bool QueueCore::may_use(const std::string& user, const Producer* producer) const {
  return !options_.may_put || producer == nullptr || producer->owner.empty() ||
         producer->owner == user;
}

bool QueueCore::refuse_forbidden(const Request& request, std::string_view queue, bool is_put) {
  if (may(request.user, queue, is_put)) return false;
  refuse(
      request,
      refused(v1::REFUSAL_REASON_NOT_PERMITTED, is_put ? "its key may not put to this queue"
                                                       : "its key may not receive from this queue"),
      store_->find(queue));
  return true;
}

bool QueueCore::refuse_unknown_or_forbidden(const Request& request, std::string_view queue,
                                            bool is_put) {
  if (refuse_forbidden(request, queue, is_put)) return true;
  if (store_->find(queue) != nullptr) return false;
  refuse(request, refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, no_such_queue(queue).message()));
  return true;
}

void QueueCore::note_not_permitted(const Request& request, const std::string& why,
                                   const NamedQueue* queue) {
  ++not_permitted_count_;
  not_permitted_at_ = clock_.monotonic();
  not_permitted_who_ = request.user;
  const auto left_out = not_permitted_logged_[request.user].pass(not_permitted_at_);
  if (!left_out) return;
  LOG_ERROR("a client was refused: {} key={} queue={} refused_count={}", why, request.user,
            queue != nullptr ? queue->name : std::string(), not_permitted_count_);
}

bool QueueCore::fail(const Status& status) {
  if (status.ok()) return false;
  if (fatal_.ok()) fatal_ = status;
  return true;
}

// --- groups and replies ---

std::unique_ptr<LogGroup> QueueCore::seal() {
  if (!fatal_.ok()) return nullptr;
  auto group = log().seal();
  if (!group) return nullptr;
  behind_flight_ = std::exchange(behind_open_, {});
  if (options_.canaries.answers_before_sync) release_replies(behind_flight_);
  run_waiting();
  return group;
}

std::unique_ptr<LogGroup> QueueCore::seal_mark() {
  CHECK(!log().is_group_open(), "only an idle log writes a bare mark");
  return log().seal_mark();
}

void QueueCore::group_done(const LogGroup& group) {
  log().finished(group);
  release_replies(behind_flight_);
  run_waiting();
}

Status QueueCore::commit_group() {
  while (log().is_group_open() && fatal_.ok()) {
    auto group = seal();
    RETURN_IF_ERROR(log().write(*group));
    group_done(*group);
  }
  return fatal_;
}

void QueueCore::reply(const Request& request, v1::QueueFrame frame, uint64_t lease_id) {
  frame.set_request_id(request.frame.request_id());
  hold_reply(
      {.outgoing = {.peer = request.peer, .frame = base::encode_frame(frame), .lease_id = lease_id},
       .held_bytes = request.bytes});
}

void QueueCore::hold_reply(HeldReply held) {
  if (log().is_group_open() || !fatal_.ok()) {
    behind_open_.push_back(std::move(held));
  } else {
    behind_flight_.push_back(std::move(held));
    if (!log().is_group_in_flight()) release_replies(behind_flight_);
  }
}

void QueueCore::refuse(const Request& request, v1::Refused refusal, NamedQueue* queue) {
  if (queue != nullptr) ++queue->refused[v1::RefusalReason_Name(refusal.reason())];
  if (refusal.reason() == v1::REFUSAL_REASON_NOT_PERMITTED) {
    note_not_permitted(request, refusal.detail(), queue);
  }
  v1::QueueFrame frame;
  *frame.mutable_refused() = std::move(refusal);
  reply(request, std::move(frame));
}

void QueueCore::release_replies(std::vector<HeldReply>& replies) {
  for (HeldReply& held : replies) {
    Client* client = held.is_push ? nullptr : client_of(held.outgoing.peer);
    if (client != nullptr) {
      client->held_count = std::max<int64_t>(0, client->held_count - 1);
      client->held_bytes = std::max<int64_t>(0, client->held_bytes - held.held_bytes);
    }
    outgoing_.push_back(std::move(held.outgoing));
  }
  replies.clear();
}

std::vector<Outgoing> QueueCore::take_outgoing() { return std::exchange(outgoing_, {}); }

// --- time ---

// While a slow disk holds up requests the socket is not read (is_full_of_requests), and what
// consumers say is not heard: their heartbeats and extensions are read first, before one of them is
// given up.
bool QueueCore::is_deaf(std::chrono::nanoseconds now) {
  if (!waiting_.empty() && now - deaf_since_ > kDeafMin) listens_until_ = now + kListenTime;
  return now < listens_until_;
}

void QueueCore::tick() {
  if (!fatal_.ok()) return;
  const auto now = clock_.monotonic();
  const uint64_t sync_count = log().stats().sync_count;
  if (now < next_tick_ && sync_count == ticked_sync_count_) return;
  next_tick_ = now + kTickInterval;
  ticked_sync_count_ = sync_count;
  if (!is_deaf(now)) {
    expire_leases();
    expire_clients();
  }
  expire_receives();
  update_marks();
  for (const auto& [id, queue] : store_->queues()) {
    queue->index.release_due(now);
    queue->update_full();
    queue->put_rate.update(now);
    queue->commit_rate.update(now);
  }
  store_->expire_source_keys();
  if (fail(store_->recycle())) return;
  retry_journal_commits();
  end_poison();
  run_transfers();
  if (fatal_.ok()) serve_all();
}

void QueueCore::verify_some() {
  if (is_verified_) return;
  const auto has_more = log().verify_step();
  if (has_more) {
    is_verified_ = !*has_more;
    return;
  }
  // A disk that cannot be read is found by the next message that is delivered from it.
  is_verified_ = has_more.error().code() != StatusCode::kDataLoss;
  LOG_ERROR("the log is damaged, found after the start: {}", has_more.error().to_string());
  if (damage_count_++ == 0) damage_ = has_more.error().message();
}

void QueueCore::start_stopping() {
  is_stopping_ = true;
  expire_receives();
}

// Full is left only below a lower mark, so that producers do not flutter.
void QueueCore::update_marks() {
  const auto is_over = [this](int64_t value, int64_t quota) {
    return quota > 0 &&
           value >= (is_service_full_ ? low_mark(quota, options_.low_mark_percent) : quota);
  };
  const bool was_full = is_service_full_;
  is_service_full_ = is_over(store_->message_bytes(), options_.quota_bytes) ||
                     is_over(store_->message_count(), options_.quota_messages);
  if (is_service_full_ && !was_full) {
    LOG_WARN("puts are refused as full: messages={} bytes={} quota_messages={} quota_bytes={}",
             store_->message_count(), store_->message_bytes(), options_.quota_messages,
             options_.quota_bytes);
  }
  const auto now = clock_.monotonic();
  // Somebody else's files may take the disk in between; our own do it a segment at a time.
  const uint64_t own_bytes = std::as_const(*store_).log().disk_bytes();
  if (now < next_disk_check_ && own_bytes == checked_disk_bytes_) return;
  next_disk_check_ = now + std::chrono::seconds(1);
  checked_disk_bytes_ = own_bytes;
  const auto free = file_system_.free_bytes(options_.log.directory);
  free_disk_bytes_ = free ? static_cast<int64_t>(*free) : 0;
  const bool was_disk_full = is_disk_full_;
  // The low mark of what is used is a high mark of what is free.
  const int64_t wanted = is_disk_full_
                             ? options_.free_disk_min_bytes + options_.free_disk_min_bytes / 100 *
                                                                  (100 - options_.low_mark_percent)
                             : options_.free_disk_min_bytes;
  is_disk_full_ = options_.free_disk_min_bytes > 0 && free_disk_bytes_ < wanted;
  if (is_disk_full_ && !was_disk_full) {
    LOG_WARN("puts are refused as full: free_bytes={} free_disk_min_bytes={}", free_disk_bytes_,
             options_.free_disk_min_bytes);
  }
}

std::string QueueCore::full_reason() const {
  if (is_disk_full_) return "the disk is nearly full";
  if (!std::as_const(*store_).log().can_grow()) return "the disk takes no more segments";
  if (is_service_full_) return "the service's quota is reached";
  if (store_->is_short_of_space()) return "old segments are being cleared";
  return {};
}

bool QueueCore::is_full_of_source_keys() const {
  return store_->source_key_memory() > options_.source_key_max_bytes;
}

}  // namespace verbatim::queue
