// Release: what an adapter had rejected is given to it again, marked late, each event in a batch of
// its own. Its bytes come from the quarantine, and it leaves that with the acknowledgement.
#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Rows hold copies of events: so many are written at once.
constexpr size_t kWriteMaxCount = 256;

Status mark_late(v1::QuarantineRow& row) {
  v1::StoredEvent stored;
  RETURN_IF_ERROR(parse_row(row.stored_event(), "quarantine (event)", stored));
  stored.set_is_late(true);
  row.set_stored_event(stored.SerializeAsString());
  row.set_is_released(true);
  return {};
}

}  // namespace

Result<v1::QuarantineRow> Staging::load_quarantined(const std::string& name,
                                                    uint64_t sequence) const {
  v1::QuarantineRow row;
  ASSIGN_OR_RETURN(const bool is_there,
                   store_->load(Family::kQuarantine, named_key(name, sequence), row));
  if (is_there) return row;
  return not_found("not in quarantine adapter=" + name + " sequence=" + std::to_string(sequence));
}

Result<uint64_t> Staging::release(const v1::ReleaseQuarantineRequest& request,
                                  const base::Caller& caller) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  const std::string& name = request.adapter();
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  if (request.all() == !request.sequences().empty()) {
    return invalid_argument("either sequences or all of them are released");
  }
  ASSIGN_OR_RETURN(const std::set<uint64_t> chosen, choose_released(*adapter, request));
  if (chosen.empty()) return adapter->released.size();
  v1::AuditRow audit;
  audit.set_action("released");
  audit.set_adapter(name);
  audit.set_reason(request.reason());
  audit.set_peer(caller.peer);
  audit.set_user(caller.user);
  audit.set_first_sequence(*chosen.begin());
  audit.set_last_sequence(*chosen.rbegin());
  audit.set_event_count(chosen.size());
  if (const Status status = write_released(name, chosen, audit); !status.ok()) return spoil(status);
  adapter->released.insert(chosen.begin(), chosen.end());
  LOG_INFO("events are released from quarantine adapter={} event_count={}", name, chosen.size());
  return adapter->released.size();
}

// Of those asked for, what is not released yet. What an earlier adapter of this name had rejected
// is not counted with this one, so it cannot be acknowledged by it either.
Result<std::set<uint64_t>> Staging::choose_released(
    const Adapter& adapter, const v1::ReleaseQuarantineRequest& request) const {
  const uint64_t start = adapter.row.start_sequence();
  std::set<uint64_t> chosen;
  for (const uint64_t sequence : request.sequences()) {
    ASSIGN_OR_RETURN(const v1::QuarantineRow row, load_quarantined(request.adapter(), sequence));
    if (sequence < start && !row.was_owed()) {
      return invalid_argument("an earlier adapter of this name had rejected it sequence=" +
                              std::to_string(sequence));
    }
    chosen.insert(sequence);
  }
  if (request.all()) {
    Status parsed;
    RETURN_IF_ERROR(store_->for_each(Family::kQuarantine, named_key(request.adapter(), 0),
                                     [&](auto key, auto value) {
                                       if (name_of(key) != request.adapter()) return false;
                                       v1::QuarantineRow row;
                                       parsed = parse_row(value, "quarantine", row);
                                       if (number_of(key) >= start || row.was_owed())
                                         chosen.insert(number_of(key));
                                       return parsed.ok();
                                     }));
    RETURN_IF_ERROR(parsed);
  }
  std::erase_if(chosen, [&](uint64_t one) { return adapter.released.contains(one); });
  return chosen;
}

// The audit row goes first, with the first rows.
Status Staging::write_released(const std::string& name, const std::set<uint64_t>& chosen,
                               const v1::AuditRow& audit) {
  auto next = chosen.begin();
  while (next != chosen.end()) {
    Changes changes(*store_);
    if (next == chosen.begin()) RETURN_IF_ERROR(put_audit(audit, changes.writes));
    for (size_t i = 0; i < kWriteMaxCount && next != chosen.end(); ++i, ++next) {
      ASSIGN_OR_RETURN(v1::QuarantineRow row, load_quarantined(name, *next));
      RETURN_IF_ERROR(mark_late(row));
      changes.writes.put(Family::kQuarantine, named_key(name, *next), row);
    }
    RETURN_IF_ERROR(commit(changes, /*is_synced=*/true));
  }
  return {};
}

// The oldest one whose place the adapter has passed; 0 for none. Parts of a rejected batch go
// first.
uint64_t Staging::next_released(const Adapter& adapter) const {
  if (adapter.released.empty() || adapter.row.plan_size() > 0) return 0;
  const uint64_t sequence = *adapter.released.begin();
  return sequence <= adapter.row.cursor() ? sequence : 0;
}

Result<Staging::Draft> Staging::draft_release(const std::string& name, const Adapter& adapter,
                                              uint64_t sequence) const {
  ASSIGN_OR_RETURN(const v1::QuarantineRow row, load_quarantined(name, sequence));
  v1::StoredEvent stored;
  v1::Envelope envelope;
  RETURN_IF_ERROR(parse_row(row.stored_event(), "quarantine (event)", stored));
  RETURN_IF_ERROR(parse_row(stored.envelope(), "quarantine (envelope)", envelope));
  Draft plan;
  plan.is_release = true;
  plan.members = {sequence};
  plan.cursor = adapter.row.cursor();
  plan.replaces = adapter.row.next_replaces();
  plan.body_bytes = row.stored_event().size();
  plan.schema_revision = envelope.schema_revision();
  plan.reason = "released";
  return plan;
}

Result<std::vector<std::string>> Staging::load_bodies(const std::string& name,
                                                      const v1::SealRow& seal,
                                                      const std::vector<uint64_t>& members) const {
  if (seal.is_replay()) return load_replayed(members);
  if (seal.is_owed()) return load_owed(seal, members);
  if (!seal.is_release()) return load_events(members);
  ASSIGN_OR_RETURN(v1::QuarantineRow row, load_quarantined(name, members.front()));
  return std::vector<std::string>{std::move(*row.mutable_stored_event())};
}

// Above the archive's front: the event is staged again when no adapter has it in quarantine.
void Staging::drop_holder(const std::string& name, uint64_t sequence, uint32_t source_ref,
                          Changes& changes) {
  const auto holders = quarantined_.find(sequence);
  if (holders == quarantined_.end()) return;
  holders->second.erase(name);
  if (!holders->second.empty()) return;
  quarantined_.erase(holders);
  v1::SourceCounters& counters = sources_.at(source_ref);
  counters.set_quarantined(counters.quarantined() - 1);
  counters.set_staged(counters.staged() + 1);
  changes.sources.insert(source_ref);
}

// The event leaves the quarantine of this adapter. What it counts as from now on depends on whether
// the archive's front has passed it, and on who else has it in quarantine.
Status Staging::settle_release(const std::string& name, Adapter& adapter, Changes& changes) {
  const uint64_t sequence = first_of(adapter.sealed->row);
  ASSIGN_OR_RETURN(const v1::QuarantineRow row, load_quarantined(name, sequence));
  RETURN_IF_ERROR(keep_leaving(sequence, row.stored_event(), row.source_ref(), changes));
  changes.writes.remove(Family::kQuarantine, named_key(name, sequence));
  adapter.released.erase(sequence);
  adapter.row.set_quarantined(adapter.row.quarantined() - 1);
  v1::SourceCounters& counters = sources_.at(row.source_ref());
  if (quarantined_.contains(sequence)) {
    drop_holder(name, sequence, row.source_ref(), changes);
  } else if (row.is_final()) {
    const auto finals = final_counts_.find(sequence);
    if (finals != final_counts_.end() && --finals->second > 0) return {};
    if (finals != final_counts_.end()) final_counts_.erase(finals);
    counters.set_quarantined(counters.quarantined() - 1);
    // It may be owed to others still.
    ASSIGN_OR_RETURN(const auto unrouted, store_->load(Family::kUnrouted, number_key(sequence)));
    if (unrouted) {
      counters.set_staged(counters.staged() + 1);
    } else {
      counters.set_archived(counters.archived() + 1);
    }
  }
  changes.sources.insert(row.source_ref());
  return {};
}

// The adapter rejects it again: it stays where it is.
Status Staging::keep_quarantined(const std::string& name, Adapter& adapter,
                                 const SealedBatch& rejected, const std::string& reason,
                                 Changes& changes) {
  const uint64_t sequence = first_of(rejected.row);
  ASSIGN_OR_RETURN(v1::QuarantineRow row, load_quarantined(name, sequence));
  row.set_is_released(false);
  row.set_batch(rejected.batch);
  row.set_reason(reason);
  changes.writes.put(Family::kQuarantine, named_key(name, sequence), row);
  adapter.released.erase(sequence);
  return {};
}

}  // namespace verbatim::processor
