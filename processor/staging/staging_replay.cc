// Replay: an adapter is given again what it has had, as far as the store still has it, in batches
// of their own that name the last batch it had acknowledged by then. Its cursor and its account
// stay as they are; its chain goes on through them.
#include <algorithm>
#include <limits>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

v1::AuditRow audit_row(const v1::ReplayAdapterRequest& request, const base::Caller& caller,
                       const char* action) {
  v1::AuditRow row;
  row.set_action(action);
  row.set_adapter(request.adapter());
  row.set_reason(request.reason());
  row.set_peer(caller.peer);
  row.set_user(caller.user);
  return row;
}

void tell_counts(const v1::Replay& replay, v1::AuditRow& row) {
  std::string detail = "events given: " + std::to_string(replay.given_count()) + " of at most " +
                       std::to_string(replay.announced_count());
  if (!replay.left_out().empty()) {
    detail += ", left out, rejected: " + std::to_string(replay.left_out_size());
  }
  row.set_detail(detail);
}

bool is_left_out(const v1::Replay& replay, uint64_t sequence) {
  const auto& out = replay.left_out();
  return std::find(out.begin(), out.end(), sequence) != out.end();
}

}  // namespace

Result<v1::ReplayAdapterResponse> Staging::replay(const v1::ReplayAdapterRequest& request,
                                                  const base::Caller& caller) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(request.adapter()));
  if (!request.only_look() && request.reason().empty()) {
    return invalid_argument("a replay needs a reason");
  }
  if (request.end()) return end_replay(request, caller);
  if ((request.from_sequence() == 0) == (request.from_unix_ns() == 0)) {
    return invalid_argument("a replay begins at a sequence or at a time");
  }
  v1::AdapterRow& row = adapter->row;
  if (row.last_acked_batch() == 0) {
    return failed_precondition("the adapter has acknowledged nothing yet adapter=" +
                               request.adapter());
  }
  ASSIGN_OR_RETURN(const uint64_t from, replay_start(request));
  ASSIGN_OR_RETURN(const ReplayReach reach, replay_reach(from, row.cursor()));
  v1::ReplayAdapterResponse response;
  response.set_event_count(reach.event_count);
  response.set_kept_count(reach.kept_count);
  response.set_bytes(reach.bytes);
  response.set_first_sequence(reach.first);
  response.set_last_sequence(reach.last);
  response.set_whole_from_sequence(state_.deleted_through() + 1);
  response.set_replay_of(row.last_acked_batch());
  if (request.only_look()) return response;
  if (row.has_replay()) return failed_precondition("a replay of this adapter is under way");
  if (reach.event_count == 0) {
    return not_found("nothing of it is in the store any more first_staged=" +
                     std::to_string(state_.deleted_through() + 1));
  }
  v1::AuditRow audit = audit_row(request, caller, "replay");
  audit.set_first_sequence(reach.first);
  audit.set_last_sequence(reach.last);
  audit.set_event_count(static_cast<uint64_t>(reach.event_count));
  audit.set_batch(row.last_acked_batch());
  RETURN_IF_ERROR(audit_first(std::move(audit)));
  FAULT_POINT("processor.replay_audited_before_begun");
  Changes changes(*store_);
  changes.adapters.insert(request.adapter());
  v1::Replay& replay = *row.mutable_replay();
  replay.set_replay_of(row.last_acked_batch());
  replay.set_since_unix_ns(options_.clock->unix_now_ns());
  replay.set_announced_count(static_cast<uint64_t>(reach.event_count));
  v1::PlannedBatch& part = *replay.add_parts();
  part.set_first_sequence(reach.first);
  part.set_last_sequence(reach.last);
  if (Status status = commit(changes, /*is_synced=*/true); !status.ok()) return spoil(status);
  FAULT_POINT("processor.replay_begun");
  LOG_INFO("a replay begins adapter={} first={} last={} event_count={}", request.adapter(),
           reach.first, reach.last, reach.event_count);
  return response;
}

Result<v1::ReplayAdapterResponse> Staging::end_replay(const v1::ReplayAdapterRequest& request,
                                                      const base::Caller& caller) {
  v1::AdapterRow& row = adapters_.at(request.adapter()).row;
  if (!row.has_replay()) return not_found("no replay of this adapter is under way");
  v1::AuditRow audit = audit_row(request, caller, "replay ended");
  tell_counts(row.replay(), audit);
  RETURN_IF_ERROR(audit_first(std::move(audit)));
  Changes changes(*store_);
  changes.adapters.insert(request.adapter());
  row.clear_replay();
  ++replay_loss_count_;
  if (Status status = commit(changes, /*is_synced=*/true); !status.ok()) return spoil(status);
  return v1::ReplayAdapterResponse();
}

// The first event that was staged at that time or later, of the copies and of the others.
Result<uint64_t> Staging::replay_start(const v1::ReplayAdapterRequest& request) const {
  if (request.from_sequence() != 0) return request.from_sequence();
  uint64_t first = 0;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kKept, "", [&](auto key, auto value) {
    v1::KeptRow row;
    v1::StoredEvent stored;
    parsed = parse_row(value, "kept", row);
    if (parsed.ok()) parsed = parse_row(row.stored_event(), "kept (event)", stored);
    if (parsed.ok() && stored.staged_unix_ns() >= request.from_unix_ns()) first = number_of(key);
    return parsed.ok() && first == 0;
  }));
  RETURN_IF_ERROR(parsed);
  if (first != 0) return first;
  const std::string from = number_key(state_.deleted_through() + 1);
  RETURN_IF_ERROR(store_->for_each(Family::kIndex, from, [&](auto key, auto value) {
    const auto index = decode_index(value);
    parsed = index.error();
    if (index && index->staged_unix_ns >= request.from_unix_ns()) first = number_of(key);
    return parsed.ok() && first == 0;
  }));
  RETURN_IF_ERROR(parsed);
  return first == 0 ? std::numeric_limits<uint64_t>::max() : first;
}

Result<Staging::ReplayReach> Staging::replay_reach(uint64_t from, uint64_t to) const {
  ReplayReach reach;
  const auto add = [&](uint64_t sequence, uint64_t size) {
    if (reach.first == 0) reach.first = sequence;
    reach.last = sequence;
    ++reach.event_count;
    reach.bytes += static_cast<int64_t>(size);
  };
  if (from > to) return reach;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kKept, number_key(from), [&](auto key, auto value) {
    if (number_of(key) > to) return false;
    v1::KeptRow row;
    parsed = parse_row(value, "kept", row);
    add(number_of(key), row.stored_event().size());
    ++reach.kept_count;
    return parsed.ok();
  }));
  RETURN_IF_ERROR(parsed);
  RETURN_IF_ERROR(store_->for_each(Family::kIndex,
                                   number_key(std::max(from, state_.deleted_through() + 1)),
                                   [&](auto key, auto value) {
                                     if (number_of(key) > to) return false;
                                     const auto index = decode_index(value);
                                     parsed = index.error();
                                     if (index) add(number_of(key), index->size);
                                     return parsed.ok();
                                   }));
  RETURN_IF_ERROR(parsed);
  return reach;
}

// Deletion does not go beyond what a replay has still to give, nor, once it was ended, beyond what
// is sealed of it.
uint64_t Staging::replay_position(const Adapter& adapter) {
  uint64_t first = std::numeric_limits<uint64_t>::max();
  for (const auto& part : adapter.row.replay().parts()) {
    first = std::min(first, part.first_sequence());
  }
  if (adapter.sealed && adapter.sealed->row.is_replay()) {
    first = std::min(first, adapter.sealed->row.member_ranges(0));
  }
  return first == std::numeric_limits<uint64_t>::max() ? first : first - 1;
}

bool Staging::is_under_replay(uint64_t sequence) const {
  return std::any_of(adapters_.begin(), adapters_.end(), [sequence](const auto& one) {
    const auto& sealed = one.second.sealed;
    return sealed && sealed->row.is_replay() && is_member(sealed->row, sequence);
  });
}

// False when the batch is full, or the adapter too old for what comes.
bool Staging::add_replayed(const v1::Replay& replay, uint64_t sequence, uint64_t size,
                           int32_t schema_revision, const BatchLimits& limits, Draft& plan) {
  if (sequence > replay.parts(0).last_sequence()) return false;
  if (is_left_out(replay, sequence)) return true;
  if (plan.members.size() >= limits.events_max_count) return false;
  if (plan.body_bytes + size > limits.max_bytes && !plan.members.empty()) return false;
  if (schema_revision > limits.schema_revision) {
    plan.is_adapter_too_old = plan.members.empty();
    return false;
  }
  plan.members.push_back(sequence);
  plan.body_bytes += size;
  plan.schema_revision = std::max(plan.schema_revision, schema_revision);
  return true;
}

Result<bool> Staging::draft_kept(const Adapter& adapter, const BatchLimits& limits,
                                 Draft& plan) const {
  const v1::Replay& replay = adapter.row.replay();
  bool has_room = true;
  Status parsed;
  const uint64_t first = replay.parts(0).first_sequence();
  RETURN_IF_ERROR(store_->for_each(Family::kKept, number_key(first), [&](auto key, auto value) {
    if (number_of(key) > replay.parts(0).last_sequence()) return false;
    v1::KeptRow row;
    parsed = parse_row(value, "kept", row);
    if (!parsed.ok()) return false;
    const auto event = open_event(row.stored_event());
    parsed = event.error();
    if (parsed.ok() && !adapter.selector.takes(event->envelope)) return true;
    has_room = parsed.ok() && add_replayed(replay, number_of(key), row.stored_event().size(),
                                           event->envelope.schema_revision(), limits, plan);
    return has_room;
  }));
  RETURN_IF_ERROR(parsed);
  return has_room;
}

Result<Staging::Draft> Staging::draft_replay(const Adapter& adapter,
                                             const BatchLimits& limits) const {
  Draft plan;
  plan.cursor = adapter.row.cursor();
  plan.is_replay = true;
  plan.replay_loss_count = replay_loss_count_;
  plan.reason = "replay";
  const v1::Replay& replay = adapter.row.replay();
  if (replay.parts().empty()) return plan;
  plan.replaces = replay.parts(0).replaces();
  // The part goes on behind the last member: events may follow only when all its copies are in.
  ASSIGN_OR_RETURN(const bool has_room, draft_kept(adapter, limits, plan));
  if (!has_room) return plan;
  const uint64_t first = std::max(replay.parts(0).first_sequence(), state_.deleted_through() + 1);
  Status decoded;
  RETURN_IF_ERROR(store_->for_each(Family::kIndex, number_key(first), [&](auto key, auto value) {
    const auto index = decode_index(value);
    decoded = index.error();
    if (decoded.ok() && is_left_out(adapter.row, number_of(key), *index)) return true;
    return decoded.ok() &&
           add_replayed(replay, number_of(key), index->size, index->schema_revision, limits, plan);
  }));
  RETURN_IF_ERROR(decoded);
  return plan;
}

// From the copies, and what is not among them from the events.
Result<std::vector<std::string>> Staging::load_replayed(
    const std::vector<uint64_t>& members) const {
  std::vector<std::string> events;
  events.reserve(members.size());
  for (const uint64_t sequence : members) {
    v1::KeptRow row;
    ASSIGN_OR_RETURN(const bool is_kept, store_->load(Family::kKept, number_key(sequence), row));
    if (is_kept) {
      events.push_back(std::move(*row.mutable_stored_event()));
      continue;
    }
    ASSIGN_OR_RETURN(auto bytes, store_->load(Family::kEvents, number_key(sequence)));
    if (!bytes) {
      return not_found("staging: an event is missing sequence=" + std::to_string(sequence));
    }
    events.push_back(*std::move(bytes));
  }
  return events;
}

// Nothing of the part is left in the store.
Status Staging::pass_empty_part(const std::string& name) {
  v1::AdapterRow& row = adapters_.at(name).row;
  if (!row.has_replay()) return {};
  Changes changes(*store_);
  changes.adapters.insert(name);
  Status status = finish_part(name, row, changes);
  if (status.ok()) status = commit(changes, /*is_synced=*/true);
  return status.ok() ? status : spoil(status);
}

Status Staging::finish_part(const std::string& name, v1::AdapterRow& row, Changes& changes) {
  auto* parts = row.mutable_replay()->mutable_parts();
  if (!parts->empty()) parts->DeleteSubrange(0, 1);
  if (!parts->empty()) return {};
  v1::AuditRow audit;
  audit.set_action("replay ended");
  audit.set_adapter(name);
  audit.set_reason("nothing is left of it");
  tell_counts(row.replay(), audit);
  row.clear_replay();
  LOG_INFO("a replay is done adapter={}", name);
  return put_audit(audit, changes.writes);
}

Status Staging::settle_replay(const std::string& name, Adapter& adapter, Changes& changes) {
  v1::AdapterRow& row = adapter.row;
  row.set_replayed(row.replayed() + adapter.sealed->row.event_count());
  if (row.replay().parts().empty()) return {};  // ended meanwhile
  row.mutable_replay()->set_given_count(row.replay().given_count() +
                                        adapter.sealed->row.event_count());
  v1::PlannedBatch& part = *row.mutable_replay()->mutable_parts(0);
  part.set_first_sequence(last_of(adapter.sealed->row) + 1);
  part.clear_replaces();
  if (part.first_sequence() <= part.last_sequence()) return {};
  return finish_part(name, row, changes);
}

// The culprits are left out; where nobody knows them, the batch goes again by halves.
void Staging::replan_replay(Adapter& adapter, const SealedBatch& rejected,
                            const std::map<uint64_t, std::string>& culprits) {
  v1::AdapterRow& row = adapter.row;
  if (row.replay().parts().empty()) return;  // ended meanwhile
  v1::Replay& replay = *row.mutable_replay();
  for (const auto& [sequence, why] : culprits) replay.add_left_out(sequence);
  const std::vector<v1::PlannedBatch> rest(replay.parts().begin(), replay.parts().end());
  replay.clear_parts();
  const auto add = [&](uint64_t first, uint64_t last, uint64_t replaces) {
    v1::PlannedBatch& part = *replay.add_parts();
    part.set_first_sequence(first);
    part.set_last_sequence(last);
    part.set_replaces(replaces);
  };
  uint64_t first = rest.front().first_sequence();
  if (culprits.empty()) {
    const auto members = members_of(rejected.row);
    const uint64_t middle = members[members.size() / 2];
    add(first, middle - 1, rejected.batch);
    add(middle, last_of(rejected.row), rejected.batch);
    first = last_of(rejected.row) + 1;
    if (first <= rest.front().last_sequence()) add(first, rest.front().last_sequence(), 0);
  } else {
    add(first, rest.front().last_sequence(), rejected.batch);
  }
  for (size_t i = 1; i < rest.size(); ++i) *replay.add_parts() = rest[i];
}

}  // namespace verbatim::processor
