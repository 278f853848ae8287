// QueueCore's clients, what they hold, and what happens when they are gone.
#include <algorithm>
#include <utility>

#include "base/frame.h"
#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/refusal.h"

namespace verbatim::queue {
namespace {

constexpr size_t kNameMaxBytes = 128;
constexpr size_t kInstanceMaxBytes = 64;

}  // namespace

void QueueCore::on_hello(const Request& request) {
  const v1::QueueHello& hello = request.frame.hello();
  if (hello.client().empty() || hello.client().size() > kNameMaxBytes ||
      hello.instance().size() > kInstanceMaxBytes) {
    return refuse(request, refused(v1::REFUSAL_REASON_INVALID, "client is 1 to 128 bytes"));
  }
  const auto known = clients_.find(hello.client());
  if (known == clients_.end() && clients_.size() >= options_.client_max_count) {
    return refuse(request, refused(v1::REFUSAL_REASON_CREDIT_EXCEEDED, "too many clients"));
  }
  if (known != clients_.end() && known->second.user != request.user) {
    return refuse(request, refused(v1::REFUSAL_REASON_NOT_PERMITTED,
                                   "a client of its name is connected with another key"));
  }
  // This connection may have had another name before.
  if (const auto old = peers_.find(request.peer);
      old != peers_.end() && old->second != hello.client()) {
    end_leases_of(old->second);
    clients_.erase(old->second);
    drop_demands_of(request.peer);
  }
  Client& client = clients_[hello.client()];
  if (client.instance != hello.instance() || client.user != request.user) {
    end_leases_of(hello.client());
    drop_demands_of(client.peer);
  }
  if (client.peer != request.peer) {
    drop_demands_of(client.peer);
    peers_.erase(client.peer);
  }
  client = {.name = hello.client(),
            .instance = hello.instance(),
            .peer = request.peer,
            .user = request.user,
            .last_seen = clock_.monotonic()};
  peers_[request.peer] = client.name;
  v1::QueueFrame frame;
  v1::QueueHelloReply& reply_body = *frame.mutable_hello_reply();
  reply_body.set_service_instance(instance_);
  reply_body.set_credit_bytes(options_.client_credit_bytes);
  reply_body.set_credit_count(options_.client_credit_count);
  reply_body.set_message_max_bytes(options_.message_max_bytes);
  reply(request, std::move(frame));
  serve_all();
}

QueueCore::Client* QueueCore::client_of(const std::string& peer) {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : &clients_.at(it->second);
}

// --- leases ---

// A try that failed: the message waits for its next cycle, or has none left.
bool QueueCore::return_messages(const Leased& leased, const std::vector<uint64_t>& lookup_ids,
                                std::chrono::milliseconds delay, bool is_untried) {
  NamedQueue& queue = *leased.queue;
  const uint64_t room = lookup_ids.size() * QueueStore::kRangeBytes + QueueStore::kRecordBytes;
  if (!store_->reserve(2 * room, 2, 2 * room)) return false;
  return_credit(leased, lookup_ids);
  std::vector<uint64_t> plain;
  std::vector<uint64_t> waiting;
  std::vector<uint64_t> spent;
  for (const uint64_t id : lookup_ids) {
    const int64_t tries = queue.index.find(id)->delivery_count;
    if (!is_untried && tries >= tries_max(queue.settings) && !options_.canaries.never_is_poison) {
      spent.push_back(id);
    } else if (!is_untried && tries % tries_per_cycle(queue.settings) == 0) {
      waiting.push_back(id);
    } else {
      plain.push_back(id);
    }
  }
  const auto after = [this](std::chrono::milliseconds time) {
    return time.count() == 0 ? 0 : clock_.unix_now_ns() + std::chrono::nanoseconds(time).count();
  };
  if (!plain.empty()) {
    store_->give_back(queue, plain, {.not_before_unix_ns = after(delay), .is_untried = is_untried});
  }
  if (!waiting.empty()) {
    const auto cycle = std::max(delay, retry_cycle_delay(queue.settings));
    store_->give_back(queue, waiting, {.not_before_unix_ns = after(cycle)});
  }
  if (!spent.empty()) store_->give_back(queue, spent, {});
  for (const uint64_t id : spent) {
    queue.index.delay(id, std::chrono::nanoseconds::max());
    poison_.emplace_back(queue.id, id);
  }
  return true;
}

void QueueCore::end_lease_now(uint64_t lease_id, bool is_untried) {
  const auto it = leases_.find(lease_id);
  if (it == leases_.end()) return;
  Lease& lease = it->second;
  lease.is_untried = lease.is_untried || is_untried;
  lease_ends_.erase({lease.until, lease_id});
  lease.until = {};
  lease_ends_.insert({lease.until, lease_id});
}

void QueueCore::end_leases_of(const std::string& client) {
  for (auto& [id, lease] : leases_) {
    if (lease.client == client) end_lease_now(id, lease.waiting_commit_count > 0);
  }
  expire_leases();
}

// The peer has not had an answer: if it lives, it has to say hello and ask again.
void QueueCore::undeliverable(const Outgoing& outgoing) {
  if (outgoing.lease_id != 0) end_lease_now(outgoing.lease_id, true);
  if (const Client* client = client_of(outgoing.peer)) {
    drop_demands_of(outgoing.peer);
    forget_client(std::string(client->name));
  }
  expire_leases();
}

// Leases that are over; what finds no room in the open group is over with the next one.
void QueueCore::expire_leases() {
  const auto now = clock_.monotonic();
  while (!lease_ends_.empty() && lease_ends_.begin()->first <= now) {
    const uint64_t lease_id = lease_ends_.begin()->second;
    Lease& lease = leases_.at(lease_id);
    const auto queue = store_->queues().find(lease.queue_id);
    if (queue == store_->queues().end()) {
      lease_ends_.erase(lease_ends_.begin());
      leases_.erase(lease_id);
      continue;
    }
    if (lease.waiting_commit_count > 0 && lease.until.count() > 0) {
      // Its consumer is done and waits for us: the lease goes on.
      lease_ends_.erase(lease_ends_.begin());
      lease.until = now + options_.lease_max;
      lease_ends_.insert({lease.until, lease_id});
      continue;
    }
    const Leased leased{.lease_id = lease_id, .lease = &lease, .queue = queue->second.get()};
    const std::vector<uint64_t> left = wanted_of(leased, {});
    if (!return_messages(leased, left, std::chrono::milliseconds(0), lease.is_untried)) return;
    lease_ends_.erase(lease_ends_.begin());
    leases_.erase(lease_id);
  }
}

// --- clients that are gone ---

void QueueCore::drop_demands_of(const std::string& peer) {
  for (const auto& [id, queue] : store_->queues()) {
    std::erase_if(queue->demands, [&](const Demand& demand) { return demand.peer == peer; });
  }
}

// A consumer that is only slow learns that it has to ask again.
void QueueCore::end_demands_of(const std::string& peer) {
  for (const auto& [id, queue] : store_->queues()) {
    for (Demand& demand : queue->demands) {
      if (demand.peer == peer && !demand.is_push) demand.until = {};
    }
    std::erase_if(queue->demands,
                  [&](const Demand& demand) { return demand.peer == peer && demand.is_push; });
  }
}

void QueueCore::end_push(const Demand& demand, v1::Refused refusal) {
  v1::QueueFrame frame;
  frame.set_request_id(demand.request_id);
  *frame.mutable_refused() = std::move(refusal);
  hold_reply(
      {.outgoing = {.peer = demand.peer, .frame = base::encode_frame(frame)}, .is_push = true});
}

// Whatever it says next is answered by "say hello": so it tells its subscriptions again.
void QueueCore::forget_client(const std::string& name) {
  end_leases_of(name);
  const auto client = clients_.find(name);
  peers_.erase(client->second.peer);
  clients_.erase(client);
}

void QueueCore::expire_clients() {
  const auto now = clock_.monotonic();
  for (auto it = clients_.begin(); it != clients_.end();) {
    const Client& client = (it++)->second;
    if (now - client.last_seen <= options_.consumer_silence_max) continue;
    end_demands_of(client.peer);
    forget_client(std::string(client.name));
  }
  for (const auto& [id, queue] : store_->queues()) release_active(*queue);
}

// An exclusive queue is free when its consumer is gone, or has neither asked nor held a message for
// the time after which a consumer counts as silent.
void QueueCore::release_active(NamedQueue& queue) {
  if (queue.active_client.empty()) return;
  const auto now = clock_.monotonic();
  const bool is_alive = clients_.contains(queue.active_client);
  const bool is_busy =
      std::any_of(queue.demands.begin(), queue.demands.end(),
                  [&](const Demand& demand) { return demand.client == queue.active_client; }) ||
      std::any_of(leases_.begin(), leases_.end(), [&](const auto& entry) {
        return entry.second.queue_id == queue.id && entry.second.client == queue.active_client;
      });
  if (is_alive && is_busy) queue.active_seen = now;
  if (is_alive && now - queue.active_seen <= options_.consumer_silence_max) return;
  LOG_INFO("the consumer of an exclusive queue is gone queue={} client={}", queue.name,
           queue.active_client);
  queue.active_client.clear();
}

void QueueCore::answer_empty(const Demand& demand) {
  v1::QueueFrame frame;
  frame.set_request_id(demand.request_id);
  frame.mutable_receive_reply();
  hold_reply({.outgoing = {.peer = demand.peer, .frame = base::encode_frame(frame)}});
}

void QueueCore::expire_receives() {
  const auto now = clock_.monotonic();
  for (const auto& [id, queue] : store_->queues()) {
    for (auto it = queue->demands.begin(); it != queue->demands.end();) {
      if (it->is_push || (it->until > now && !is_stopping_)) {
        ++it;
        continue;
      }
      const Demand demand = std::move(*it);
      it = queue->demands.erase(it);
      answer_empty(demand);
    }
  }
}

}  // namespace verbatim::queue
