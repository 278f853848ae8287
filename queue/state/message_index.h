// MessageIndex: the messages of one queue in memory: where each lies, who may have it next. About
// 35 bytes a message, and 60 an order key.
//
// A *lane* is the messages of one order key, by lookup id.
//
// I1 What is given out is the smallest lookup id whose lane has no message under another lease and
//    none that waits for its time before it; within one take() a lane's messages follow each other.
//    Who names messages that it holds gets what is behind them, too, where its lane has no other
//    message under a lease.
// I2 A message is pending, leased or gone; gone is for ever.
// I3 A message that waits (delayed) keeps its place: nothing behind it in its lane goes out.
//
// Life: load() and unload() in any order while the log is replayed, finish_loading(), then the
// rest. Threads: one.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "queue/log/log_format.h"

namespace verbatim::queue {

// A place in the log in 8 bytes: segments below 32 GiB, 2^32 generations.
class PackedPosition {
 public:
  PackedPosition() = default;
  explicit PackedPosition(LogPosition position)
      : bits_(position.generation << 32 | position.offset / kRecordAlignment) {}
  LogPosition unpack() const { return {bits_ >> 32, (bits_ & 0xffffffff) * kRecordAlignment}; }
  uint64_t generation() const { return bits_ >> 32; }

 private:
  uint64_t bits_ = 0;
};

enum class MessageState : uint8_t {
  kNone = 0,  // no such message
  kPending,
  kLeased,
  kGone,  // still part of its lane, nothing else
};

struct IndexedMessage {
  PackedPosition position{};
  uint64_t next = 0;  // in its lane, 0 at the end
  uint32_t payload_size = 0;
  uint32_t lane = 0;
  uint32_t lease = 0;  // the low bits of the lease's id
  uint16_t delivery_count = 0;
  MessageState state = MessageState::kNone;
  bool is_delayed : 1 = false;
  bool wants_consumed : 1 = false;
  uint8_t reason : 4 = 0;  // the END_REASON of its last hop
};
static_assert(sizeof(IndexedMessage) == 32);

class MessageIndex {
 public:
  MessageIndex() = default;
  MessageIndex(const MessageIndex&) = delete;
  MessageIndex& operator=(const MessageIndex&) = delete;

  // What add() and load() take of a message.
  struct NewMessage {
    uint64_t lookup_id = 0;
    LogPosition position{};
    uint32_t payload_size = 0;
    uint32_t delivery_count = 0;
    uint64_t order_key_hash = 0;
    bool wants_consumed = false;
    uint8_t reason = 0;  // EndReason, below 16
  };

  // --- while the log is replayed ---
  // A message, or the newer place of a known one.
  void load(const NewMessage& message);
  // One more try; what it waited for is over.
  void load_delivery(uint64_t lookup_id);
  // It came back; untried: the last delivery was no try.
  void load_return(uint64_t lookup_id, bool is_untried);
  // Gone; nothing if it is not known.
  void unload(uint64_t lookup_id);
  // Links the lanes, in the order of the lookup ids whatever the order of loading was.
  void finish_loading();

  // --- life ---
  // A new message; its lookup id is the highest so far.
  void add(const NewMessage& message);
  // Null if there is none, or if it is gone. Valid until the message is removed.
  IndexedMessage* find(uint64_t lookup_id);
  const IndexedMessage* find(uint64_t lookup_id) const;

  bool has_ready() const { return !ready_.empty(); }
  // True if take() would give this message to a lease of its own.
  bool is_ready(uint64_t lookup_id) const;
  struct TakeLimits {
    int64_t max_count = 0;
    int64_t max_bytes = 0;
    uint64_t lookup_id = 0;  // not 0: this one alone, which is_ready()
    // Leased messages that the taker holds, ascending.
    std::vector<uint64_t> behind = {};
  };
  // True if take() would give something because of these.
  bool has_behind(const std::vector<uint64_t>& leased) const;
  // Leases messages and raises their delivery counts; at least one if any is ready.
  std::vector<uint64_t> take(const TakeLimits& limits, uint64_t lease_id);
  // A leased message goes back to its place. Untried: this delivery is not counted.
  void give_back(uint64_t lookup_id, bool is_untried = false);
  // A pending message waits until release_due() is called with this time or a later one; max():
  // until it is removed.
  void delay(uint64_t lookup_id, std::chrono::nanoseconds until);
  void release_due(std::chrono::nanoseconds now);
  // When it may go out; zero if it does not wait.
  std::chrono::nanoseconds delayed_until(uint64_t lookup_id) const;
  // By time.
  const std::set<std::pair<std::chrono::nanoseconds, uint64_t>>& delays() const { return delays_; }
  // The message is gone.
  void remove(uint64_t lookup_id);

  // --- looking ---
  // Calls `visit(lookup_id, message)` for each, in order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& [number, chunk] : chunks_) {
      for (uint64_t i = 0; i < kChunkSize; ++i) {
        const IndexedMessage& message = chunk->messages[i];
        const bool is_live =
            message.state == MessageState::kPending || message.state == MessageState::kLeased;
        if (is_live) visit(number * kChunkSize + i, message);
      }
    }
  }
  // Smallest lookup id at or above, largest at or below `lookup_id`; 0 if there is none.
  uint64_t at_or_above(uint64_t lookup_id) const;
  uint64_t at_or_below(uint64_t lookup_id) const;
  int64_t count() const { return count_; }
  int64_t bytes() const { return bytes_; }
  int64_t leased_count() const { return leased_count_; }
  // By EndReason; 0: messages that were put here.
  const std::array<int64_t, 16>& count_by_reason() const { return count_by_reason_; }
  // What it takes itself, about.
  size_t memory_bytes() const;
  int64_t lane_count() const { return static_cast<int64_t>(lane_of_.size()); }

 private:
  static constexpr uint64_t kChunkSize = 64;
  struct Chunk {
    std::array<IndexedMessage, kChunkSize> messages{};
    uint32_t used_count = 0;  // not kNone
  };
  using Chunks = absl::btree_map<uint64_t, std::unique_ptr<Chunk>>;
  struct Lane {
    uint64_t hash = 0;
    uint64_t head = 0;  // 0: empty
    uint64_t tail = 0;
    uint32_t leased_count = 0;
    uint32_t count = 0;  // not gone
    bool is_ready = false;
  };

  // The first message of a lane that may go out to someone, and the lane.
  using Head = std::pair<uint64_t, uint32_t>;
  // What is next in the lanes of these leased messages; not more than `max_count`.
  std::vector<Head> heads_behind(const std::vector<uint64_t>& leased, size_t max_count) const;
  IndexedMessage* slot(uint64_t lookup_id) const;
  IndexedMessage& make_slot(uint64_t lookup_id);
  void free_slot(uint64_t lookup_id);
  IndexedMessage& insert(const NewMessage& message);
  uint32_t lane_for(uint64_t hash);
  void link(uint64_t lookup_id, IndexedMessage& message);
  void lease(IndexedMessage& message, uint64_t lease_id);
  void unlink_gone(Lane& lane);
  void update_ready(uint32_t lane_number);
  void set_unready(uint32_t lane_number);
  void drop_lane(uint32_t lane_number);
  void forget_delay(uint64_t lookup_id, IndexedMessage& message);

  Chunks chunks_;
  // The chunk found last: messages go in sequence. And the one made last: they come in sequence.
  mutable uint64_t last_number_ = 0;
  mutable Chunk* last_ = nullptr;
  uint64_t newest_number_ = 0;
  Chunk* newest_ = nullptr;
  std::deque<Lane> lanes_;
  std::vector<uint32_t> free_lanes_;
  absl::flat_hash_map<uint64_t, uint32_t> lane_of_;
  // First message of each lane that may go out.
  absl::btree_set<Head> ready_;
  std::map<uint64_t, std::chrono::nanoseconds> delayed_;
  std::set<std::pair<std::chrono::nanoseconds, uint64_t>> delays_;
  bool is_loading_ = true;
  int64_t count_ = 0;
  int64_t bytes_ = 0;
  int64_t leased_count_ = 0;
  std::array<int64_t, 16> count_by_reason_{};
};

}  // namespace verbatim::queue
