#include "queue/state/message_index.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>

#include "base/check.h"

namespace verbatim::queue {
namespace {

// Memory for so many at once; more grow as they come.
constexpr int64_t kTakeUsualCount = 256;

}  // namespace

namespace {

bool is_live(const IndexedMessage& message) {
  return message.state == MessageState::kPending || message.state == MessageState::kLeased;
}

}  // namespace

// --- slots ---

size_t MessageIndex::memory_bytes() const {
  // Beside its value, a node of a tree has about three pointers, a colour and what malloc needs.
  constexpr size_t kNode = 48;
  const size_t chunk = kNode + sizeof(Chunks::value_type) + sizeof(Chunk);
  const size_t lane_entry = sizeof(std::pair<uint64_t, uint32_t>) + 1;
  const size_t waiting = 2 * (kNode + sizeof(std::pair<uint64_t, std::chrono::nanoseconds>));
  return chunks_.size() * chunk + lanes_.size() * sizeof(Lane) +
         free_lanes_.capacity() * sizeof(uint32_t) + lane_of_.capacity() * lane_entry +
         ready_.size() * (kNode + sizeof(std::pair<uint64_t, uint32_t>)) + delays_.size() * waiting;
}

IndexedMessage* MessageIndex::slot(uint64_t lookup_id) const {
  const uint64_t number = lookup_id / kChunkSize;
  if (newest_ != nullptr && number == newest_number_) {
    return &newest_->messages[lookup_id % kChunkSize];
  }
  if (last_ == nullptr || number != last_number_) {
    const auto it = chunks_.find(number);
    if (it == chunks_.end()) return nullptr;
    last_number_ = number;
    last_ = it->second.get();
  }
  return &last_->messages[lookup_id % kChunkSize];
}

IndexedMessage& MessageIndex::make_slot(uint64_t lookup_id) {
  const uint64_t number = lookup_id / kChunkSize;
  if (newest_ == nullptr || number != newest_number_) {
    std::unique_ptr<Chunk>& chunk = chunks_[number];
    if (chunk == nullptr) chunk = std::make_unique<Chunk>();
    newest_number_ = number;
    newest_ = chunk.get();
  }
  IndexedMessage& message = newest_->messages[lookup_id % kChunkSize];
  CHECK(message.state == MessageState::kNone, "invariant I2: a lookup id is used once");
  ++newest_->used_count;
  return message;
}

void MessageIndex::free_slot(uint64_t lookup_id) {
  *slot(lookup_id) = {};
  const uint64_t number = lookup_id / kChunkSize;
  Chunk* chunk = newest_ != nullptr && number == newest_number_ ? newest_ : last_;
  if (--chunk->used_count > 0) return;
  if (chunk == newest_) newest_ = nullptr;
  if (chunk == last_) last_ = nullptr;
  chunks_.erase(number);
}

IndexedMessage* MessageIndex::find(uint64_t lookup_id) {
  IndexedMessage* message = slot(lookup_id);
  return message != nullptr && is_live(*message) ? message : nullptr;
}

const IndexedMessage* MessageIndex::find(uint64_t lookup_id) const {
  const IndexedMessage* message = slot(lookup_id);
  return message != nullptr && is_live(*message) ? message : nullptr;
}

// --- lanes ---

uint32_t MessageIndex::lane_for(uint64_t hash) {
  const auto [it, is_new] = lane_of_.try_emplace(hash, 0);
  if (!is_new) return it->second;
  if (free_lanes_.empty()) {
    it->second = static_cast<uint32_t>(lanes_.size());
    lanes_.emplace_back();
  } else {
    it->second = free_lanes_.back();
    free_lanes_.pop_back();
  }
  lanes_[it->second] = {.hash = hash};
  return it->second;
}

void MessageIndex::drop_lane(uint32_t lane_number) {
  set_unready(lane_number);
  lane_of_.erase(lanes_[lane_number].hash);
  lanes_[lane_number] = {};
  free_lanes_.push_back(lane_number);
}

void MessageIndex::link(uint64_t lookup_id, IndexedMessage& message) {
  Lane& lane = lanes_[message.lane];
  CHECK(lane.tail < lookup_id, "lookup ids ascend in a lane");
  if (lane.head == 0) {
    lane.head = lookup_id;
  } else {
    slot(lane.tail)->next = lookup_id;
  }
  lane.tail = lookup_id;
}

// Gone messages leave their lane when they have become its head.
void MessageIndex::unlink_gone(Lane& lane) {
  while (lane.head != 0) {
    const IndexedMessage& head = *slot(lane.head);
    if (head.state != MessageState::kGone) return;
    const uint64_t gone = lane.head;
    lane.head = head.next;
    free_slot(gone);
  }
  lane.tail = 0;
}

void MessageIndex::set_unready(uint32_t lane_number) {
  Lane& lane = lanes_[lane_number];
  if (!lane.is_ready) return;
  ready_.erase({lane.head, lane_number});
  lane.is_ready = false;
}

void MessageIndex::update_ready(uint32_t lane_number) {
  Lane& lane = lanes_[lane_number];
  if (lane.is_ready || lane.leased_count > 0 || lane.head == 0) return;
  if (slot(lane.head)->is_delayed) return;
  lane.is_ready = true;
  ready_.insert({lane.head, lane_number});
}

// --- replay ---

IndexedMessage& MessageIndex::insert(const NewMessage& message) {
  IndexedMessage& slot = make_slot(message.lookup_id);
  slot.position = PackedPosition(message.position);
  slot.payload_size = message.payload_size;
  slot.delivery_count = static_cast<uint16_t>(
      std::min<uint32_t>(message.delivery_count, std::numeric_limits<uint16_t>::max()));
  slot.state = MessageState::kPending;
  slot.wants_consumed = message.wants_consumed;
  slot.reason = message.reason & 15;
  ++count_by_reason_[slot.reason];
  slot.lane = lane_for(message.order_key_hash);
  ++lanes_[slot.lane].count;
  ++count_;
  bytes_ += message.payload_size;
  return slot;
}

void MessageIndex::load(const NewMessage& message) {
  if (IndexedMessage* known = find(message.lookup_id)) {
    bytes_ += int64_t{message.payload_size} - known->payload_size;
    known->position = PackedPosition(message.position);
    known->payload_size = message.payload_size;
    known->delivery_count = static_cast<uint16_t>(message.delivery_count);
    return;
  }
  insert(message);
}

void MessageIndex::load_delivery(uint64_t lookup_id) {
  IndexedMessage& message = *find(lookup_id);
  forget_delay(lookup_id, message);
  if (message.delivery_count < std::numeric_limits<uint16_t>::max()) ++message.delivery_count;
}

void MessageIndex::load_return(uint64_t lookup_id, bool is_untried) {
  IndexedMessage& message = *find(lookup_id);
  if (is_untried && message.delivery_count > 0) --message.delivery_count;
}

void MessageIndex::unload(uint64_t lookup_id) {
  IndexedMessage* message = find(lookup_id);
  if (message == nullptr) return;
  bytes_ -= message->payload_size;
  --count_by_reason_[message->reason];
  --count_;
  forget_delay(lookup_id, *message);
  const uint32_t lane_number = message->lane;
  free_slot(lookup_id);
  if (--lanes_[lane_number].count == 0) drop_lane(lane_number);
}

void MessageIndex::finish_loading() {
  CHECK(is_loading_, "an index is loaded once");
  is_loading_ = false;
  for (const auto& [number, chunk] : chunks_) {
    for (uint64_t i = 0; i < kChunkSize; ++i) {
      if (is_live(chunk->messages[i])) link(number * kChunkSize + i, chunk->messages[i]);
    }
  }
  for (uint32_t lane = 0; lane < lanes_.size(); ++lane) {
    if (lanes_[lane].count > 0) update_ready(lane);
  }
}

// --- life ---

void MessageIndex::add(const NewMessage& message) {
  CHECK(!is_loading_, "an index is loaded before it lives");
  IndexedMessage& added = insert(message);
  link(message.lookup_id, added);
  update_ready(added.lane);
}

bool MessageIndex::is_ready(uint64_t lookup_id) const {
  const IndexedMessage* message = find(lookup_id);
  return message != nullptr && ready_.contains({lookup_id, message->lane});
}

void MessageIndex::lease(IndexedMessage& message, uint64_t lease_id) {
  CHECK(message.state == MessageState::kPending,
        "invariant I1: what is leased is not leased again");
  ++lanes_[message.lane].leased_count;
  ++leased_count_;
  if (message.delivery_count < std::numeric_limits<uint16_t>::max()) ++message.delivery_count;
  message.lease = static_cast<uint32_t>(lease_id);
  message.state = MessageState::kLeased;
}

std::vector<uint64_t> MessageIndex::take(const TakeLimits& limits, uint64_t lease_id) {
  if (limits.lookup_id != 0) {
    CHECK(is_ready(limits.lookup_id), "only a message that is ready is taken by its number");
    IndexedMessage& message = *slot(limits.lookup_id);
    set_unready(message.lane);
    lease(message, lease_id);
    return {limits.lookup_id};
  }
  std::vector<uint64_t> taken;
  taken.reserve(static_cast<size_t>(std::clamp<int64_t>(limits.max_count, 0, kTakeUsualCount)));
  // What lanes go on with after their first message of this lease: the same lease may have it, no
  // one else (I1).
  std::priority_queue<Head, std::vector<Head>, std::greater<>> more(
      std::greater<>(), heads_behind(limits.behind, SIZE_MAX));
  int64_t bytes = 0;
  while (static_cast<int64_t>(taken.size()) < limits.max_count) {
    const bool is_more = !more.empty() && (ready_.empty() || more.top() < *ready_.begin());
    if (!is_more && ready_.empty()) break;
    const auto [lookup_id, lane_number] = is_more ? more.top() : *ready_.begin();
    IndexedMessage& message = *slot(lookup_id);
    if (!taken.empty() && bytes + message.payload_size > limits.max_bytes) break;
    bytes += message.payload_size;
    if (is_more) {
      more.pop();
    } else {
      set_unready(lane_number);
    }
    lease(message, lease_id);
    taken.push_back(lookup_id);
    uint64_t next = message.next;
    while (next != 0 && slot(next)->state == MessageState::kGone) next = slot(next)->next;
    if (next != 0 && !slot(next)->is_delayed) more.emplace(next, lane_number);
  }
  return taken;
}

bool MessageIndex::has_behind(const std::vector<uint64_t>& leased) const {
  return !heads_behind(leased, 1).empty();
}

std::vector<MessageIndex::Head> MessageIndex::heads_behind(const std::vector<uint64_t>& leased,
                                                           size_t max_count) const {
  // Of each lane: how many of its leased messages are these, and the last of them.
  struct Held {
    uint32_t count = 0;
    uint64_t last = 0;
  };
  absl::flat_hash_map<uint32_t, Held> lanes;
  for (const uint64_t lookup_id : leased) {
    const IndexedMessage* message = find(lookup_id);
    if (message == nullptr || message->state != MessageState::kLeased) continue;
    Held& held = lanes[message->lane];
    ++held.count;
    held.last = std::max(held.last, lookup_id);
  }
  std::vector<Head> heads;
  for (const auto& [number, held] : lanes) {
    const Lane& lane = lanes_[number];
    if (held.count != lane.leased_count) continue;
    // One that came back lies before those that are held, and goes out first, when they have ended.
    uint64_t at = lane.head;
    while (at != held.last && slot(at)->state != MessageState::kPending) at = slot(at)->next;
    if (at != held.last) continue;
    at = slot(at)->next;
    while (at != 0 && slot(at)->state == MessageState::kGone) at = slot(at)->next;
    if (at == 0 || slot(at)->is_delayed) continue;
    heads.emplace_back(at, number);
    if (heads.size() == max_count) break;
  }
  return heads;
}

void MessageIndex::give_back(uint64_t lookup_id, bool is_untried) {
  IndexedMessage* message = find(lookup_id);
  CHECK(message != nullptr && message->state == MessageState::kLeased,
        "invariant I2: only a leased message goes back");
  message->state = MessageState::kPending;
  message->lease = 0;
  if (is_untried && message->delivery_count > 0) --message->delivery_count;
  --leased_count_;
  const uint32_t lane_number = message->lane;
  --lanes_[lane_number].leased_count;
  update_ready(lane_number);
}

void MessageIndex::delay(uint64_t lookup_id, std::chrono::nanoseconds until) {
  IndexedMessage* message = find(lookup_id);
  CHECK(message != nullptr && message->state == MessageState::kPending,
        "only a pending message can be made to wait");
  forget_delay(lookup_id, *message);
  message->is_delayed = true;
  delayed_[lookup_id] = until;
  delays_.insert({until, lookup_id});
  if (!is_loading_ && lanes_[message->lane].head == lookup_id) set_unready(message->lane);
}

void MessageIndex::forget_delay(uint64_t lookup_id, IndexedMessage& message) {
  if (!message.is_delayed) return;
  message.is_delayed = false;
  const auto it = delayed_.find(lookup_id);
  delays_.erase({it->second, lookup_id});
  delayed_.erase(it);
}

void MessageIndex::release_due(std::chrono::nanoseconds now) {
  while (!delays_.empty() && delays_.begin()->first <= now) {
    const uint64_t lookup_id = delays_.begin()->second;
    IndexedMessage& message = *find(lookup_id);
    forget_delay(lookup_id, message);
    update_ready(message.lane);
  }
}

std::chrono::nanoseconds MessageIndex::delayed_until(uint64_t lookup_id) const {
  const auto it = delayed_.find(lookup_id);
  return it == delayed_.end() ? std::chrono::nanoseconds(0) : it->second;
}

void MessageIndex::remove(uint64_t lookup_id) {
  IndexedMessage* message = find(lookup_id);
  CHECK(message != nullptr, "invariant I2: a message is removed once");
  forget_delay(lookup_id, *message);
  const uint32_t lane_number = message->lane;
  Lane& lane = lanes_[lane_number];
  if (message->state == MessageState::kLeased) {
    --leased_count_;
    --lane.leased_count;
  }
  bytes_ -= message->payload_size;
  --count_by_reason_[message->reason];
  --count_;
  message->state = MessageState::kGone;
  if (lane.head == lookup_id) {
    set_unready(lane_number);
    unlink_gone(lane);
  }
  if (--lane.count == 0) {
    drop_lane(lane_number);
  } else {
    update_ready(lane_number);
  }
}

// --- looking ---

uint64_t MessageIndex::at_or_above(uint64_t lookup_id) const {
  uint64_t first = lookup_id % kChunkSize;
  for (auto it = chunks_.lower_bound(lookup_id / kChunkSize); it != chunks_.end(); ++it) {
    if (it->first != lookup_id / kChunkSize) first = 0;
    for (uint64_t i = first; i < kChunkSize; ++i) {
      if (is_live(it->second->messages[i])) return it->first * kChunkSize + i;
    }
  }
  return 0;
}

uint64_t MessageIndex::at_or_below(uint64_t lookup_id) const {
  auto it = chunks_.upper_bound(lookup_id / kChunkSize);
  while (it != chunks_.begin()) {
    --it;
    const uint64_t last =
        it->first == lookup_id / kChunkSize ? lookup_id % kChunkSize : kChunkSize - 1;
    for (uint64_t i = last + 1; i-- > 0;) {
      if (is_live(it->second->messages[i])) return it->first * kChunkSize + i;
    }
  }
  return 0;
}

}  // namespace verbatim::queue
