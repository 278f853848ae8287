// Reroute: what no required adapter took is given to one that takes it after all, because it is
// new, or its filter is, or it has become required. Such an event is *owed* to it until it has
// answered; owed events go before all others, in order, and are late only where the adapter has
// acknowledged newer ones. docs/adr/0042.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

// Rows hold events: so many are written at once, and sealed at once.
constexpr size_t kWriteMaxCount = 1'024;
constexpr uint64_t kWriteMaxBytes = 16ULL << 20;

bool has_name(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void remove_name(Names& names, const std::string& name) {
  names.erase(std::remove(names.begin(), names.end(), name), names.end());
}

// In the bytes of a message the last value of a field is the one that counts.
const std::string& late_mark() {
  static const std::string mark = [] {
    v1::StoredEvent late;
    late.set_is_late(true);
    return late.SerializeAsString();
  }();
  return mark;
}

uint64_t newest_acked(const v1::AdapterRow& row) {
  if (row.newest_acked() != 0 || row.acknowledged() == 0) return row.newest_acked();
  return row.cursor();
}

}  // namespace

Status Staging::apply_new_routes() {
  for (const auto& [name, adapter] : adapters_) {
    if (adapter.row.is_route_new()) RETURN_IF_ERROR(route_all(name, /*is_withdrawn=*/false));
  }
  return {};
}

// Looks through everything that is unrouted, a part a write. A crash leaves is_route_new, so that
// the opening does it again; what was done already is in the rows.
Status Staging::route_all(const std::string& name, bool is_withdrawn) {
  v1::AdapterRow& row = adapters_.at(name).row;
  const uint64_t before = row.owed();
  uint64_t from = state_.unrouted_count() == 0 ? 0 : 1;
  do {
    Changes changes(*store_);
    changes.adapters.insert(name);
    if (from != 0) {
      ASSIGN_OR_RETURN(from, route_some(name, from, is_withdrawn, changes));
    }
    // A plan of what is owed no more would name the batch it replaces in one of others.
    if (row.owed() == 0) row.clear_owed_plan();
    // A removal that is cut off leaves the adapter, and what it is owed.
    if (from == 0 || is_withdrawn) row.set_is_route_new(is_withdrawn);
    FAULT_POINT("processor.owed_before_stored");
    RETURN_IF_ERROR(commit(changes, /*is_synced=*/true));
  } while (from != 0);
  adapters_.at(name).owed_from = 0;
  if (row.owed() != before) {
    LOG_INFO("unrouted events are owed to an adapter adapter={} event_count={}", name, row.owed());
  }
  return {};
}

// Gives where to go on; 0: at the end.
Result<uint64_t> Staging::route_some(const std::string& name, uint64_t from, bool is_withdrawn,
                                     Changes& changes) {
  uint64_t next = 0;
  size_t count = 0;
  uint64_t bytes = 0;
  Status status;
  RETURN_IF_ERROR(store_->for_each(
      Family::kUnrouted, number_key(from), [&](auto key, auto value) REQUIRES(mutex_) {
        if (++count > kWriteMaxCount || bytes > kWriteMaxBytes) {
          next = number_of(key);
          return false;
        }
        bytes += value.size();
        v1::KeptRow row;
        status = parse_row(value, "unrouted", row);
        if (status.ok()) {
          status = route_one(name, number_of(key), std::move(row), is_withdrawn, changes);
        }
        return status.ok();
      }));
  RETURN_IF_ERROR(status);
  return next;
}

Status Staging::route_one(const std::string& name, uint64_t sequence, v1::KeptRow row,
                          bool is_withdrawn, Changes& changes) {
  Adapter& adapter = adapters_.at(name);
  v1::AdapterRow& owner = adapter.row;
  if (has_name(row.answered_by(), name)) return {};
  if (has_name(row.had_by(), name)) {
    return reroute_had(name, sequence, std::move(row), is_withdrawn, changes);
  }
  ASSIGN_OR_RETURN(const OpenedEvent event, open_event(row.stored_event()));
  const bool is_before_start = sequence < owner.start_sequence();
  const bool may_have_had_it = !is_before_start && sequence <= owner.not_owed_through();
  const bool is_owed = !is_withdrawn && !may_have_had_it && owner.required() &&
                       event.stored.staged_unix_ns() >= owner.takes_from_unix_ns() &&
                       adapter.selector.takes(event.envelope);
  // Optional adapters without a filter were given everything, unless deletion has overtaken them.
  if (may_have_had_it && owner.required() && sequence <= owner.cursor() &&
      owner.filter_slot() == 0 && owner.skipped() == 0) {
    return note_answer(name, sequence, std::move(row), changes);
  }
  if (is_owed == has_name(row.owed_to(), name)) return {};
  const bool is_under_way =
      adapter.sealed && adapter.sealed->row.is_owed() && is_member(adapter.sealed->row, sequence);
  if (!is_owed && !is_withdrawn && is_under_way) return {};
  const uint64_t change = is_owed ? 1 : std::numeric_limits<uint64_t>::max();  // or -1
  owner.set_owed(owner.owed() + change);
  if (is_before_start) {
    owner.set_owed_before_start(owner.owed_before_start() + change);
  } else {
    owner.set_filtered(owner.filtered() - change);
  }
  if (is_owed) {
    row.add_owed_to(name);
  } else {
    remove_name(*row.mutable_owed_to(), name);
  }
  const bool is_answered = row.owed_to().empty() && !row.answered_by().empty();
  if (is_answered) return leave_unrouted(sequence, std::move(row), changes);
  changes.writes.put(Family::kUnrouted, number_key(sequence), row);
  return {};
}

// It was under way to the adapter when that was made optional.
Status Staging::reroute_had(const std::string& name, uint64_t sequence, v1::KeptRow row,
                            bool is_withdrawn, Changes& changes) {
  if (!is_withdrawn && !adapters_.at(name).row.required()) return {};
  if (!is_withdrawn) return note_answer(name, sequence, std::move(row), changes);
  // One that gets this name later has not had it.
  remove_name(*row.mutable_had_by(), name);
  changes.writes.put(Family::kUnrouted, number_key(sequence), row);
  return {};
}

// Of an adapter that was optional when it took the event. What it has in quarantine stays unrouted.
Status Staging::note_answer(const std::string& name, uint64_t sequence, v1::KeptRow row,
                            Changes& changes) {
  ASSIGN_OR_RETURN(const auto rejected,
                   store_->load(Family::kQuarantine, named_key(name, sequence)));
  if (rejected) return {};
  row.add_answered_by(name);
  if (row.owed_to().empty()) return leave_unrouted(sequence, std::move(row), changes);
  changes.writes.put(Family::kUnrouted, number_key(sequence), row);
  return {};
}

// All that it was owed to have answered: it is archived, unless one of them has it in quarantine.
Status Staging::leave_unrouted(uint64_t sequence, v1::KeptRow row, Changes& changes) {
  RETURN_IF_ERROR(keep_leaving(sequence, row.stored_event(), row.source_ref(), changes));
  changes.writes.remove(Family::kUnrouted, number_key(sequence));
  state_.set_unrouted_count(state_.unrouted_count() - 1);
  if (final_counts_.contains(sequence)) return {};
  v1::SourceCounters& counters = sources_.at(row.source_ref());
  counters.set_staged(counters.staged() - 1);
  counters.set_archived(counters.archived() + 1);
  changes.sources.insert(row.source_ref());
  return {};
}

Result<v1::KeptRow> Staging::load_unrouted(uint64_t sequence) const {
  v1::KeptRow row;
  ASSIGN_OR_RETURN(const bool is_there, store_->load(Family::kUnrouted, number_key(sequence), row));
  if (is_there) return row;
  return not_found("staging: an unrouted event is missing sequence=" + std::to_string(sequence));
}

// Parts of a rejected batch first; those of which nothing is owed any more are passed over.
Result<Staging::Draft> Staging::draft_owed(const std::string& name, Adapter& adapter,
                                           const BatchLimits& limits) {
  Draft plan;
  plan.is_owed = true;
  plan.cursor = adapter.row.cursor();
  plan.reason = "rerouted";
  plan.late_below = newest_acked(adapter.row);
  auto* parts = adapter.row.mutable_owed_plan();
  while (!parts->empty() && plan.members.empty() && !plan.is_adapter_too_old) {
    plan.replaces = parts->Get(0).replaces();
    RETURN_IF_ERROR(draft_owed_part(name, adapter, limits, parts->Get(0).first_sequence(),
                                    parts->Get(0).last_sequence(), plan));
    if (plan.members.empty() && !plan.is_adapter_too_old) parts->DeleteSubrange(0, 1);
  }
  if (!plan.members.empty() || plan.is_adapter_too_old) return plan;
  plan.replaces = adapter.row.next_replaces();
  RETURN_IF_ERROR(draft_owed_part(name, adapter, limits, adapter.owed_from,
                                  std::numeric_limits<uint64_t>::max(), plan));
  CHECK(!plan.members.empty() || plan.is_adapter_too_old, "what is owed is in unrouted");
  return plan;
}

Status Staging::draft_owed_part(const std::string& name, const Adapter& adapter,
                                const BatchLimits& limits, uint64_t first, uint64_t last,
                                Draft& plan) const {
  Status status;
  const uint64_t max_bytes = std::min(limits.max_bytes, kWriteMaxBytes);
  const uint64_t from = std::max(first, adapter.owed_from);
  RETURN_IF_ERROR(store_->for_each(Family::kUnrouted, number_key(from), [&](auto key, auto value) {
    const uint64_t sequence = number_of(key);
    if (sequence > last || plan.members.size() >= limits.events_max_count) return false;
    v1::KeptRow row;
    status = parse_row(value, "unrouted", row);
    if (!status.ok()) return false;
    if (!has_name(row.owed_to(), name)) return true;
    const auto event = open_event(row.stored_event());
    status = event.error();
    if (!status.ok()) return false;
    const uint64_t late_bytes = sequence < plan.late_below ? late_mark().size() : 0;
    const uint64_t size = row.stored_event().size() + late_bytes;
    if (plan.body_bytes + size > max_bytes && !plan.members.empty()) return false;
    if (event->envelope.schema_revision() > limits.schema_revision) {
      plan.is_adapter_too_old = plan.members.empty();
      return false;
    }
    plan.members.push_back(sequence);
    plan.body_bytes += size;
    plan.schema_revision = std::max(plan.schema_revision, event->envelope.schema_revision());
    return true;
  }));
  return status;
}

Result<std::vector<std::string>> Staging::load_owed(const v1::SealRow& seal,
                                                    const std::vector<uint64_t>& members) const {
  std::vector<std::string> events;
  events.reserve(members.size());
  for (const uint64_t sequence : members) {
    ASSIGN_OR_RETURN(v1::KeptRow row, load_unrouted(sequence));
    events.push_back(std::move(*row.mutable_stored_event()));
    if (sequence < seal.late_below()) events.back() += late_mark();
  }
  return events;
}

// The adapter has answered, and is waited for no more. What only an optional one has had stays.
Status Staging::settle_row(const std::string& name, uint64_t sequence, v1::KeptRow row,
                           Changes& changes) {
  remove_name(*row.mutable_owed_to(), name);
  if (adapters_.at(name).row.required()) {
    row.add_answered_by(name);
  } else {
    row.add_had_by(name);
  }
  const bool is_answered = row.owed_to().empty() && !row.answered_by().empty();
  if (is_answered) return leave_unrouted(sequence, std::move(row), changes);
  changes.writes.put(Family::kUnrouted, number_key(sequence), row);
  return {};
}

Status Staging::settle_owed(const std::string& name, Adapter& adapter, Changes& changes) {
  const v1::SealRow& seal = adapter.sealed->row;
  v1::AdapterRow& owner = adapter.row;
  for (const uint64_t sequence : members_of(seal)) {
    ASSIGN_OR_RETURN(v1::KeptRow row, load_unrouted(sequence));
    RETURN_IF_ERROR(settle_row(name, sequence, std::move(row), changes));
  }
  owner.set_owed(owner.owed() - seal.event_count());
  owner.set_newest_acked(std::max(seal.late_below(), last_of(seal)));
  if (owner.owed() == 0) owner.clear_owed_plan();
  if (owner.owed_plan().empty()) adapter.owed_from = last_of(seal) + 1;
  return {};
}

// The archive's front has passed it: quarantined for good, unless the adapter was made optional
// while it was under way.
Status Staging::quarantine_owed(const std::string& name, Adapter& adapter, uint64_t batch,
                                const Rejected& rejected, Changes& changes) {
  const uint64_t sequence = rejected.sequence;
  ASSIGN_OR_RETURN(v1::KeptRow row, load_unrouted(sequence));
  v1::QuarantineRow quarantined;
  quarantined.set_batch(batch);
  quarantined.set_reason(rejected.reason);
  quarantined.set_since_unix_ns(options_.clock->unix_now_ns());
  quarantined.set_stored_event(row.stored_event());
  quarantined.set_source_ref(row.source_ref());
  quarantined.set_is_final(adapter.row.required());
  quarantined.set_was_owed(true);
  changes.writes.put(Family::kQuarantine, named_key(name, sequence), quarantined);
  if (quarantined.is_final() && ++final_counts_[sequence] == 1) {
    v1::SourceCounters& counters = sources_.at(row.source_ref());
    counters.set_staged(counters.staged() - 1);
    counters.set_quarantined(counters.quarantined() + 1);
    changes.sources.insert(row.source_ref());
  }
  adapter.row.set_owed(adapter.row.owed() - 1);
  adapter.row.set_quarantined(adapter.row.quarantined() + 1);
  return settle_row(name, sequence, std::move(row), changes);
}

}  // namespace verbatim::processor
