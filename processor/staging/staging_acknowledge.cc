// Acknowledgement, the archive's front, and deletion behind it.
#include <algorithm>

#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Copies of unrouted events that one write may hold.
constexpr uint64_t kUnroutedWriteBytes = 64ULL << 20;

bool is_overtaken(const v1::AdapterRow& row, uint64_t batch, const std::string& digest) {
  return batch != 0 && row.overtaken_batch() == batch && row.overtaken_digest() == digest;
}

}  // namespace

Status Staging::acknowledge(const std::string& name, uint64_t batch, const std::string& digest) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  v1::AdapterRow& row = adapter->row;
  if (batch != 0 && batch == row.last_acked_batch() && digest == row.last_acked_digest()) return {};
  if (is_overtaken(row, batch, digest)) {
    const Status status = accept_overtaken(name);
    return status.ok() ? status : spoil(status);
  }
  if (!adapter->sealed || adapter->sealed->batch != batch) {
    return failed_precondition("acknowledgement of a batch that is not under way adapter=" + name +
                               " batch=" + std::to_string(batch));
  }
  if (adapter->sealed->row.digest() != digest) {
    return failed_precondition("acknowledgement with another digest adapter=" + name +
                               " batch=" + std::to_string(batch));
  }
  Changes changes(*store_);
  changes.adapters.insert(name);
  changes.writes.remove(Family::kSeals, named_key(name, row.last_acked_batch()));
  row.set_last_acked_batch(batch);
  row.set_last_acked_digest(digest);
  row.set_rejected_in_a_row(0);
  // This one follows another, so an overtaken one was never applied.
  row.clear_overtaken_batch();
  row.clear_overtaken_digest();
  Status status;
  const v1::SealRow& seal = adapter->sealed->row;
  if (!seal.is_replay()) row.set_acknowledged(row.acknowledged() + seal.event_count());
  if (seal.is_replay()) {
    status = settle_replay(name, *adapter, changes);
  } else if (seal.is_release()) {
    status = settle_release(name, *adapter, changes);
  } else if (seal.is_owed()) {
    status = settle_owed(name, *adapter, changes);
  } else {
    row.set_newest_acked(std::max(row.newest_acked(), last_of(seal)));
    row.set_cursor(std::max(last_of(seal), seal.passed_through()));
    row.set_filtered_ahead(row.filtered_ahead() - seal.filtered_count());
    row.set_filtered_ahead_bytes(row.filtered_ahead_bytes() - seal.filtered_bytes());
    if (row.plan_size() > 0) row.mutable_plan()->DeleteSubrange(0, 1);
  }
  adapter->last_acked = std::move(adapter->sealed->row);
  adapter->last_acked.clear_header();
  adapter->last_acked.clear_member_ranges();
  adapter->sealed.reset();
  if (status.ok()) status = pass_quarantined(*adapter);
  if (status.ok()) status = advance_archive(changes);
  if (status.ok()) status = commit(changes, /*is_synced=*/true);
  return status.ok() ? status : spoil(status);
}

// Deletion has overtaken a batch that the adapter turns out to have applied: the chain goes on from
// it, and its events were not skipped after all.
Status Staging::accept_overtaken(const std::string& name) {
  Adapter& adapter = adapters_.at(name);
  v1::AdapterRow& row = adapter.row;
  Changes changes(*store_);
  changes.adapters.insert(name);
  changes.writes.remove(Family::kSeals, named_key(name, row.last_acked_batch()));
  row.set_last_acked_batch(row.overtaken_batch());
  row.set_last_acked_digest(row.overtaken_digest());
  row.set_acknowledged(row.acknowledged() + row.overtaken_event_count());
  row.set_skipped(row.skipped() - row.overtaken_skipped_count());
  const uint64_t cursor = std::max(row.cursor(), row.overtaken_last_sequence());
  ASSIGN_OR_RETURN(const LeftOut left_out, count_left_out(adapter, row.cursor(), cursor));
  row.set_filtered_ahead(row.filtered_ahead() - left_out.count);
  row.set_filtered_ahead_bytes(row.filtered_ahead_bytes() - left_out.bytes);
  row.set_cursor(cursor);
  adapter.last_acked.Clear();
  adapter.interval.reset();
  row.clear_overtaken_batch();
  row.clear_overtaken_digest();
  row.clear_next_replaces();
  RETURN_IF_ERROR(pass_quarantined(adapter));
  return commit(changes, /*is_synced=*/true);
}

Status Staging::check_hello(const std::string& name, uint64_t last_applied_batch,
                            const std::string& last_applied_digest) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  const v1::AdapterRow& row = adapter->row;
  if (!adapter->sealed && is_overtaken(row, last_applied_batch, last_applied_digest)) {
    const Status status = accept_overtaken(name);
    return status.ok() ? status : spoil(status);
  }
  const bool is_other_digest = last_applied_batch != 0 &&
                               last_applied_batch == row.last_acked_batch() &&
                               last_applied_digest != row.last_acked_digest();
  if (last_applied_batch > row.last_sealed_batch() || is_other_digest) {
    return failed_precondition("the adapter has applied a batch that this store never sealed " +
                               std::string("adapter=") + name +
                               " applied=" + std::to_string(last_applied_batch) +
                               " sealed=" + std::to_string(row.last_sealed_batch()));
  }
  if (last_applied_batch != 0 && last_applied_batch < row.last_acked_batch()) {
    LOG_WARN("the adapter knows less than it has acknowledged adapter={} applied={} acked={}", name,
             last_applied_batch, row.last_acked_batch());
  }
  return {};
}

Result<std::pair<uint64_t, std::string>> Staging::last_acked(const std::string& name) const {
  base::MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
  return std::make_pair(adapter->row.last_acked_batch(), adapter->row.last_acked_digest());
}

// The cursor also passes what the adapter has in quarantine, and what its filter leaves out.
Status Staging::pass_quarantined(Adapter& adapter) {
  auto& ahead = adapter.quarantined_ahead;
  v1::AdapterRow& row = adapter.row;
  while (!ahead.empty() && *ahead.begin() <= row.cursor() + 1) {
    row.set_cursor(std::max(row.cursor(), *ahead.begin()));
    ahead.erase(ahead.begin());
  }
  RETURN_IF_ERROR(pass_left_out(adapter));
  while (row.plan_size() > 0 && row.plan(0).last_sequence() <= row.cursor()) {
    row.mutable_plan()->DeleteSubrange(0, 1);
  }
  if (row.cursor() <= state_.deleted_through()) return {};
  ASSIGN_OR_RETURN(const EventIndex index, index_of(row.cursor()));
  row.set_cursor_bytes(index.total_bytes);
  return {};
}

Status Staging::advance_archive(Changes& changes) {
  bool has_required = false;
  uint64_t front = state_.last_sequence();
  for (const auto& [name, adapter] : adapters_) {
    if (!adapter.row.required()) continue;
    has_required = true;
    front = std::min(front, adapter.row.cursor());
  }
  if (!has_required || front <= state_.archived_through()) return {};
  Status archived;
  uint64_t copied_bytes = 0;
  const auto visit = [&](auto key, auto value) REQUIRES(mutex_) {
    const uint64_t sequence = number_of(key);
    if (sequence > front) return false;
    const auto index = decode_index(value);
    const uint64_t unrouted = state_.unrouted_count();
    archived = index ? archive_event(sequence, *index, changes) : index.error();
    if (!archived.ok()) return false;
    if (state_.unrouted_count() != unrouted) copied_bytes += index->size;
    // The rest is for the next call.
    if (copied_bytes >= kUnroutedWriteBytes) front = sequence;
    return true;
  };
  RETURN_IF_ERROR(
      store_->for_each(Family::kIndex, number_key(state_.archived_through() + 1), visit));
  RETURN_IF_ERROR(archived);
  state_.set_archived_through(front);
  return {};
}

// Moves one event's state on as the front passes it: archived > quarantined > staged.
Status Staging::archive_event(uint64_t sequence, const EventIndex& index, Changes& changes) {
  const uint32_t reference = index.source_ref;
  auto& counters = sources_.at(reference);
  changes.sources.insert(reference);
  const auto found = quarantined_.find(sequence);
  if (found == quarantined_.end()) {
    if (!is_routed(sequence, index)) return keep_unrouted(sequence, reference, changes);
    counters.set_staged(counters.staged() - 1);
    counters.set_archived(counters.archived() + 1);
    return {};
  }
  std::set<std::string> holders = std::move(found->second);
  quarantined_.erase(found);
  // Of an adapter that was removed the row is a record only, also if another has its name now.
  std::erase_if(holders, [&](const auto& name) REQUIRES(mutex_) {
    const auto adapter = adapters_.find(name);
    return adapter == adapters_.end() || adapter->second.row.start_sequence() > sequence;
  });
  const bool is_for_good = std::any_of(
      holders.begin(), holders.end(),
      [&](const auto& name) REQUIRES(mutex_) { return adapters_.at(name).row.required(); });
  if (!is_for_good) {
    counters.set_quarantined(counters.quarantined() - 1);
    if (!is_routed(sequence, index)) {
      counters.set_staged(counters.staged() + 1);
      return keep_unrouted(sequence, reference, changes);
    }
    counters.set_archived(counters.archived() + 1);
    return {};
  }
  for (const std::string& name : holders) {
    v1::QuarantineRow row;
    ASSIGN_OR_RETURN(const bool is_there,
                     store_->load(Family::kQuarantine, named_key(name, sequence), row));
    if (!is_there) {
      return data_loss("staging: a quarantine row is missing sequence=" + std::to_string(sequence));
    }
    row.set_is_final(true);
    ++final_counts_[sequence];
    changes.writes.put(Family::kQuarantine, named_key(name, sequence), row);
  }
  return {};
}

Status Staging::delete_archived() {
  bool is_drop_due = false;
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    // The front may have been stopped by the size of a write.
    uint64_t front = 0;
    Status status;
    do {
      front = state_.archived_through();
      status = settle_quarantined();
    } while (status.ok() && state_.archived_through() != front);
    if (status.ok()) status = delete_archived_locked();
    if (status.ok()) status = finish_waiting_releases();
    if (!status.ok()) return spoil(status);
    constexpr uint64_t kFileDropBytes = 16ULL << 20;
    is_drop_due = state_.deleted_bytes() - last_file_drop_bytes_ >= kFileDropBytes;
    if (is_drop_due) last_file_drop_bytes_ = state_.deleted_bytes();
  }
  // It takes the disk's time, which intake need not wait for.
  if (is_drop_due) store_->drop_released_files();
  return {};
}

// A copy that a replay was giving out has waited for its end.
Status Staging::finish_waiting_releases() {
  if (!has_unfinished_release_) return {};
  v1::ReleaseHoldResponse response;
  for (uint64_t next = 1; next != 0;) {
    ASSIGN_OR_RETURN(next, release_some(next, response));
  }
  return {};
}

uint64_t Staging::deletion_target(uint64_t archived_bytes,
                                  std::vector<std::string>& overtaken) const {
  uint64_t target = state_.archived_through();
  for (const auto& [name, adapter] : adapters_) {
    const bool is_near =
        archived_bytes <= adapter.row.cursor_bytes() + options_.optional_lag_max_bytes;
    if (adapter.row.required() || is_near) {
      target = std::min(target, adapter.row.cursor());
    }
    target = std::min(target, replay_position(adapter));
  }
  for (const auto& [name, adapter] : adapters_) {
    if (adapter.row.cursor() < target) overtaken.push_back(name);
  }
  return target;
}

Status Staging::delete_archived_locked() {
  if (state_.archived_through() <= state_.deleted_through()) return {};
  ASSIGN_OR_RETURN(const EventIndex front, index_of(state_.archived_through()));
  std::vector<std::string> overtaken;
  const uint64_t target = deletion_target(front.total_bytes, overtaken);
  if (target <= state_.deleted_through()) return {};
  ASSIGN_OR_RETURN(const EventIndex index, index_of(target));
  while (state_.deleted_through() < target) {
    Changes changes(*store_);
    for (const std::string& name : overtaken) {
      RETURN_IF_ERROR(overtake(name, target, index.total_bytes, changes));
    }
    const bool is_synced = !overtaken.empty();
    overtaken.clear();
    RETURN_IF_ERROR(delete_piece(target, changes, is_synced));
  }
  return {};
}

// One write: everything up to the target or, while there are holds, as much as one write should
// keep.
Status Staging::delete_piece(uint64_t target, Changes& changes, bool is_synced) {
  const uint64_t first = state_.deleted_through() + 1;
  uint64_t last = target;
  if (!holds_.empty()) {
    ASSIGN_OR_RETURN(last, keep_held(first, target, changes, is_synced));
  }
  ASSIGN_OR_RETURN(const EventIndex index, index_of(last));
  state_.set_deleted_through(last);
  state_.set_deleted_bytes(index.total_bytes);
  for (const auto& [conversation, joined] : book_.purge(last)) {
    changes.writes.remove(Family::kParticipation, named_key(conversation, joined));
  }
  // Deletion decides nothing (a crash repeats it), unless it skips events of an adapter. Rows, of
  // which held ones have been copied in this write, go after a synced write, see commit().
  return commit(changes, is_synced);
}

// Of what lies above the cursor: events that the adapter is, or was, to be given.
Result<uint64_t> Staging::count_given(const Adapter& adapter, uint64_t through) const {
  const uint64_t cursor = adapter.row.cursor();
  ASSIGN_OR_RETURN(const LeftOut left_out, count_left_out(adapter, cursor, through));
  const auto& ahead = adapter.quarantined_ahead;
  const auto quarantined = std::distance(ahead.begin(), ahead.upper_bound(through));
  return through - cursor - static_cast<uint64_t>(quarantined) - left_out.count;
}

// An optional adapter does not get what is deleted: a skipped record says how much.
Status Staging::overtake(const std::string& name, uint64_t target, uint64_t target_bytes,
                         Changes& changes) {
  Adapter& adapter = adapters_.at(name);
  v1::AdapterRow& row = adapter.row;
  ASSIGN_OR_RETURN(const LeftOut left_out, count_left_out(adapter, row.cursor(), target));
  ASSIGN_OR_RETURN(const uint64_t count, count_given(adapter, target));
  v1::AuditRow skipped;
  skipped.set_action("skipped");
  skipped.set_adapter(name);
  skipped.set_first_sequence(row.cursor() + 1);
  skipped.set_last_sequence(target);
  skipped.set_event_count(count);
  // A released event has bytes of its own, which deletion does not reach; it waits for a replay.
  const bool is_behind = adapter.sealed && is_behind_cursor(adapter.sealed->row);
  if (adapter.sealed && !is_behind) {
    row.set_overtaken_batch(adapter.sealed->batch);
    row.set_overtaken_digest(adapter.sealed->row.digest());
    row.set_overtaken_event_count(adapter.sealed->row.event_count());
    row.set_overtaken_last_sequence(last_of(adapter.sealed->row));
    const auto members = members_of(adapter.sealed->row);
    const auto beyond = std::upper_bound(members.begin(), members.end(), target);
    row.set_overtaken_skipped_count(static_cast<uint64_t>(beyond - members.begin()));
    row.set_next_replaces(adapter.sealed->batch);
    skipped.set_batch(adapter.sealed->batch);
    skipped.set_digest(adapter.sealed->row.digest());
    changes.writes.remove(Family::kSeals, named_key(name, adapter.sealed->batch));
    adapter.sealed.reset();
  } else if (row.overtaken_batch() != 0 && row.cursor() < row.overtaken_last_sequence()) {
    // Overtaken before, in its midst: more of its members are skipped now.
    const uint64_t through = std::min(target, row.overtaken_last_sequence());
    ASSIGN_OR_RETURN(const uint64_t more, count_given(adapter, through));
    row.set_overtaken_skipped_count(row.overtaken_skipped_count() + more);
  }
  ignore_error(put_audit(skipped, changes.writes), "it only appends to the change");
  LOG_WARN("an optional adapter is overtaken by deletion adapter={} skipped={}", name, count);
  auto& ahead = adapter.quarantined_ahead;
  ahead.erase(ahead.begin(), ahead.upper_bound(target));
  row.set_skipped(row.skipped() + count);
  row.set_cursor(target);
  row.set_cursor_bytes(target_bytes);
  row.set_filtered_ahead(row.filtered_ahead() - left_out.count);
  row.set_filtered_ahead_bytes(row.filtered_ahead_bytes() - left_out.bytes);
  row.clear_plan();
  adapter.interval.reset();
  changes.adapters.insert(name);
  return {};
}

}  // namespace verbatim::processor
