// Transfers: purge, move, redrive, forced deletion. In portions, at a bounded rate, between the
// requests of clients; each message moves in one unit, so a crash leaves it in one queue.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/refusal.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr int64_t kRateDefault = 10'000;
constexpr int64_t kRateMax = 1'000'000;
// Looked at in one step, so that clients do not wait.
constexpr int kLookMaxCount = 2'000;
constexpr std::chrono::milliseconds kStepMaxTime{20};
constexpr std::chrono::minutes kKeepEnded{5};
constexpr size_t kTransferMaxCount = 16;

bool is_prefix_filter(const std::string& label) { return !label.empty() && label.back() == '*'; }

}  // namespace

Result<bool> QueueCore::matches(const NamedQueue& queue, uint64_t lookup_id,
                                const v1::MessageFilter& filter) {
  const IndexedMessage& message = *queue.index.find(lookup_id);
  if (!filter.lookup_ids().empty() &&
      std::find(filter.lookup_ids().begin(), filter.lookup_ids().end(), lookup_id) ==
          filter.lookup_ids().end()) {
    return false;
  }
  if (filter.reason() != v1::END_REASON_UNSPECIFIED &&
      static_cast<int>(filter.reason()) != message.reason) {
    return false;
  }
  const bool needs_record = !filter.order_key().empty() || !filter.label().empty() ||
                            !filter.correlation_id().empty() || !filter.source().empty() ||
                            filter.older_than_ms() > 0 || filter.younger_than_ms() > 0;
  if (!needs_record) return true;
  ASSIGN_OR_RETURN(const StoredMessage stored, store_->read(queue, lookup_id));
  const MessageRecord& record = stored.record;
  if (!filter.order_key().empty() && record.order_key != filter.order_key()) return false;
  if (!filter.source().empty() && record.source != filter.source()) return false;
  if (!filter.correlation_id().empty() &&
      stored.extra.correlation_id() != filter.correlation_id()) {
    return false;
  }
  if (is_prefix_filter(filter.label())) {
    const std::string_view begin =
        std::string_view(filter.label()).substr(0, filter.label().size() - 1);
    if (!stored.extra.label().starts_with(begin)) return false;
  } else if (!filter.label().empty() && stored.extra.label() != filter.label()) {
    return false;
  }
  const int64_t age_ms = (clock_.unix_now_ns() - record.put_unix_ns) / 1'000'000;
  if (filter.older_than_ms() > 0 && age_ms < filter.older_than_ms()) return false;
  return filter.younger_than_ms() == 0 || age_ms < filter.younger_than_ms();
}

// Null where none is named. Poison and dead letters are made where they are missing.
Result<NamedQueue*> QueueCore::target_of(const v1::TransferRequest& request) {
  const std::string& name = request.to_queue();
  if (name.empty()) return nullptr;
  if (is_service_queue(name)) {
    return invalid_argument("only the service itself puts into " + name);
  }
  if (NamedQueue* known = store_->find(name)) return known;
  const std::string_view sub = sub_name_of(name);
  NamedQueue* parent = store_->find(parent_of(name));
  const bool is_made = sub == kPoison || sub == kDeadLetters;
  if (parent == nullptr || !is_made) return not_found("no such queue to move to: " + name);
  RETURN_IF_ERROR(check_room_for_queue(name));
  NamedQueue* made = sub_queue_of(*parent, sub);
  if (made == nullptr) return unavailable("the log is busy: try again");
  return made;
}

Result<uint64_t> QueueCore::start_transfer(const v1::TransferRequest& request) {
  NamedQueue* from = store_->find(request.queue());
  if (from == nullptr) return no_such_queue(request.queue());
  if (request.rate_max() < 0 || request.rate_max() > kRateMax) {
    return invalid_argument("rate_max is 0 to 1,000,000 messages a second");
  }
  const auto running = std::count_if(transfers_.begin(), transfers_.end(), [](const auto& entry) {
    return !entry.second.progress.is_done();
  });
  if (running >= static_cast<std::ptrdiff_t>(kTransferMaxCount)) {
    return resource_exhausted("16 transfers are under way: wait for one of them");
  }
  Transfer transfer;
  transfer.request = request;
  transfer.from_id = from->id;
  ASSIGN_OR_RETURN(NamedQueue * to, target_of(request));
  switch (request.kind()) {
    case v1::TransferRequest::KIND_PURGE:
      if (sub_name_of(from->name) == kDeadLetters) {
        return invalid_argument("dead letters are not purged: redrive or destroy them");
      }
      to = nullptr;
      transfer.reason = v1::END_REASON_PURGED;
      break;
    case v1::TransferRequest::KIND_MOVE:
      if (to == nullptr) return invalid_argument("a move needs a queue to move to");
      transfer.reason = v1::END_REASON_MOVED;
      break;
    case v1::TransferRequest::KIND_REDRIVE:
      transfer.reason = v1::END_REASON_REDRIVEN;
      break;
    default:
      return invalid_argument("kind is purge, move or redrive");
  }
  if (to == from) return invalid_argument("a queue is not moved to itself");
  if (to != nullptr && to->flags.is_deleting()) {
    return failed_precondition("the queue to move to is being deleted: " + to->name);
  }
  if (sub_name_of(from->name) == kJournal && request.kind() != v1::TransferRequest::KIND_MOVE) {
    return invalid_argument("a journal is trimmed, not purged or redriven");
  }
  if (to != nullptr && is_system_sub_queue(to->name) && sub_name_of(to->name) == kJournal) {
    return invalid_argument("only the service itself writes a journal");
  }
  if (to != nullptr) transfer.to_id = to->id;
  RETURN_IF_ERROR(check_holds(transfer, *from));
  transfer.next_lookup_id = 1;
  transfer.last_lookup_id = from->next_lookup_id - 1;
  transfer.progress.set_total_count(from->index.count());
  transfer.last_step = clock_.monotonic();
  const uint64_t id = next_transfer_id_++;
  transfers_.emplace(id, std::move(transfer));
  return id;
}

// Asked at each step: a hold is in force from when it is set. A move would be the way around it;
// back to where a message came from is delivery.
Status QueueCore::check_holds(const Transfer& transfer, const NamedQueue& from) const {
  if (!is_held(from)) return {};
  if (transfer.deletes_queue) return failed_precondition("the queue is held: it is not deleted");
  if (transfer.request.kind() == v1::TransferRequest::KIND_PURGE) {
    return failed_precondition("the queue is held: nothing is purged");
  }
  const auto to = store_->queues().find(transfer.to_id);
  if (to == store_->queues().end() || is_held(*to->second)) return {};
  return failed_precondition("the queue is held: hold the queue to move to as well: " +
                             to->second->name);
}

// Asked at each step, too. A sub-queue of the service is deleted when it is empty, and what comes
// into it afterwards stays: dead letters would move onto themselves, and a journal's copy, which is
// consumed, would come out again by a redrive.
Status QueueCore::check_transfer(const Transfer& transfer, const NamedQueue& from) const {
  RETURN_IF_ERROR(check_holds(transfer, from));
  if (!transfer.deletes_queue || !is_system_sub_queue(from.name) || from.index.count() == 0) {
    return {};
  }
  return failed_precondition("messages have come into the sub-queue: it is not deleted");
}

// False: no room in the log; the next step tries again.
bool QueueCore::call_off_deletion(NamedQueue& queue, std::string_view why) {
  if (!store_->reserve(QueueStore::kRecordBytes, 1)) return false;
  v1::QueueFlags flags = queue.flags;
  flags.set_is_deleting(false);
  store_->change_queue(queue, queue.settings, flags);
  LOG_WARN("a deletion was called off: {} queue={} left_count={}", why, queue.name,
           queue.index.count());
  serve_demands(queue);
  return true;
}

void QueueCore::start_deletion(NamedQueue& queue) {
  Transfer transfer;
  transfer.from_id = queue.id;
  transfer.reason = v1::END_REASON_QUEUE_DELETED;
  transfer.deletes_queue = true;
  transfer.request.set_kind(v1::TransferRequest::KIND_PURGE);
  transfer.request.set_queue(queue.name);
  transfer.request.set_rate_max(kRateMax);
  transfer.next_lookup_id = 1;
  transfer.last_lookup_id = queue.next_lookup_id - 1;
  transfer.progress.set_total_count(queue.index.count());
  transfer.last_step = clock_.monotonic();
  transfers_.emplace(next_transfer_id_++, std::move(transfer));
}

void QueueCore::stop_transfer(uint64_t transfer_id) {
  const auto it = transfers_.find(transfer_id);
  // A deletion that was begun goes on.
  if (it == transfers_.end() || it->second.deletes_queue || it->second.progress.is_done()) return;
  finish_transfer(it->second, "stopped by its caller");
}

Result<v1::TransferProgress> QueueCore::transfer_progress(uint64_t transfer_id) const {
  const auto it = transfers_.find(transfer_id);
  if (it == transfers_.end()) return not_found("no such transfer");
  return it->second.progress;
}

void QueueCore::finish_transfer(Transfer& transfer, std::string error) {
  transfer.progress.set_is_done(true);
  transfer.progress.set_error(std::move(error));
  transfer.ended = clock_.monotonic();
}

void QueueCore::run_transfers() {
  const auto now = clock_.monotonic();
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    Transfer& transfer = it->second;
    if (transfer.progress.is_done() && now - transfer.ended > kKeepEnded) {
      it = transfers_.erase(it);
      continue;
    }
    if (!transfer.progress.is_done() && fatal_.ok() && may_copy()) step_transfer(transfer);
    ++it;
  }
}

void QueueCore::step_transfer(Transfer& transfer) {
  const auto queue = store_->queues().find(transfer.from_id);
  if (queue == store_->queues().end()) return finish_transfer(transfer, "its queue is gone");
  NamedQueue& from = *queue->second;
  const Status allowed = check_transfer(transfer, from);
  if (!allowed.ok()) {
    if (transfer.deletes_queue && !call_off_deletion(from, allowed.message())) return;
    return finish_transfer(transfer, allowed.message());
  }
  const auto now = clock_.monotonic();
  const int64_t rate = transfer.request.rate_max() > 0 ? transfer.request.rate_max() : kRateDefault;
  const double passed = std::chrono::duration<double>(now - transfer.last_step).count();
  transfer.last_step = now;
  // A tenth of a second's worth at once, at least one.
  transfer.tokens = std::min(transfer.tokens + passed * static_cast<double>(rate),
                             std::max(1.0, static_cast<double>(rate) / 10));
  const auto until = now + kStepMaxTime;
  for (int looked = 0; looked < kLookMaxCount && transfer.tokens >= 1; ++looked) {
    if (looked > 0 && clock_.monotonic() > until) return;
    const uint64_t lookup_id = from.index.at_or_above(transfer.next_lookup_id);
    if (lookup_id == 0 || lookup_id > transfer.last_lookup_id) {
      if (transfer.deletes_queue) return finish_deletion(transfer);
      return finish_transfer(transfer, {});
    }
    if (!transfer_one(transfer, from, lookup_id)) return;
    transfer.next_lookup_id = lookup_id + 1;
  }
}

// Leased messages of a queue that is deleted come back, and then go.
void QueueCore::finish_deletion(Transfer& transfer) {
  NamedQueue& queue = *store_->queues().at(transfer.from_id);
  if (queue.index.count() > 0) {
    // Also what has come since: acknowledgements, the end of a move that was under way.
    transfer.next_lookup_id = 1;
    transfer.last_lookup_id = queue.next_lookup_id - 1;
    return;
  }
  if (!store_->reserve(QueueStore::kRecordBytes, 1)) return;
  for (const Demand& demand : queue.demands) {
    if (demand.is_push) {
      end_push(demand, refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE, "the queue was deleted"));
    } else {
      answer_empty(demand);
    }
  }
  std::erase_if(leases_, [&](const auto& entry) {
    if (entry.second.queue_id != queue.id) return false;
    lease_ends_.erase({entry.second.until, entry.first});
    return true;
  });
  store_->delete_queue(queue);
  finish_transfer(transfer, {});
}

NamedQueue* QueueCore::target_of(const Transfer& transfer, NamedQueue& from,
                                 const StoredMessage& stored) {
  if (transfer.to_id != 0) {
    const auto it = store_->queues().find(transfer.to_id);
    return it == store_->queues().end() ? nullptr : it->second.get();
  }
  if (transfer.request.kind() == v1::TransferRequest::KIND_REDRIVE) {
    const std::string origin = stored.extra.hops_size() > 0 ? stored.extra.hops(0).queue()
                                                            : std::string(parent_of(from.name));
    NamedQueue* to = store_->find(origin);
    return to == &from || (to != nullptr && to->flags.is_deleting()) ? nullptr : to;
  }
  return sub_queue_of(from, kDeadLetters);
}

// False: no room; the next step goes on here.
bool QueueCore::transfer_one(Transfer& transfer, NamedQueue& from, uint64_t lookup_id) {
  const IndexedMessage& message = *std::as_const(from.index).find(lookup_id);
  const auto skip = [&] {
    transfer.progress.set_seen_count(transfer.progress.seen_count() + 1);
    transfer.progress.set_skipped_count(transfer.progress.skipped_count() + 1);
    return true;
  };
  if (message.state == MessageState::kLeased) return transfer.deletes_queue ? true : skip();
  const auto is_meant = matches(from, lookup_id, transfer.request.filter());
  if (!is_meant) return !fail(is_meant.error());
  if (!*is_meant) {
    transfer.progress.set_seen_count(transfer.progress.seen_count() + 1);
    return true;
  }
  const bool needs_origin =
      transfer.to_id == 0 && transfer.request.kind() == v1::TransferRequest::KIND_REDRIVE;
  StoredMessage stored;
  if (needs_origin) {
    auto read = store_->read(from, lookup_id);
    if (!read) return !fail(read.error());
    stored.extra = std::move(read->extra);
  }
  if (!reserve_move(from, lookup_id)) return false;
  NamedQueue* to = target_of(transfer, from, stored);
  if (to == nullptr && needs_origin) {
    transfer.progress.set_homeless_count(transfer.progress.homeless_count() + 1);
    return skip();
  }
  if (to == nullptr) {
    if (transfer.to_id != 0) finish_transfer(transfer, "the queue to move to is gone");
    return false;
  }
  std::string detail = transfer.request.reason().substr(0, 256);
  if (!move_message(from, lookup_id, *to, {.reason = transfer.reason, .detail = detail})) {
    return false;
  }
  transfer.tokens -= 1;
  transfer.progress.set_seen_count(transfer.progress.seen_count() + 1);
  transfer.progress.set_moved_count(transfer.progress.moved_count() + 1);
  return true;
}

}  // namespace verbatim::queue
