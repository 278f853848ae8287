// MessageIndex: the messages of one queue in memory: where each lies, who may have it next.
//
// I1 What is given out is the smallest lookup id whose order key has no message under another
//    lease; within one take() a key's messages follow each other.
// I2 A message is pending, leased or gone; gone is for ever.
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/log/log_format.h"

namespace verbatim::queue {

// Pending lookup ids of one order key, ascending, beginning at `head`.
struct OrderKey {
  const std::string* bytes = nullptr;
  std::vector<uint64_t> pending;
  size_t head = 0;
  int64_t leased_count = 0;
  int64_t message_count = 0;

  bool is_empty() const { return head == pending.size(); }
  uint64_t first() const { return pending[head]; }
  std::vector<uint64_t>::iterator begin() {
    return pending.begin() + static_cast<std::ptrdiff_t>(head);
  }
  void pop();
  void insert(uint64_t lookup_id);
  void erase(uint64_t lookup_id);
};

struct IndexedMessage {
  LogPosition position{};
  uint32_t payload_size = 0;
  uint32_t delivery_count = 0;
  int64_t put_unix_ns = 0;
  uint64_t lease_id = 0;  // 0: pending
  OrderKey* key = nullptr;
};

class MessageIndex {
 public:
  MessageIndex() = default;
  MessageIndex(const MessageIndex&) = delete;
  MessageIndex& operator=(const MessageIndex&) = delete;

  // A new message; false if it is there already.
  bool add(uint64_t lookup_id, const IndexedMessage& message, std::string_view order_key);
  IndexedMessage* find(uint64_t lookup_id);
  // Messages in order of their lookup ids.
  const std::map<uint64_t, IndexedMessage>& messages() const { return messages_; }

  bool has_ready() const { return !ready_.empty(); }
  struct TakeLimits {
    int64_t max_count = 0;
    int64_t max_bytes = 0;
  };
  // Leases messages to `lease_id` and raises their delivery counts; at least one if any is ready.
  std::vector<uint64_t> take(const TakeLimits& limits, uint64_t lease_id);
  // A leased message goes back to its place.
  void give_back(uint64_t lookup_id);
  // The message is gone.
  void remove(uint64_t lookup_id);

  int64_t bytes() const { return bytes_; }
  int64_t leased_count() const { return leased_count_; }

 private:
  void make_ready(OrderKey& key);

  std::map<uint64_t, IndexedMessage> messages_;
  std::unordered_map<std::string, OrderKey> keys_;
  // First pending lookup id of each key that nobody has a lease on.
  std::set<std::pair<uint64_t, OrderKey*>> ready_;
  int64_t bytes_ = 0;
  int64_t leased_count_ = 0;
};

}  // namespace verbatim::queue
