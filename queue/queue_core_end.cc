// How messages end: committed, with a copy for the journal and a word to the administration queue;
// or moved on with their reason.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/refusal.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr uint64_t kAcknowledgementBytes = 8 * 1024;
// Names of lost queues that are remembered.
constexpr size_t kLostNamesMaxCount = 256;
constexpr const char* kOwnSource = "verbatim-queue";

}  // namespace

// Transfers and journals wait until the disk takes new segments: the reserves are for what has to
// fit whatever happens.
bool QueueCore::may_copy() const { return std::as_const(*store_).log().can_grow(); }

// What is poison or abandoned is part of that, but it is copied: it has a share, and leaves the
// rest to commits and aborts. Where a burst is more than its share, it goes on as segments are
// given up.
bool QueueCore::may_end() const { return std::as_const(*store_).log().has_room_to_copy(); }

bool QueueCore::is_journal_full(const NamedQueue& queue) const {
  if (!queue.settings.has_journal()) return false;
  if (!may_copy()) return true;
  const int64_t quota = queue.settings.journal_quota_bytes();
  if (quota == 0) return false;
  const NamedQueue* journal = std::as_const(*store_).find(sub_queue(queue.name, kJournal));
  return journal != nullptr && journal->index.bytes() >= quota;
}

void QueueCore::retry_journal_commits() {
  for (size_t left = waiting_for_journal_.size(); left > 0; --left) {
    Request request = std::move(waiting_for_journal_.front());
    waiting_for_journal_.pop_front();
    NamedQueue* queue = store_->find(request.frame.commit().queue());
    if (queue != nullptr && is_journal_full(*queue)) {
      waiting_for_journal_.push_back(std::move(request));
      continue;
    }
    // What is left of its lease has its end again.
    const auto lease = leases_.find(request.frame.commit().lease_id());
    if (lease != leases_.end()) --lease->second.waiting_commit_count;
    if (is_of_stranger(request)) {
      refuse(request, refused(v1::REFUSAL_REASON_HELLO_WANTED, "say hello first"));
    } else if (!waiting_.empty() || !dispatch(request)) {
      if (waiting_.empty()) deaf_since_ = clock_.monotonic();
      waiting_.push_back(std::move(request));
    }
  }
}

// Makes the sub-queue where it is missing; null: no room for its record.
NamedQueue* QueueCore::sub_queue_of(NamedQueue& queue, std::string_view sub_name) {
  const std::string name = sub_queue(parent_of(queue.name), sub_name);
  if (NamedQueue* known = store_->find(name)) return known;
  if (!store_->reserve(QueueStore::kRecordBytes, 1)) return nullptr;
  return &store_->make_queue(name, {});
}

NamedQueue* QueueCore::poison_queue_of(NamedQueue& queue) {
  const bool is_dead =
      queue.settings.poison_target() == v1::QueueSettings::POISON_TARGET_DEAD_LETTERS ||
      sub_name_of(queue.name) == kPoison;
  return sub_queue_of(queue, is_dead ? kDeadLetters : kPoison);
}

// What the end of a message may write: its place in the ranges, a copy, an acknowledgement.
uint64_t QueueCore::commit_bytes(const NamedQueue& queue, uint64_t lookup_id) const {
  uint64_t bytes = 2 * QueueStore::kRangeBytes;  // in the record and in its digest
  if (queue.settings.has_journal()) bytes += store_->move_bytes(queue, lookup_id);
  if (queue.index.find(lookup_id)->wants_consumed) bytes += kAcknowledgementBytes;
  return bytes;
}

// The first of `lookup_ids` that fit into one unit, at least one; with copies, message by message.
std::vector<uint64_t> QueueCore::commit_part_of(const NamedQueue& queue,
                                                const std::vector<uint64_t>& lookup_ids) const {
  uint64_t bytes = QueueStore::kRecordBytes;
  size_t count = 0;
  for (const uint64_t id : lookup_ids) {
    bytes += commit_bytes(queue, id);
    if (count > 0 && (bytes > store_->unit_max_bytes() || queue.settings.has_journal())) break;
    ++count;
  }
  return {lookup_ids.begin(), lookup_ids.begin() + static_cast<std::ptrdiff_t>(count)};
}

bool QueueCore::reserve_commit(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids) {
  uint64_t bytes = QueueStore::kRecordBytes;
  for (const uint64_t id : lookup_ids) bytes += commit_bytes(queue, id);
  if (queue.settings.has_journal() && sub_queue_of(queue, kJournal) == nullptr) return false;
  return store_->reserve(bytes, lookup_ids.size() + 3, lookup_ids.size() * QueueStore::kRangeBytes);
}

// The messages leave, after reserve_commit(). False: the log failed.
bool QueueCore::commit_part(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids) {
  for (const uint64_t id : lookup_ids) {
    if (queue.settings.has_journal() && !options_.canaries.skips_the_journal) {
      NamedQueue& journal = *store_->find(sub_queue(parent_of(queue.name), kJournal));
      const auto copied =
          store_->copy(queue, id, journal, {.reason = v1::END_REASON_JOURNALED, .detail = {}});
      if (!copied) return !fail(copied.error());
    }
    if (!acknowledge_end(queue, id, v1::END_REASON_UNSPECIFIED)) return false;
  }
  store_->remove(queue, lookup_ids, {});
  return true;
}

bool QueueCore::reserve_move(NamedQueue& from, uint64_t lookup_id) {
  return store_->reserve(store_->move_bytes(from, lookup_id) + kAcknowledgementBytes, 4);
}

// After reserve_move(). False: the log failed.
bool QueueCore::move_message(NamedQueue& from, uint64_t lookup_id, NamedQueue& to,
                             const QueueStore::Hop& hop) {
  const Canaries& canaries = options_.canaries;
  const bool is_purge = hop.reason == v1::END_REASON_PURGED;
  if (!is_purge || !canaries.purges_by_dropping) {
    const auto copied = store_->copy(from, lookup_id, to, hop);
    if (!copied) return !fail(copied.error());
  }
  if (canaries.moves_without_removal) return true;
  if (is_purge && canaries.moves_in_two_groups && fail(commit_group())) return false;
  const bool is_end = hop.reason != v1::END_REASON_MOVED && hop.reason != v1::END_REASON_REDRIVEN;
  if (is_end && !acknowledge_end(from, lookup_id, hop.reason)) return false;
  store_->remove(from, {lookup_id}, {.reason = hop.reason});
  return true;
}

// Tells the administration queue that a message is consumed, or has ended otherwise, if it wants to
// know.
bool QueueCore::acknowledge_end(NamedQueue& queue, uint64_t lookup_id, v1::EndReason reason) {
  if (!std::as_const(queue.index).find(lookup_id)->wants_consumed) return true;
  auto stored = store_->read(queue, lookup_id);
  if (!stored) return !fail(stored.error());
  const std::string order_key(stored->record.order_key);
  v1::Acknowledgement what;
  what.set_kind(reason == v1::END_REASON_UNSPECIFIED ? v1::Acknowledgement::KIND_CONSUMED
                                                     : v1::Acknowledgement::KIND_ENDED);
  what.set_reason(reason);
  what.set_queue(queue.name);
  what.set_lookup_id(lookup_id);
  what.set_label(stored->extra.label());
  what.set_correlation_id(stored->extra.correlation_id());
  what.set_source(std::string(stored->record.source));
  acknowledge(stored->extra.acknowledge(), std::move(what), order_key);
  return true;
}

void QueueCore::acknowledge(const v1::AcknowledgementRequest& wanted, v1::Acknowledgement what,
                            std::string_view order_key) {
  NamedQueue* to = store_->find(wanted.queue());
  if (to == nullptr) {
    if (lost_acknowledgements_.size() >= kLostNamesMaxCount) return;
    if (++lost_acknowledgements_[wanted.queue()] == 1) {
      LOG_WARN("an acknowledgement has no queue any more: administration queue={}", wanted.queue());
    }
    return;
  }
  const int64_t now = clock_.unix_now_ns();
  what.set_unix_ns(now);
  v1::LogMessageExtra extra;
  extra.set_label(what.label());
  extra.set_correlation_id(what.correlation_id());
  const std::string body = what.SerializeAsString();
  MessageRecord record;
  record.source = kOwnSource;
  record.order_key = order_key;
  record.body = body;
  store_->put(*to, record, &extra, now);
}

// What has used up its tries leaves as soon as there is room.
void QueueCore::end_poison() {
  while (!poison_.empty() && fatal_.ok() && may_end()) {
    const auto [queue_id, lookup_id] = poison_.front();
    const auto it = store_->queues().find(queue_id);
    NamedQueue* queue = it == store_->queues().end() ? nullptr : it->second.get();
    if (queue == nullptr || queue->index.find(lookup_id) == nullptr) {
      poison_.pop_front();
      continue;
    }
    NamedQueue* to = poison_queue_of(*queue);
    if (to == nullptr || !reserve_move(*queue, lookup_id)) return;
    poison_.pop_front();
    LOG_WARN("a message has used up its tries and leaves its queue={} lookup_id={} tries={} to={}",
             queue->name, lookup_id, queue->index.find(lookup_id)->delivery_count, to->name);
    if (!move_message(*queue, lookup_id, *to, {.reason = v1::END_REASON_POISON, .detail = {}})) {
      return;
    }
  }
}

}  // namespace verbatim::queue
