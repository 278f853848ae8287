// QueueCore's answers to consumers: receive, push under credit, and how a lease ends.
#include <algorithm>
#include <utility>

#include "base/endian.h"
#include "base/frame.h"
#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/refusal.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr int64_t kReceiveMaxCount = 65'536;
constexpr int64_t kReceiveMaxBytes = int64_t{64} * 1024 * 1024;
constexpr int64_t kCreditMaxCount = 1'048'576;
constexpr int64_t kPushMaxBytes = 1024 * 1024;
constexpr int64_t kDelayMaxMs = 86'400'000;
constexpr size_t kDemandMaxCount = 4'096;
constexpr size_t kDetailMaxBytes = 256;
constexpr int64_t kReceiveWaitMaxMs = 60'000;
constexpr int kBehindMaxCount = 16;

}  // namespace

// Dead letters and journal copies end by an operator's word only: no consumer may commit them.
bool QueueCore::refuse_parked(const Request& request, NamedQueue& queue) {
  const std::string_view sub = sub_name_of(queue.name);
  if (sub != kDeadLetters && sub != kJournal) return false;
  refuse(request,
         refused(v1::REFUSAL_REASON_INVALID,
                 sub == kJournal ? "a journal is not received from: peek, move or trim it"
                                 : "dead letters are not received: peek, redrive or move them"),
         &queue);
  return true;
}

bool QueueCore::on_receive(const Request& request) {
  const v1::Receive& receive = request.frame.receive();
  if (refuse_unknown_or_forbidden(request, receive.queue(), false)) return true;
  NamedQueue* queue = store_->find(receive.queue());
  if (refuse_parked(request, *queue)) return true;
  const bool is_by_number = receive.lookup_id() != 0;
  const bool is_bounded = receive.max_count() >= 1 && receive.max_count() <= kReceiveMaxCount &&
                          receive.max_bytes() >= 1;
  if ((!is_bounded && !is_by_number) || receive.lease_ms() < 1 || receive.wait_ms() < 0 ||
      receive.behind_lease_ids_size() > kBehindMaxCount) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "a limit is out of range"), queue);
    return true;
  }
  if (is_stopping_) {
    refuse(request, refused(v1::REFUSAL_REASON_STOPPING, "the service is stopping"), queue);
    return true;
  }
  const auto wait =
      std::chrono::milliseconds(std::min<int64_t>(receive.wait_ms(), kReceiveWaitMaxMs));
  Demand demand{.peer = request.peer,
                .client = client_of(request.peer)->name,
                .request_id = request.frame.request_id(),
                .max_count = receive.max_count(),
                .max_bytes = std::min(receive.max_bytes(), kReceiveMaxBytes),
                .lease = std::chrono::milliseconds(receive.lease_ms()),
                .until = clock_.monotonic() + wait,
                .lookup_id = receive.lookup_id(),
                .behind = {receive.behind_lease_ids().begin(), receive.behind_lease_ids().end()}};
  if (is_by_number) {
    if (queue->index.is_ready(demand.lookup_id) && may_serve(*queue, demand)) {
      return serve(*queue, demand);
    }
    answer_empty(demand);
    return true;
  }
  const bool is_alone = queue->demands.empty();
  const bool has_any = queue->index.has_ready() ||
                       (!demand.behind.empty() && queue->index.has_behind(held_of(*queue, demand)));
  if (is_alone && has_any && may_serve(*queue, demand)) return serve(*queue, demand);
  if (wait.count() == 0 || queue->demands.size() >= kDemandMaxCount) {
    answer_empty(demand);
    return true;
  }
  queue->demands.push_back(std::move(demand));
  serve_demands(*queue);
  return true;
}

// The same client and queue again: the credit is changed, what is out keeps counting.
bool QueueCore::on_subscribe(const Request& request) {
  const v1::Subscribe& subscribe = request.frame.subscribe();
  if (refuse_unknown_or_forbidden(request, subscribe.queue(), false)) return true;
  NamedQueue* queue = store_->find(subscribe.queue());
  if (refuse_parked(request, *queue)) return true;
  if (subscribe.credit_messages() < 0 || subscribe.credit_messages() > kCreditMaxCount ||
      subscribe.credit_bytes() < 0 || subscribe.lease_ms() < 1 ||
      subscribe.batch_max_messages() < 0 || queue->demands.size() >= kDemandMaxCount) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "a limit is out of range"), queue);
    return true;
  }
  // A subscribe is answered by pushes, so it holds no credit of requests.
  Client& client = *client_of(request.peer);
  client.held_count = std::max<int64_t>(0, client.held_count - 1);
  Demand fresh{.peer = request.peer,
               .client = client.name,
               .request_id = request.frame.request_id(),
               .is_push = true,
               .max_count = subscribe.credit_messages(),
               .max_bytes = subscribe.credit_bytes(),
               .lease = std::chrono::milliseconds(subscribe.lease_ms()),
               .batch_max_count = subscribe.batch_max_messages()};
  const auto old = std::find_if(queue->demands.begin(), queue->demands.end(), [&](const Demand& d) {
    return d.is_push && d.peer == request.peer;
  });
  if (old != queue->demands.end()) {
    fresh.unsettled_count = old->unsettled_count;
    fresh.unsettled_bytes = old->unsettled_bytes;
    for (auto& [id, lease] : leases_) {
      if (lease.queue_id == queue->id && lease.client == client.name &&
          lease.push_request_id == old->request_id) {
        lease.push_request_id = fresh.request_id;
      }
    }
    queue->demands.erase(old);
  }
  if (fresh.max_count > 0) queue->demands.push_back(std::move(fresh));
  serve_demands(*queue);
  return true;
}

Demand* QueueCore::push_of(NamedQueue& queue, const std::string& client, uint64_t request_id) {
  for (Demand& demand : queue.demands) {
    if (demand.is_push && demand.request_id == request_id && demand.client == client) {
      return &demand;
    }
  }
  return nullptr;
}

bool QueueCore::may_serve(NamedQueue& queue, const Demand& demand) {
  if (is_stopping_ || queue.flags.is_receive_paused() || queue.flags.is_deleting()) return false;
  if (is_journal_full(queue)) return false;
  if (demand.is_push) {
    const bool has_credit =
        demand.unsettled_count < demand.max_count &&
        (demand.unsettled_count == 0 || demand.unsettled_bytes < demand.max_bytes);
    if (!has_credit) return false;
  }
  if (queue.settings.consumer_mode() != v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE) return true;
  if (queue.active_client.empty()) {
    LOG_INFO("an exclusive queue has a consumer queue={} client={}", queue.name, demand.client);
    queue.active_client = demand.client;
  }
  if (queue.active_client != demand.client) return false;
  queue.active_seen = clock_.monotonic();
  return true;
}

std::vector<uint64_t> QueueCore::held_of(const NamedQueue& queue, const Demand& demand) const {
  std::vector<uint64_t> held;
  for (const uint64_t id : demand.behind) {
    const auto lease = leases_.find(id);
    const bool is_own = lease != leases_.end() && lease->second.client == demand.client &&
                        lease->second.queue_id == queue.id;
    if (!is_own) continue;
    for (const uint64_t lookup_id : lease->second.lookup_ids) {
      const IndexedMessage* message = queue.index.find(lookup_id);
      // What has left the lease may be under another one.
      const bool is_in_lease = message != nullptr && message->state == MessageState::kLeased &&
                               message->lease == static_cast<uint32_t>(id);
      if (is_in_lease) held.push_back(lookup_id);
    }
  }
  std::sort(held.begin(), held.end());
  // A lease may be named twice.
  held.erase(std::unique(held.begin(), held.end()), held.end());
  return held;
}

// Gives messages to one consumer; false: no room for the record that counts the delivery.
bool QueueCore::serve(NamedQueue& queue, Demand& demand) {
  MessageIndex::TakeLimits limits{
      .max_count = demand.max_count, .max_bytes = demand.max_bytes, .lookup_id = demand.lookup_id};
  if (demand.lookup_id != 0) limits.max_count = 1;
  if (!demand.behind.empty()) limits.behind = held_of(queue, demand);
  if (demand.is_push) {
    limits.max_count -= demand.unsettled_count;
    limits.max_bytes = std::min(limits.max_bytes - demand.unsettled_bytes, kPushMaxBytes);
    if (demand.batch_max_count > 0) {
      limits.max_count = std::min(limits.max_count, demand.batch_max_count);
    }
  }
  const auto unit_max =
      static_cast<int64_t>(store_->unit_max_bytes() / (4 * QueueStore::kRangeBytes));
  limits.max_count = std::min({limits.max_count, unit_max, queue.index.count()});
  const uint64_t range_bytes = static_cast<uint64_t>(limits.max_count) * QueueStore::kRangeBytes;
  if (!store_->reserve(range_bytes, 1, range_bytes)) return false;
  const uint64_t lease_id = next_lease_id_++;
  std::vector<uint64_t> taken = store_->take(queue, limits, lease_id);
  ReceiveFrame frame(demand.request_id, lease_id, log().log_id());
  if (!fill_frame(queue, taken, frame)) return false;
  if (demand.is_push) {
    demand.unsettled_count += static_cast<int64_t>(taken.size());
    for (const uint64_t id : taken) demand.unsettled_bytes += queue.index.find(id)->payload_size;
  }
  const auto lease_time = std::min(demand.lease, options_.lease_max);
  Lease& lease = leases_[lease_id];
  lease.queue_id = queue.id;
  lease.client = demand.client;
  lease.left_count = taken.size();
  std::sort(taken.begin(), taken.end());
  lease.lookup_ids = std::move(taken);
  lease.until = clock_.monotonic() + lease_time;
  lease.push_request_id = demand.is_push ? demand.request_id : 0;
  lease_ends_.insert({lease.until, lease_id});
  hold_reply({.outgoing = {.peer = demand.peer, .frame = frame.finish(), .lease_id = lease_id},
              .is_push = demand.is_push});
  return true;
}

void QueueCore::serve_demands(NamedQueue& queue) {
  size_t passed = 0;
  while (queue.index.has_ready() && passed < queue.demands.size()) {
    if (!may_serve(queue, queue.demands.front())) {
      std::rotate(queue.demands.begin(), queue.demands.begin() + 1, queue.demands.end());
      ++passed;
      continue;
    }
    if (!serve(queue, queue.demands.front())) return;
    passed = 0;
    if (queue.demands.front().is_push) {
      std::rotate(queue.demands.begin(), queue.demands.begin() + 1, queue.demands.end());
    } else {
      queue.demands.pop_front();
    }
  }
}

void QueueCore::serve_all() {
  for (const auto& [id, queue] : store_->queues()) serve_demands(*queue);
}

bool QueueCore::fill_frame(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                           ReceiveFrame& frame) {
  size_t bytes = 0;
  for (const uint64_t id : lookup_ids) bytes += queue.index.find(id)->payload_size;
  frame.reserve(bytes);
  StoredMessage stored;
  for (const uint64_t lookup_id : lookup_ids) {
    if (fail(store_->read(queue, lookup_id, stored))) return false;
    frame.add(stored, queue.index.find(lookup_id)->delivery_count);
  }
  return true;
}

// --- the end of a lease ---

std::optional<QueueCore::Leased> QueueCore::find_lease(const Request& request, uint64_t lease_id,
                                                       const std::string& name) {
  if (refuse_forbidden(request, name, false)) return std::nullopt;
  const Client* client = client_of(request.peer);
  const auto it = leases_.find(lease_id);
  NamedQueue* queue = store_->find(name);
  if (client == nullptr || queue == nullptr || it == leases_.end() ||
      it->second.client != client->name || it->second.queue_id != queue->id) {
    refuse(request, refused(v1::REFUSAL_REASON_LEASE_LOST, "no such lease"), queue);
    return std::nullopt;
  }
  return Leased{.lease_id = lease_id, .lease = &it->second, .queue = queue};
}

// What of a lease a request means, of what is still in it.
std::vector<uint64_t> QueueCore::wanted_of(
    const Leased& leased, const google::protobuf::RepeatedField<uint64_t>& named) const {
  const auto is_in_lease = [&](uint64_t id) {
    const IndexedMessage* message = std::as_const(leased.queue->index).find(id);
    return message != nullptr && message->state == MessageState::kLeased &&
           message->lease == static_cast<uint32_t>(leased.lease_id);
  };
  std::vector<uint64_t> wanted(named.begin(), named.end());
  if (named.empty()) wanted = leased.lease->lookup_ids;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::erase_if(wanted, [&](uint64_t id) { return !is_in_lease(id); });
  return wanted;
}

void QueueCore::forget_leased(const Leased& leased, const std::vector<uint64_t>& lookup_ids) {
  Lease& lease = *leased.lease;
  lease.left_count -= lookup_ids.size();
  if (lease.left_count > 0) return;
  lease_ends_.erase({lease.until, leased.lease_id});
  leases_.erase(leased.lease_id);
}

// Gives a subscription its credit back. Before the messages leave the index.
void QueueCore::return_credit(const Leased& leased, const std::vector<uint64_t>& lookup_ids) {
  if (leased.lease->push_request_id == 0) return;
  Demand* push = push_of(*leased.queue, leased.lease->client, leased.lease->push_request_id);
  if (push == nullptr) return;
  push->unsettled_count -= static_cast<int64_t>(lookup_ids.size());
  for (const uint64_t id : lookup_ids) {
    push->unsettled_bytes -= std::as_const(leased.queue->index).find(id)->payload_size;
  }
}

void QueueCore::settle_reply(const Request& request) {
  v1::QueueFrame frame;
  frame.mutable_settle_reply()->set_settled_count(request.settled_count);
  reply(request, std::move(frame));
}

bool QueueCore::on_commit(Request& request) {
  const v1::Settle& settle = request.frame.commit();
  const auto leased = find_lease(request, settle.lease_id(), settle.queue());
  if (!leased) return true;
  NamedQueue& queue = *leased->queue;
  std::vector<uint64_t> wanted = wanted_of(*leased, settle.lookup_ids());
  while (!wanted.empty()) {
    if (is_journal_full(queue)) {
      ++leased->lease->waiting_commit_count;
      waiting_for_journal_.push_back(std::move(request));
      return true;
    }
    const std::vector<uint64_t> part = commit_part_of(queue, wanted);
    if (!reserve_commit(queue, part)) return false;
    return_credit(*leased, part);
    if (!commit_part(queue, part)) return true;
    request.settled_count += static_cast<int64_t>(part.size());
    wanted.erase(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(part.size()));
    forget_leased(*leased, part);
  }
  settle_reply(request);
  serve_demands(queue);
  return true;
}

bool QueueCore::on_abort(Request& request) {
  const v1::Abort& abort = request.frame.abort();
  const auto leased = find_lease(request, abort.lease_id(), abort.queue());
  if (!leased) return true;
  if (abort.delay_ms() < 0 || abort.delay_ms() > kDelayMaxMs) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "delay_ms is 0 to 86,400,000"),
           leased->queue);
    return true;
  }
  const std::vector<uint64_t> wanted = wanted_of(*leased, abort.lookup_ids());
  const std::chrono::milliseconds delay(options_.canaries.forgets_delays ? 0 : abort.delay_ms());
  if (!return_messages(*leased, wanted, delay, abort.is_untried())) {
    return false;
  }
  NamedQueue& queue = *leased->queue;
  forget_leased(*leased, wanted);
  request.settled_count = static_cast<int64_t>(wanted.size());
  settle_reply(request);
  end_poison();
  serve_demands(queue);
  return true;
}

bool QueueCore::on_abandon(Request& request) {
  const v1::Abandon& abandon = request.frame.abandon();
  const auto leased = find_lease(request, abandon.lease_id(), abandon.queue());
  if (!leased) return true;
  NamedQueue& queue = *leased->queue;
  if (abandon.detail().size() > kDetailMaxBytes) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "detail is longer than 256 bytes"), &queue);
    return true;
  }
  if (is_system_sub_queue(queue.name)) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "this sub-queue has no other"), &queue);
    return true;
  }
  for (const uint64_t id : wanted_of(*leased, abandon.lookup_ids())) {
    if (!may_end()) {
      // The group on its way may give up a segment.
      if (log().is_group_in_flight()) return false;
      v1::Refused full = refused(v1::REFUSAL_REASON_FULL, "the disk takes no more segments");
      full.set_retry_after_ms(options_.full_retry_after.count());
      refuse(request, std::move(full), &queue);
      serve_demands(queue);
      return true;
    }
    NamedQueue* to = poison_queue_of(queue);
    if (to == nullptr || !reserve_move(queue, id)) return false;
    return_credit(*leased, {id});
    if (!move_message(queue, id, *to,
                      {.reason = v1::END_REASON_ABANDONED, .detail = abandon.detail()})) {
      return true;
    }
    ++request.settled_count;
    const bool is_last = leased->lease->left_count == 1;
    forget_leased(*leased, {id});
    if (is_last) break;
  }
  settle_reply(request);
  serve_demands(queue);
  return true;
}

bool QueueCore::on_extend(const Request& request) {
  const v1::Extend& extend = request.frame.extend();
  const auto leased = find_lease(request, extend.lease_id(), extend.queue());
  if (!leased) return true;
  if (extend.lease_ms() < 1) {
    refuse(request, refused(v1::REFUSAL_REASON_INVALID, "lease_ms is above 0"), leased->queue);
    return true;
  }
  const auto time = std::min(std::chrono::milliseconds(extend.lease_ms()), options_.lease_max);
  Lease& lease = *leased->lease;
  lease_ends_.erase({lease.until, leased->lease_id});
  lease.until = clock_.monotonic() + time;
  lease_ends_.insert({lease.until, leased->lease_id});
  v1::QueueFrame frame;
  frame.mutable_extend_reply()->set_lease_ms(time.count());
  reply(request, std::move(frame));
  return true;
}

}  // namespace verbatim::queue
