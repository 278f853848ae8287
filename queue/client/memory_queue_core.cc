#include "queue/client/memory_queue_core.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/endian.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Each queue in memory is a folder of its own.
std::string make_log_id() {
  static std::atomic<uint64_t> last{0};
  std::string log_id;
  base::put_le64(log_id, ++last);
  return log_id;
}

int64_t size_of(const v1::QueueMessage& message) {
  return static_cast<int64_t>(message.body().size() + message.envelope().size());
}

}  // namespace

MemoryQueueCore::MemoryQueueCore(base::Clock& clock, const MemoryQueueSettings& settings)
    : clock_(clock), settings_(settings), log_id_(make_log_id()) {}

void MemoryQueueCore::touch() {
  ++change_count_;
  changed.notify_all();
}

void MemoryQueueCore::set_state(MemoryQueue::State state) {
  state_ = state;
  while (state == MemoryQueue::State::kDown && !leases_.empty()) end_lease(leases_.begin()->first);
  touch();
}

bool MemoryQueueCore::answers_consumers() const {
  return state_ != MemoryQueue::State::kDown && state_ != MemoryQueue::State::kSilent;
}

PutOutcome MemoryQueueCore::store(const PutRequest& request) {
  if (!request.source_key.empty()) {
    const auto [it, is_new] = source_keys_.try_emplace(
        request.source_key, SourceKeyEntry{next_lookup_id_, request.verdict});
    if (!is_new) {
      return {.lookup_id = it->second.lookup_id,
              .is_repeat = true,
              .first_verdict = it->second.verdict};
    }
  }
  const uint64_t lookup_id = next_lookup_id_++;
  v1::QueueMessage& message = messages_[lookup_id].message;
  message.set_lookup_id(lookup_id);
  message.set_put_unix_ns(clock_.unix_now_ns());
  message.set_source(request.source);
  message.set_source_count(++source_counts_[request.source]);
  message.set_order_key(request.order_key);
  message.set_source_key(request.source_key);
  message.set_verdict(request.verdict);
  message.set_envelope(request.envelope);
  message.set_body(request.body);
  message.set_label(request.label);
  message.set_correlation_id(request.correlation_id);
  touch();
  return {.lookup_id = lookup_id, .is_repeat = false, .first_verdict = {}};
}

std::set<uint64_t> MemoryQueueCore::held_by(const void* client,
                                            const std::vector<uint64_t>& lease_ids) const {
  std::set<uint64_t> held;
  for (const uint64_t id : lease_ids) {
    const auto lease = leases_.find(id);
    if (lease == leases_.end() || lease->second.client != client) continue;
    held.insert(lease->second.ids.begin(), lease->second.ids.end());
  }
  return held;
}

Lease MemoryQueueCore::take(const void* client, const TakeLimits& limits) {
  expire_leases();
  const std::set<uint64_t> behind = held_by(client, limits.behind);
  std::set<std::string> blocked;
  std::map<std::string, uint64_t> last_held;
  for (const auto& [id, stored] : messages_) {
    if (!stored.is_leased) continue;
    if (!behind.contains(id)) blocked.insert(stored.message.order_key());
    last_held[stored.message.order_key()] = id;
  }
  const auto now = clock_.monotonic();
  Lease lease;
  int64_t bytes = 0;
  for (auto& [id, stored] : messages_) {
    if (static_cast<int64_t>(lease.messages.size()) >= limits.max_count) break;
    if (stored.is_leased || blocked.contains(stored.message.order_key())) continue;
    // What came back goes out before what is behind it.
    const auto held = last_held.find(stored.message.order_key());
    if (held != last_held.end() && id < held->second) blocked.insert(held->first);
    if (blocked.contains(stored.message.order_key())) continue;
    if (stored.not_before > now || (limits.lookup_id != 0 && limits.lookup_id != id)) {
      blocked.insert(stored.message.order_key());
      continue;
    }
    const bool is_free = lease.messages.empty() && limits.is_first_free;
    bytes += size_of(stored.message);
    if (!is_free && bytes > limits.max_bytes) break;
    if (lease.id == 0) lease.id = next_lease_id_++;
    stored.is_leased = true;
    stored.message.set_delivery_count(stored.message.delivery_count() + 1);
    leases_[lease.id].ids.insert(id);
    lease.messages.push_back(stored.message);
  }
  if (lease.id == 0) return lease;
  lease.log_id = log_id_;
  leases_[lease.id].client = client;
  leases_[lease.id].until = now + std::min<nanoseconds>(limits.lease, settings_.lease_max);
  return lease;
}

MemoryQueueCore::Held* MemoryQueueCore::find_lease(const void* client, uint64_t lease_id) {
  expire_leases();
  const auto it = leases_.find(lease_id);
  return it == leases_.end() || it->second.client != client ? nullptr : &it->second;
}

Status MemoryQueueCore::settle(const void* client, const Settlement& settlement) {
  Held* const lease = find_lease(client, settlement.lease_id);
  if (lease == nullptr) return aborted("the lease was lost");
  std::set<uint64_t> ids;
  for (const uint64_t id : settlement.lookup_ids) {
    if (lease->ids.contains(id)) ids.insert(id);
  }
  if (settlement.lookup_ids.empty()) ids = lease->ids;
  for (const uint64_t id : ids) {
    lease->ids.erase(id);
    switch (settlement.kind) {
      case Settlement::Kind::kCommit:
        messages_.erase(id);
        ++committed_count;
        break;
      case Settlement::Kind::kAbort:
        give_back(id, settlement);
        break;
      case Settlement::Kind::kAbandon:
        bury(id, v1::END_REASON_ABANDONED, settlement.detail);
        break;
    }
  }
  if (lease->ids.empty()) leases_.erase(settlement.lease_id);
  touch();
  return {};
}

Result<milliseconds> MemoryQueueCore::extend(const void* client, uint64_t lease_id,
                                             milliseconds time) {
  Held* const lease = find_lease(client, lease_id);
  if (lease == nullptr) return aborted("the lease was lost");
  const milliseconds left = std::min(time, settings_.lease_max);
  lease->until = clock_.monotonic() + left;
  return left;
}

void MemoryQueueCore::give_back(uint64_t lookup_id, const Settlement& abort) {
  Stored& stored = messages_.at(lookup_id);
  stored.is_leased = false;
  stored.not_before = clock_.monotonic() + abort.delay;
  const int64_t tries = stored.message.delivery_count();
  if (abort.is_untried) return stored.message.set_delivery_count(tries - 1);
  const int64_t per_cycle = settings_.retries + 1;
  if (tries >= (settings_.retry_cycles + 1) * per_cycle) {
    return bury(lookup_id, v1::END_REASON_POISON, {});
  }
  if (tries % per_cycle != 0) return;
  stored.not_before =
      std::max(stored.not_before, clock_.monotonic() + nanoseconds(settings_.retry_cycle_delay));
}

void MemoryQueueCore::bury(uint64_t lookup_id, v1::EndReason reason, const std::string& detail) {
  v1::QueueMessage message = std::move(messages_.at(lookup_id).message);
  messages_.erase(lookup_id);
  v1::MessageHop& hop = *message.add_hops();
  hop.set_lookup_id(lookup_id);
  hop.set_delivery_count(message.delivery_count());
  hop.set_reason(reason);
  hop.set_detail(detail);
  hop.set_unix_ns(clock_.unix_now_ns());
  dead.push_back(std::move(message));
}

void MemoryQueueCore::end_lease(uint64_t lease_id) {
  const std::set<uint64_t> ids = std::move(leases_.at(lease_id).ids);
  leases_.erase(lease_id);
  for (const uint64_t id : ids) give_back(id, {.kind = Settlement::Kind::kAbort});
  touch();
}

void MemoryQueueCore::expire_leases() {
  const auto now = clock_.monotonic();
  std::vector<uint64_t> ended;
  for (const auto& [id, lease] : leases_) {
    if (lease.until <= now) ended.push_back(id);
  }
  for (const uint64_t id : ended) end_lease(id);
}

void MemoryQueueCore::end_leases_of(const void* client) {
  std::vector<uint64_t> ended;
  for (const auto& [id, lease] : leases_) {
    if (lease.client == client) ended.push_back(id);
  }
  for (const uint64_t id : ended) end_lease(id);
}

MemoryQueueCore::Unsettled MemoryQueueCore::unsettled(const void* client) {
  expire_leases();
  Unsettled sum;
  for (const auto& [lease_id, lease] : leases_) {
    if (lease.client != client) continue;
    for (const uint64_t id : lease.ids) {
      ++sum.count;
      sum.bytes += size_of(messages_.at(id).message);
    }
  }
  return sum;
}

std::vector<v1::QueueMessage> MemoryQueueCore::all() const {
  std::vector<v1::QueueMessage> copies;
  for (const auto& [id, stored] : messages_) copies.push_back(stored.message);
  return copies;
}

}  // namespace verbatim::queue
