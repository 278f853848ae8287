// QueueStore and the disk: segments in use, and copying what still counts out of the oldest.
//
// The bound: all segments together take at most twice the live bytes and four segments. Copying
// begins two segments below it, under the bandwidth of the settings; one segment below it copies
// as fast as the disk takes it, and at the bound itself nothing is put.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "queue/state/queue_store.h"
#include "queue/state/source_key_digest.h"

namespace verbatim::queue {
namespace {

constexpr int64_t kCopyBeginSegments = 2;
constexpr int64_t kCopyHurrySegments = 3;
constexpr int64_t kBoundSegments = 4;
// Copied in one group: so much, that answers do not wait for it; in a hurry more.
constexpr uint64_t kPortionBytes = 256 * 1024;
constexpr uint64_t kHurryPortionBytes = 2 * 1024 * 1024;
// Messages looked at in one step.
constexpr int kLookMaxCount = 100'000;

}  // namespace

void QueueStore::use_segment(const NamedQueue& queue, uint64_t lookup_id, LogPosition position,
                             uint32_t bytes) {
  SegmentUse& use = segment_use_[position.generation];
  ++use.message_count;
  use.bytes += static_cast<int64_t>(record_size(bytes));
  for (SegmentUse::Range& range : use.ranges) {
    if (range.queue_id != queue.id) continue;
    range.first = std::min(range.first, lookup_id);
    range.last = std::max(range.last, lookup_id);
    return;
  }
  use.ranges.push_back({queue.id, lookup_id, lookup_id});
}

void QueueStore::unuse_segment(LogPosition position, uint32_t bytes) {
  const auto it = segment_use_.find(position.generation);
  CHECK(it != segment_use_.end(), "a segment's messages are counted");
  it->second.bytes -= static_cast<int64_t>(record_size(bytes));
  if (--it->second.message_count == 0) segment_use_.erase(it);
}

bool QueueStore::is_unused(uint64_t generation) const {
  if (segment_use_.contains(generation)) return false;
  return std::none_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
    return entry.second->source_keys.has_keys_of(generation);
  });
}

int64_t QueueStore::message_count() const {
  int64_t count = 0;
  for (const auto& [id, queue] : queues_) count += queue->index.count();
  return count;
}

int64_t QueueStore::destroyed_count() const {
  int64_t count = destroyed_of_deleted_count_;
  for (const auto& [id, queue] : queues_) count += queue->destroyed_count;
  return count;
}

int64_t QueueStore::message_bytes() const {
  int64_t bytes = 0;
  for (const auto& [id, queue] : queues_) bytes += queue->index.bytes();
  return bytes;
}

int64_t QueueStore::source_key_count() const {
  size_t count = 0;
  for (const auto& [id, queue] : queues_) count += queue->source_keys.size();
  return static_cast<int64_t>(count);
}

size_t QueueStore::source_key_memory() const {
  size_t bytes = 0;
  for (const auto& [id, queue] : queues_) bytes += queue->source_keys.bytes();
  return bytes;
}

int64_t QueueStore::live_bytes() const {
  int64_t bytes = 0;
  for (const auto& [generation, use] : segment_use_) bytes += use.bytes;
  for (const auto& [id, queue] : queues_) bytes += queue->source_keys.live_bytes();
  return bytes;
}

void QueueStore::expire_source_keys() {
  for (const auto& [id, queue] : queues_) queue->source_keys.expire(clock_.unix_now_ns(), 1'000);
}

// How far the disk space is above twice the live bytes and the spares that were asked for.
int64_t QueueStore::excess_bytes() const {
  const auto wanted_spares = static_cast<int64_t>(
      (std::max<size_t>(options_.log.spare_count, 2) - 2) * log_->segment_bytes());
  return static_cast<int64_t>(log_->disk_bytes()) - 2 * live_bytes() - wanted_spares;
}

Status QueueStore::recycle() {
  while (log_->segment_count() > 1 && log_->oldest_generation() < log_->newest_generation() &&
         is_unused(log_->oldest_generation())) {
    log_->release_oldest();
    copying_.reset();
  }
  const auto segment = static_cast<int64_t>(log_->segment_bytes());
  const int64_t excess = excess_bytes();
  const bool has_older =
      log_->segment_count() > 1 && log_->oldest_generation() < log_->newest_generation();
  log_->keep_one_more_spare(excess + segment <= kBoundSegments * segment);
  // Where messages pile up there is room for it within the bound, and they may fill the disk. It is
  // made at once, so that a disk that takes no more is noticed while most of the open segment is
  // left. A log of one segment and one spare gets it too; what flows through recycles its own.
  const bool is_small = log_->disk_bytes() <= 2 * log_->segment_bytes();
  log_->keep_second_reserve(is_small || excess + segment <= kCopyBeginSegments * segment);
  if (excess > kBoundSegments * segment) RETURN_IF_ERROR(log_->drop_surplus_spare());
  is_in_hurry_ = excess > kCopyHurrySegments * segment;
  is_short_of_space_ = has_older && excess > kBoundSegments * segment;
  if (!has_older || (!copying_ && excess <= kCopyBeginSegments * segment)) return {};
  // Two segments and the spares are within the bound whatever they hold; and what flows through is
  // gone from the older one by itself.
  if (!copying_ && log_->segment_count() == 2 && !is_short_of_space_) return {};
  if (!copying_) {
    copying_ = Copying{.generation = log_->oldest_generation()};
  } else if (copying_->sync_count == log_->stats().sync_count) {
    return {};
  }
  return copy_oldest(copy_budget());
}

uint64_t QueueStore::copy_budget() {
  if (is_in_hurry_) return std::min(kHurryPortionBytes, unit_max_bytes());
  const auto now = clock_.monotonic();
  const double passed = std::chrono::duration<double>(now - tokens_since_).count();
  tokens_since_ = now;
  copy_tokens_ =
      std::min(copy_tokens_ + passed * static_cast<double>(options_.copy_bytes_per_second),
               static_cast<double>(kPortionBytes));
  const auto budget = static_cast<uint64_t>(std::max(0.0, copy_tokens_));
  return std::min({budget, kPortionBytes, unit_max_bytes()});
}

Status QueueStore::copy_oldest(uint64_t budget_bytes) {
  const uint64_t generation = copying_->generation;
  uint64_t left = budget_bytes;
  RETURN_IF_ERROR(copy_messages(generation, left));
  if (!segment_use_.contains(generation)) RETURN_IF_ERROR(copy_keys(generation, left));
  const uint64_t copied = budget_bytes - left;
  copied_bytes_ += static_cast<int64_t>(copied);
  if (copied > 0) copying_->sync_count = log_->stats().sync_count;
  copy_tokens_ -= static_cast<double>(copied);
  if (is_unused(generation)) {
    log_->release_oldest();
    copying_.reset();
  }
  return {};
}

Status QueueStore::copy_messages(uint64_t generation, uint64_t& budget_bytes) {
  int looked = 0;
  for (auto use = segment_use_.find(generation); use != segment_use_.end();
       use = segment_use_.find(generation)) {
    CHECK(copying_->range < use->second.ranges.size(), "what lies in a segment lies in its ranges");
    const SegmentUse::Range range = use->second.ranges[copying_->range];
    NamedQueue* queue = find(range.queue_id);
    const uint64_t from = std::max(copying_->lookup_id, range.first);
    const uint64_t lookup_id = queue == nullptr ? 0 : queue->index.at_or_above(from);
    if (lookup_id == 0 || lookup_id > range.last) {
      ++copying_->range;
      copying_->lookup_id = 0;
      continue;
    }
    if (++looked > kLookMaxCount) return {};
    copying_->lookup_id = lookup_id;
    const IndexedMessage& message = *queue->index.find(lookup_id);
    if (message.position.generation() == generation) {
      const uint64_t bytes = record_size(message.payload_size);
      if (budget_bytes == 0 || !reserve(bytes + kRecordBytes, 2)) return {};
      budget_bytes -= std::min(budget_bytes, bytes);
      RETURN_IF_ERROR(copy_message(*queue, lookup_id));
    }
    copying_->lookup_id = lookup_id + 1;
  }
  return {};
}

Status QueueStore::copy_message(NamedQueue& queue, uint64_t lookup_id) {
  const IndexedMessage& message = *queue.index.find(lookup_id);
  ASSIGN_OR_RETURN(StoredMessage stored, read(queue, lookup_id));
  stored.record.delivery_count = message.delivery_count;
  const std::string bytes = message_record_bytes(stored.record);
  MessageRecord record = *decode_message_record(bytes);
  append_message(queue, record, RecordType::kMessageCopy);
  const auto until = queue.index.delayed_until(lookup_id);
  if (until == std::chrono::nanoseconds(0) || until == std::chrono::nanoseconds::max()) return {};
  // What says that it waits goes with the old segment.
  ranges_.Clear();
  ranges_.set_not_before_unix_ns(clock_.unix_now_ns() + (until - clock_.monotonic()).count());
  append_ranges(RecordType::kReturned, queue, {lookup_id}, ranges_);
  return {};
}

Status QueueStore::copy_keys(uint64_t generation, uint64_t& budget_bytes) {
  const int64_t now = clock_.unix_now_ns();
  for (const auto& [id, queue] : queues_) {
    while (const auto key = queue->source_keys.first_of(generation, now)) {
      if (budget_bytes == 0) return {};
      ASSIGN_OR_RETURN(const bool is_copied, copy_key(*queue, key->first, key->second));
      if (!is_copied) return {};
      budget_bytes -= std::min<uint64_t>(budget_bytes, SourceKeys::kLogBytesPerKey);
    }
  }
  return {};
}

// False: no room in the open group.
Result<bool> QueueStore::copy_key(NamedQueue& queue, const SourceKeyHash& hash,
                                  const SourceKeyState& state) {
  ASSIGN_OR_RETURN(const std::string_view payload,
                   log_->read(state.position.unpack(), state.payload_size, scratch_));
  v1::LogSourceKey copy;
  if (state.is_copy) {
    if (!copy.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return data_loss("a source key's record cannot be read for copying");
    }
  } else {
    const auto record = decode_message_record(payload);
    if (!record) return data_loss("a source key's message cannot be read for copying");
    copy.set_source_key(std::string(record->source_key));
    copy.set_verdict(std::string(record->verdict));
  }
  copy.set_queue_id(queue.id);
  copy.set_lookup_id(state.lookup_id);
  copy.set_put_unix_ns(state.put_unix_ns);
  const std::string bytes = copy.SerializeAsString();
  if (!reserve(bytes.size(), 1)) return false;
  SourceKeyState moved = state;
  moved.position = PackedPosition(
      log_->append(RecordType::kSourceKeyCopy, bytes, encode_source_key_digest(copy)));
  moved.payload_size = static_cast<uint32_t>(bytes.size());
  moved.is_copy = true;
  queue.source_keys.add(hash, moved);
  return true;
}

}  // namespace verbatim::queue
