// Holds: rows that stop deletion. What deletion passes while a hold covers it is copied first, to
// the family `kept`, in the write that deletes it; the copy goes when the last such hold has gone.
#include <algorithm>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/event_filter.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Bounds of one write, and of one turn under the mutex.
constexpr uint64_t kKeepBytes = 16ULL << 20;
constexpr size_t kReleaseMaxCount = 1'024;

Status open_kept(std::string_view value, v1::KeptRow& row, v1::Envelope& envelope) {
  RETURN_IF_ERROR(parse_row(value, "kept", row));
  ASSIGN_OR_RETURN(OpenedEvent event, open_event(row.stored_event()));
  envelope = std::move(event.envelope);
  return {};
}

v1::AuditRow audit_row(const std::string& action, uint64_t hold, const v1::HoldFilter& filter,
                       const std::string& reason, const base::Caller& caller) {
  v1::AuditRow row;
  row.set_action(action);
  row.set_subject("hold " + std::to_string(hold));
  row.set_detail(filter.ShortDebugString());
  row.set_reason(reason);
  row.set_peer(caller.peer);
  row.set_user(caller.user);
  return row;
}

}  // namespace

bool Staging::is_held(const v1::Envelope& envelope) const {
  return std::any_of(holds_.begin(), holds_.end(), [&](const auto& one) {
    return !one.second.is_released() && covers(one.second.filter(), envelope);
  });
}

Result<v1::HoldInfo> Staging::add_hold(const v1::AddHoldRequest& request,
                                       const base::Caller& caller) {
  v1::HoldFilter filter = request.filter();
  filter.set_person(typed_address(filter.person()));
  filter.set_room(typed_room(filter.room()));
  RETURN_IF_ERROR(check_hold_filter(filter));
  if (request.reason().empty()) return invalid_argument("a hold needs a reason");
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  const uint64_t number = state_.last_hold() + 1;
  RETURN_IF_ERROR(audit_first(audit_row("hold added", number, filter, request.reason(), caller)));
  v1::HoldRow row;
  *row.mutable_filter() = std::move(filter);
  row.set_reason(request.reason());
  row.set_since_unix_ns(options_.clock->unix_now_ns());
  row.set_peer(caller.peer);
  row.set_user(caller.user);
  Changes changes(*store_);
  state_.set_last_hold(number);
  changes.writes.put(Family::kHolds, number_key(number), row);
  if (Status status = commit(changes, /*is_synced=*/true); !status.ok()) return spoil(status);
  v1::HoldInfo info = describe_hold(number, row);
  holds_[number] = std::move(row);
  LOG_INFO("a hold was added hold={} holds={}", number, holds_.size());
  return info;
}

v1::HoldInfo Staging::describe_hold(uint64_t number, const v1::HoldRow& row) {
  v1::HoldInfo info;
  info.set_number(number);
  *info.mutable_filter() = row.filter();
  info.set_reason(row.reason());
  info.set_since_unix_ns(row.since_unix_ns());
  info.set_peer(row.peer());
  info.set_user(row.user());
  info.set_is_released(row.is_released());
  return info;
}

Result<v1::ListHoldsResponse> Staging::holds() const {
  v1::ListHoldsResponse response;
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    for (const auto& [number, row] : holds_) {
      *response.add_holds() = describe_hold(number, row);
    }
  }
  if (response.holds().empty()) return response;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kKept, "", [&](auto, auto value) {
    v1::KeptRow row;
    v1::Envelope envelope;
    parsed = open_kept(value, row, envelope);
    if (!parsed.ok()) return false;
    const auto bytes = static_cast<int64_t>(row.stored_event().size());
    response.set_kept_count(response.kept_count() + 1);
    response.set_kept_bytes(response.kept_bytes() + bytes);
    for (auto& hold : *response.mutable_holds()) {
      if (!covers(hold.filter(), envelope)) continue;
      hold.set_kept_count(hold.kept_count() + 1);
      hold.set_kept_bytes(hold.kept_bytes() + bytes);
    }
    return true;
  }));
  RETURN_IF_ERROR(parsed);
  return response;
}

Result<v1::ReleaseHoldResponse> Staging::release_hold(const v1::ReleaseHoldRequest& request,
                                                      const base::Caller& caller) {
  if (request.reason().empty()) return invalid_argument("the release of a hold needs a reason");
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    const auto found = holds_.find(request.number());
    if (found == holds_.end()) {
      return not_found("there is no such hold number=" + std::to_string(request.number()));
    }
    RETURN_IF_ERROR(audit_first(audit_row("hold released", request.number(), found->second.filter(),
                                          request.reason(), caller)));
    Changes changes(*store_);
    found->second.set_is_released(true);
    changes.writes.put(Family::kHolds, number_key(request.number()), found->second);
    if (Status status = commit(changes, /*is_synced=*/true); !status.ok()) return spoil(status);
  }
  FAULT_POINT("processor.hold_released_before_copies");
  return finish_releases();
}

// Goes through the copies in turns, each one write, and forgets the released holds at the end. A
// crash leaves the holds marked; the opening goes on from the beginning.
Result<v1::ReleaseHoldResponse> Staging::finish_releases() {
  v1::ReleaseHoldResponse response;
  uint64_t next = 1;
  while (next != 0) {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    auto after = release_some(next, response);
    if (!after) return spoil(after.error());
    next = *after;
  }
  return response;
}

Result<uint64_t> Staging::release_some(uint64_t from, v1::ReleaseHoldResponse& response) {
  std::vector<uint64_t> released;
  for (const auto& [number, row] : holds_) {
    if (row.is_released()) released.push_back(number);
  }
  if (released.empty()) return uint64_t{0};
  if (from == 1) has_unfinished_release_ = false;
  Changes changes(*store_);
  uint64_t next = 0;
  size_t count = 0;
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kKept, number_key(from), [&](auto key, auto value) REQUIRES(mutex_) {
        if (++count > kReleaseMaxCount) {
          next = number_of(key);
          return false;
        }
        v1::KeptRow row;
        v1::Envelope envelope;
        parsed = open_kept(value, row, envelope);
        if (!parsed.ok()) return false;
        if (is_held(envelope)) return true;
        if (is_under_replay(number_of(key))) {
          has_unfinished_release_ = true;
          return true;
        }
        const uint64_t bytes = row.stored_event().size();
        changes.writes.remove(Family::kKept, key);
        ++replay_loss_count_;
        state_.set_kept_count(state_.kept_count() - 1);
        state_.set_kept_bytes(state_.kept_bytes() - bytes);
        response.set_deleted_count(response.deleted_count() + 1);
        response.set_deleted_bytes(response.deleted_bytes() + static_cast<int64_t>(bytes));
        return true;
      }));
  RETURN_IF_ERROR(parsed);
  if (next == 0 && !has_unfinished_release_) {
    for (const uint64_t number : released) {
      changes.writes.remove(Family::kHolds, number_key(number));
      holds_.erase(number);
      LOG_INFO("a hold is released hold={} holds={}", number, holds_.size());
    }
  }
  RETURN_IF_ERROR(commit(changes, /*is_synced=*/true));
  return next;
}

// Copies what holds cover of [first, last], but not more than one write should have. Gives how far
// it came.
Result<uint64_t> Staging::keep_held(uint64_t first, uint64_t last, Changes& changes, bool& is_any) {
  uint64_t reached = last;
  uint64_t bytes = 0;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kEvents, number_key(first),
                                   [&](auto key, auto value) REQUIRES(mutex_) {
                                     const uint64_t sequence = number_of(key);
                                     if (sequence > last) return false;
                                     if (bytes >= kKeepBytes) {
                                       reached = sequence - 1;
                                       return false;
                                     }
                                     const auto event = open_event(value);
                                     parsed = event.error();
                                     if (!parsed.ok()) return false;
                                     if (!is_held(event->envelope)) return true;
                                     const auto index = index_of(sequence);
                                     parsed = index.error();
                                     if (!parsed.ok()) return false;
                                     bytes += value.size();
                                     keep(sequence, std::string(value), index->source_ref, changes);
                                     is_any = true;
                                     return true;
                                   }));
  RETURN_IF_ERROR(parsed);
  return reached;
}

void Staging::keep(uint64_t sequence, std::string stored_event, uint32_t source_ref,
                   Changes& changes) {
  state_.set_kept_count(state_.kept_count() + 1);
  state_.set_kept_bytes(state_.kept_bytes() + stored_event.size());
  v1::KeptRow row;
  row.set_stored_event(std::move(stored_event));
  row.set_source_ref(source_ref);
  changes.writes.put(Family::kKept, number_key(sequence), row);
}

// A copy in quarantine or in `unrouted` is about to go. Where deletion has passed the event it is
// the last one but for what is kept already.
Status Staging::keep_leaving(uint64_t sequence, const std::string& stored_event,
                             uint32_t source_ref, Changes& changes) {
  if (holds_.empty() || sequence > state_.deleted_through()) return {};
  ASSIGN_OR_RETURN(const auto kept, store_->load(Family::kKept, number_key(sequence)));
  if (kept) return {};
  ASSIGN_OR_RETURN(const OpenedEvent event, open_event(stored_event));
  if (is_held(event.envelope)) keep(sequence, stored_event, source_ref, changes);
  return {};
}

Status Staging::load_holds() {
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kHolds, "", [&](auto key, auto value) REQUIRES(mutex_) {
    parsed = parse_row(value, "holds", holds_[number_of(key)]);
    return parsed.ok();
  }));
  return parsed;
}

bool Staging::has_holds() const {
  base::MutexLock lock(mutex_);
  return std::any_of(holds_.begin(), holds_.end(),
                     [](const auto& one) { return !one.second.is_released(); });
}

bool Staging::has_set_queue_hold(const std::string& queue) const {
  base::MutexLock lock(mutex_);
  const auto found = queues_.find(queue);
  return found != queues_.end() && found->second.position.has_set_hold();
}

Status Staging::note_queue_hold(const std::string& queue, bool is_set) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  Changes changes(*store_);
  queues_[queue].position.set_has_set_hold(is_set);
  changes.queues.insert(queue);
  const Status status = commit(changes, /*is_synced=*/true);
  return status.ok() ? status : spoil(status);
}

}  // namespace verbatim::processor
