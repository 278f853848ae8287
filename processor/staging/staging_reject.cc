// Reject: quarantine for the culprits, a new plan for the rest.
#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {

Result<bool> Staging::replace(const std::string& name, uint64_t batch,
                              const std::vector<Rejected>& culprits, const std::string& reason) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  if (!adapter->sealed || adapter->sealed->batch != batch) {
    return failed_precondition("reject of a batch that is not under way adapter=" + name +
                               " batch=" + std::to_string(batch));
  }
  const SealedBatch rejected = std::move(*adapter->sealed);
  adapter->sealed.reset();
  adapter->row.set_last_reason(reason);
  adapter->interval.reset();

  const bool is_release = rejected.row.is_release();
  const bool is_replay = rejected.row.is_replay();
  const bool is_owed = rejected.row.is_owed();
  std::map<uint64_t, std::string> named;
  for (const Rejected& one : culprits) {
    if (is_member(rejected.row, one.sequence)) named.emplace(one.sequence, one.reason);
  }
  if (named.empty() && rejected.row.event_count() == 1) {
    named.emplace(first_of(rejected.row), reason);
  }

  Changes changes(*store_);
  changes.adapters.insert(name);
  if (is_replay) replan_replay(*adapter, rejected, named);
  for (const auto& [sequence, why] : named) {
    if (is_replay) break;  // it took effect once: it is only left out
    const Rejected one{sequence, why};
    const Status status = is_release ? keep_quarantined(name, *adapter, rejected, why, changes)
                          : is_owed  ? quarantine_owed(name, *adapter, batch, one, changes)
                                     : quarantine(name, *adapter, batch, one, changes);
    if (!status.ok()) return spoil(status);
  }
  if (!is_release && !is_replay) {
    auto& plan = is_owed ? *adapter->row.mutable_owed_plan() : *adapter->row.mutable_plan();
    plan_again(plan, rejected, /*is_halved=*/named.empty());
    if (is_owed && adapter->row.owed() == 0) plan.Clear();
  }
  v1::AuditRow audit;
  audit.set_action("batch replaced");
  audit.set_adapter(name);
  audit.set_reason(reason);
  audit.set_first_sequence(first_of(rejected.row));
  audit.set_last_sequence(last_of(rejected.row));
  audit.set_event_count(rejected.row.event_count());
  audit.set_batch(batch);
  audit.set_digest(rejected.row.digest());
  RETURN_IF_ERROR(put_audit(audit, changes.writes));
  changes.writes.remove(Family::kSeals, named_key(name, batch));
  const uint64_t in_a_row = adapter->row.rejected_in_a_row() + named.size();
  adapter->row.set_rejected_in_a_row(in_a_row);
  if (in_a_row >= options_.rejects_max_count) adapter->row.set_is_paused(true);
  Status status = commit(changes, /*is_synced=*/true);
  // The quarantine must be on disk before cursors pass it.
  if (status.ok()) status = settle_quarantined();
  if (!status.ok()) return spoil(status);
  LOG_WARN("a batch was rejected adapter={} batch={} quarantined={}", name, batch, named.size());
  return adapter->row.is_paused();
}

Status Staging::quarantine(const std::string& name, Adapter& adapter, uint64_t batch,
                           const Rejected& rejected, Changes& changes) {
  const uint64_t sequence = rejected.sequence;
  ASSIGN_OR_RETURN(const EventIndex index, index_of(sequence));
  ASSIGN_OR_RETURN(auto bytes, store_->load(Family::kEvents, number_key(sequence)));
  if (!bytes) return data_loss("staging: an event is missing sequence=" + std::to_string(sequence));
  v1::QuarantineRow row;
  row.set_batch(batch);
  row.set_reason(rejected.reason);
  row.set_since_unix_ns(options_.clock->unix_now_ns());
  row.set_stored_event(std::move(*bytes));
  row.set_source_ref(index.source_ref);
  changes.writes.put(Family::kQuarantine, named_key(name, sequence), row);
  adapter.quarantined_ahead.insert(sequence);
  adapter.row.set_quarantined(adapter.row.quarantined() + 1);
  if (sequence <= state_.archived_through()) return {};  // archived stands above quarantined
  auto& holders = quarantined_[sequence];
  if (holders.empty()) {
    auto& counters = sources_.at(index.source_ref);
    counters.set_staged(counters.staged() - 1);
    counters.set_quarantined(counters.quarantined() + 1);
    changes.sources.insert(index.source_ref);
  }
  holders.insert(name);
  return {};
}

// Replaces the front of the plan, which the rejected batch was sealed from, if there was one.
void Staging::plan_again(google::protobuf::RepeatedPtrField<v1::PlannedBatch>& plan,
                         const SealedBatch& rejected, bool is_halved) {
  const auto members = members_of(rejected.row);
  std::vector<v1::PlannedBatch> parts;
  const auto add_part = [&](uint64_t first, uint64_t last) {
    v1::PlannedBatch part;
    part.set_first_sequence(first);
    part.set_last_sequence(last);
    part.set_replaces(rejected.batch);
    parts.push_back(part);
  };
  if (is_halved) {
    const size_t middle = members.size() / 2;
    add_part(members.front(), members[middle - 1]);
    add_part(members[middle], members.back());
  } else {
    add_part(members.front(), members.back());
  }
  const std::vector<v1::PlannedBatch> rest(plan.begin() + (plan.empty() ? 0 : 1), plan.end());
  plan.Clear();
  for (auto& part : parts) *plan.Add() = std::move(part);
  for (const auto& part : rest) *plan.Add() = part;
}

// Moves cursors past what is quarantined, then the archive's front. Written only if it changes
// anything.
Status Staging::settle_quarantined() {
  Changes changes(*store_);
  for (auto& [name, adapter] : adapters_) {
    if (adapter.sealed) continue;
    if (adapter.quarantined_ahead.empty() && adapter.row.filtered_ahead() == 0) continue;
    const uint64_t cursor = adapter.row.cursor();
    const int planned = adapter.row.plan_size();
    RETURN_IF_ERROR(pass_quarantined(adapter));
    if (adapter.row.cursor() != cursor || adapter.row.plan_size() != planned) {
      changes.adapters.insert(name);
    }
  }
  const uint64_t front = state_.archived_through();
  RETURN_IF_ERROR(advance_archive(changes));
  if (changes.adapters.empty() && state_.archived_through() == front) return {};
  return commit(changes, /*is_synced=*/true);
}

}  // namespace verbatim::processor
