#include "queue/message_index.h"

#include <algorithm>

#include "base/check.h"

namespace verbatim::queue {

void OrderKey::pop() {
  ++head;
  if (is_empty()) {
    pending.clear();
    head = 0;
  } else if (head >= 1024 && head * 2 >= pending.size()) {
    pending.erase(pending.begin(), begin());
    head = 0;
  }
}

void OrderKey::insert(uint64_t lookup_id) {
  if (is_empty() || pending.back() < lookup_id) {
    pending.push_back(lookup_id);
  } else if (lookup_id < first() && head > 0) {
    pending[--head] = lookup_id;
  } else {
    pending.insert(std::lower_bound(begin(), pending.end(), lookup_id), lookup_id);
  }
}

void OrderKey::erase(uint64_t lookup_id) {
  const auto it = std::lower_bound(begin(), pending.end(), lookup_id);
  if (it != pending.end() && *it == lookup_id) pending.erase(it);
}

bool MessageIndex::add(uint64_t lookup_id, const IndexedMessage& message,
                       std::string_view order_key) {
  const auto added = messages_.emplace_hint(messages_.end(), lookup_id, message);
  if (added->second.key != nullptr) return false;
  const auto [it, is_new] = keys_.try_emplace(std::string(order_key));
  OrderKey& key = it->second;
  key.bytes = &it->first;
  added->second.key = &key;
  ++key.message_count;
  bytes_ += added->second.payload_size;
  const bool was_ready = !key.is_empty() && key.leased_count == 0;
  const uint64_t old_first = was_ready ? key.first() : 0;
  key.insert(lookup_id);
  if (was_ready && key.first() == old_first) return true;
  if (was_ready) ready_.erase({old_first, &key});
  make_ready(key);
  return true;
}

IndexedMessage* MessageIndex::find(uint64_t lookup_id) {
  const auto it = messages_.find(lookup_id);
  return it == messages_.end() ? nullptr : &it->second;
}

void MessageIndex::make_ready(OrderKey& key) {
  if (key.leased_count == 0 && !key.is_empty()) ready_.insert({key.first(), &key});
}

std::vector<uint64_t> MessageIndex::take(const TakeLimits& limits, uint64_t lease_id) {
  std::vector<uint64_t> taken;
  std::vector<std::pair<uint64_t, OrderKey*>> blocked;
  int64_t bytes = 0;
  while (!ready_.empty() && static_cast<int64_t>(taken.size()) < limits.max_count) {
    const auto [lookup_id, key] = *ready_.begin();
    IndexedMessage& message = messages_.at(lookup_id);
    if (!taken.empty() && bytes + message.payload_size > limits.max_bytes) break;
    bytes += message.payload_size;
    ready_.erase(ready_.begin());
    key->pop();
    ++key->leased_count;
    ++leased_count_;
    ++message.delivery_count;
    message.lease_id = lease_id;
    taken.push_back(lookup_id);
    // The same lease may go on with this key; everyone else waits (I1).
    if (!key->is_empty()) {
      ready_.insert({key->first(), key});
      blocked.emplace_back(key->first(), key);
    }
  }
  for (const auto& entry : blocked) ready_.erase(entry);
  return taken;
}

void MessageIndex::give_back(uint64_t lookup_id) {
  IndexedMessage& message = messages_.at(lookup_id);
  CHECK(message.lease_id != 0, "invariant I2: only a leased message goes back");
  message.lease_id = 0;
  --leased_count_;
  --message.key->leased_count;
  message.key->insert(lookup_id);
  make_ready(*message.key);
}

void MessageIndex::remove(uint64_t lookup_id) {
  const auto it = messages_.find(lookup_id);
  CHECK(it != messages_.end(), "invariant I2: a message is removed once");
  OrderKey& key = *it->second.key;
  if (it->second.lease_id != 0) {
    --leased_count_;
    --key.leased_count;
  } else {
    if (!key.is_empty() && key.leased_count == 0) ready_.erase({key.first(), &key});
    key.erase(lookup_id);
  }
  bytes_ -= it->second.payload_size;
  messages_.erase(it);
  if (--key.message_count == 0) {
    keys_.erase(std::string(*key.bytes));
  } else {
    make_ready(key);
  }
}

}  // namespace verbatim::queue
