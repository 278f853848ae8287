// QueueCore's view of the disk: quota, segments in use, copying what still lives out of the oldest
// segment, and what admin asks.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "queue/queue_core.h"

namespace verbatim::queue {
namespace {

// So many segments are kept before live messages are copied together.
constexpr size_t kSegmentSlackCount = 8;
// Copied in one group at most, so that answers do not wait for it.
constexpr uint64_t kCopyBudgetBytes = 256 * 1024;
constexpr std::chrono::milliseconds kDiskCheckInterval{1'000};

}  // namespace

void QueueCore::use_segment(const LogPosition& position, uint32_t bytes, int64_t sign) {
  SegmentUse& use = segment_use_[position.generation];
  use.message_count += sign;
  use.bytes += sign * static_cast<int64_t>(bytes);
  CHECK(use.message_count >= 0, "a segment's messages are counted");
  if (use.message_count == 0) segment_use_.erase(position.generation);
}

bool QueueCore::is_full() const {
  size_t key_bytes = 0;
  for (const auto& [id, queue] : queues_) key_bytes += queue->source_keys.bytes();
  return is_disk_full_ || is_quota_full_ || key_bytes > options_.source_key_max_bytes;
}

// Full is left only below a lower mark, so that producers do not flutter.
void QueueCore::update_full() {
  int64_t bytes = 0;
  for (const auto& [id, queue] : queues_) bytes += queue->index.bytes();
  const int64_t low = options_.quota_bytes / 20 * 19;
  is_quota_full_ = bytes >= (is_quota_full_ ? low : options_.quota_bytes);
  const auto now = clock_.monotonic();
  if (options_.free_disk_min_bytes == 0 || now < next_disk_check_) return;
  next_disk_check_ = now + kDiskCheckInterval;
  const auto free = file_system_.free_bytes(options_.log.directory);
  const bool was_full = is_disk_full_;
  is_disk_full_ = !free || static_cast<int64_t>(*free) < options_.free_disk_min_bytes;
  if (is_disk_full_ && !was_full) {
    LOG_WARN("puts are refused as full: free_bytes={} free_disk_min_bytes={}", free ? *free : 0,
             options_.free_disk_min_bytes);
  }
}

bool QueueCore::is_unused(uint64_t generation) const {
  if (segment_use_.contains(generation)) return false;
  return std::none_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
    return entry.second->source_keys.has_keys_of(generation);
  });
}

bool QueueCore::wants_recycling() const {
  const size_t count = log_->segment_count();
  if (count <= kSegmentSlackCount) return false;
  int64_t live = 0;
  for (const auto& [id, queue] : queues_) {
    live += queue->index.bytes() + static_cast<int64_t>(queue->source_keys.bytes());
  }
  return live * 2 < static_cast<int64_t>(count * log_->segment_bytes());
}

void QueueCore::recycle() {
  while (log_->segment_count() > 1 && log_->oldest_generation() < log_->newest_generation() &&
         is_unused(log_->oldest_generation())) {
    log_->release_oldest();
    copying_.reset();
  }
  if (!copying_) {
    if (!wants_recycling() || log_->oldest_generation() >= log_->newest_generation()) return;
    copying_ = Copying{.generation = log_->oldest_generation()};
  } else if (copying_->sync_count == log_->stats().sync_count) {
    return;
  }
  copying_->sync_count = log_->stats().sync_count;
  uint64_t budget = std::min<uint64_t>(kCopyBudgetBytes, log_->unit_max_bytes());
  copy_messages(copying_->generation, budget);
  if (!segment_use_.contains(copying_->generation)) copy_keys(copying_->generation, budget);
  if (is_unused(copying_->generation)) {
    log_->release_oldest();
    copying_.reset();
  }
}

void QueueCore::copy_messages(uint64_t generation, uint64_t& budget_bytes) {
  std::string scratch;
  for (auto it = queues_.lower_bound(copying_->queue_id); it != queues_.end(); ++it) {
    NamedQueue& queue = *it->second;
    if (copying_->queue_id != it->first) copying_->lookup_id = 0;
    copying_->queue_id = it->first;
    const auto& messages = queue.index.messages();
    for (auto at = messages.lower_bound(copying_->lookup_id); at != messages.end(); ++at) {
      copying_->lookup_id = at->first;
      if (!segment_use_.contains(generation)) return;
      if (at->second.position.generation != generation) continue;
      const uint32_t size = at->second.payload_size;
      if (budget_bytes == 0 || !log_->has_room(size, 1)) return;
      budget_bytes -= std::min<uint64_t>(budget_bytes, size);
      const auto payload = log_->read(at->second.position, size, scratch);
      auto record = payload ? decode_message_record(*payload) : std::nullopt;
      if (!record || record->lookup_id != at->first) {
        if (fatal_.ok()) fatal_ = data_loss("a live message cannot be read for copying");
        return;
      }
      IndexedMessage& message = *queue.index.find(at->first);
      record->delivery_count = message.delivery_count;
      std::string copy;
      append_message_record(copy, *record);
      use_segment(message.position, size, -1);
      log_->release(message.position);
      message.position = log_->append(RecordType::kMessageCopy, copy);
      log_->retain(message.position);
      use_segment(message.position, size, 1);
    }
  }
}

void QueueCore::copy_keys(uint64_t generation, uint64_t& budget_bytes) {
  const int64_t now = clock_.unix_now_ns();
  for (const auto& [id, queue] : queues_) {
    while (const auto* key = queue->source_keys.first_of(generation, now)) {
      // A live message's record, newer by now, carries its key.
      const IndexedMessage* message = queue->index.find(key->second.lookup_id);
      if (message != nullptr && message->position.generation > generation) {
        queue->source_keys.move_first(generation, message->position.generation);
        continue;
      }
      v1::LogSourceKey copy;
      copy.set_queue_id(id);
      copy.set_source_key(key->first);
      copy.set_lookup_id(key->second.lookup_id);
      copy.set_verdict(key->second.verdict);
      copy.set_put_unix_ns(key->second.put_unix_ns);
      const std::string bytes = copy.SerializeAsString();
      if (budget_bytes == 0 || !log_->has_room(bytes.size(), 1)) return;
      budget_bytes -= std::min<uint64_t>(budget_bytes, bytes.size());
      const LogPosition position = log_->append(RecordType::kSourceKeyCopy, bytes);
      queue->source_keys.move_first(generation, position.generation);
    }
  }
}

v1::ListQueuesResponse QueueCore::list_queues(const v1::ListQueuesRequest& /*request*/) const {
  v1::ListQueuesResponse response;
  const int64_t now = clock_.unix_now_ns();
  int64_t live = 0;
  for (const auto& [id, queue] : queues_) {
    v1::QueueInfo* info = response.add_queues();
    const auto& messages = queue->index.messages();
    info->set_name(queue->name);
    info->set_depth(static_cast<int64_t>(messages.size()));
    info->set_bytes(queue->index.bytes());
    info->set_leased_count(queue->index.leased_count());
    if (!messages.empty()) {
      const int64_t age_ns = now - messages.begin()->second.put_unix_ns;
      info->set_oldest_age_ms(std::max<int64_t>(0, age_ns / 1'000'000));
    }
    info->set_last_lookup_id(queue->next_lookup_id - 1);
    info->set_redelivered_count(queue->redelivered_count);
    for (const auto& [reason, count] : queue->refused) (*info->mutable_refused())[reason] = count;
    for (const auto& [source, count] : queue->accepted_by_source) {
      (*info->mutable_accepted_by_source())[source] = count;
    }
    info->set_accepted_count(queue->accepted_count);
    info->set_committed_count(queue->committed_count);
    info->set_repeat_count(queue->repeat_count);
    live += queue->index.bytes();
  }
  v1::LogInfo* log = response.mutable_log();
  log->set_segment_count(static_cast<int64_t>(log_->segment_count()));
  log->set_free_segment_count(static_cast<int64_t>(log_->spare_count()));
  log->set_live_bytes(live);
  log->set_sync_count(static_cast<int64_t>(log_->stats().sync_count));
  log->set_synced_record_count(static_cast<int64_t>(log_->stats().synced_record_count));
  log->set_recovery_ms(recovery_ms_);
  log->set_cut_bytes(static_cast<int64_t>(log_->stats().cut_bytes));
  return response;
}

std::vector<std::string> QueueCore::notices() const {
  std::vector<std::string> notices;
  if (is_disk_full_) notices.emplace_back("the disk is nearly full: puts are refused");
  if (is_quota_full_) notices.emplace_back("queue.quota_bytes is reached: puts are refused");
  if (const uint64_t cut = log_->stats().cut_bytes; cut > 0) {
    notices.push_back(fmt::format("{} bytes of an unfinished group were cut at the start", cut));
  }
  return notices;
}

Result<v1::PeekResponse> QueueCore::peek(const v1::PeekRequest& request) {
  NamedQueue* queue = find_queue(request.queue());
  if (queue == nullptr) return not_found("no such queue");
  if (request.max_count() < 1 || request.max_count() > 1'000) {
    return invalid_argument("max_count must be 1 to 1,000");
  }
  v1::PeekResponse response;
  std::string scratch;
  const auto& messages = queue->index.messages();
  for (auto it = messages.lower_bound(request.from_lookup_id());
       it != messages.end() && response.messages_size() < request.max_count(); ++it) {
    ASSIGN_OR_RETURN(const std::string_view payload,
                     log_->read(it->second.position, it->second.payload_size, scratch));
    const auto record = decode_message_record(payload);
    if (!record) return data_loss("a message record cannot be read back");
    v1::MessageInfo* info = response.add_messages();
    info->set_lookup_id(it->first);
    info->set_source(std::string(record->source));
    info->set_put_unix_ns(record->put_unix_ns);
    info->set_bytes(static_cast<int64_t>(record->envelope.size() + record->body.size()));
    info->set_delivery_count(it->second.delivery_count);
    info->set_is_leased(it->second.lease_id != 0);
  }
  return response;
}

}  // namespace verbatim::queue
