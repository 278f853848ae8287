// Sealing: which events, which bytes, which digest; and reading a sealed batch again.
#include <algorithm>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Parses the envelopes of a batch's events into slices; gives the digest of its body. Both in one
// pass: the bytes of a large batch come from memory each time that they are looked at.
Result<std::string> slice_events(const std::vector<std::string>& events, SliceBuilder& slices) {
  BodyDigest body;
  v1::Envelope envelope;
  for (const std::string& bytes : events) {
    ASSIGN_OR_RETURN(const uint64_t sequence, read_envelope(bytes, envelope));
    slices.add(sequence, envelope);
    body.add(bytes);
  }
  return body.finish();
}

}  // namespace

Result<Pending> Staging::pending(const std::string& name) const {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
  Pending pending;
  pending.sealed = adapter->sealed;
  pending.is_paused = adapter->row.is_paused();
  pending.has_plan = adapter->row.plan_size() > 0;
  pending.has_owed = adapter->row.owed() > 0 && !pending.has_plan;
  pending.has_released = next_released(*adapter) != 0;
  pending.has_replay = adapter->row.has_replay();
  const bool is_ahead = adapter->sealed && !is_behind_cursor(adapter->sealed->row);
  uint64_t position = adapter->row.cursor();
  LeftOut left_out{adapter->row.filtered_ahead(), adapter->row.filtered_ahead_bytes()};
  if (is_ahead) {
    const v1::SealRow& seal = adapter->sealed->row;
    position = std::max(last_of(seal), seal.passed_through());
    left_out.count -= seal.filtered_count();
    left_out.bytes -= seal.filtered_bytes();
  }
  const auto& ahead = adapter->quarantined_ahead;
  ASSIGN_OR_RETURN(const uint64_t first, first_pending(*adapter, position));
  if (first == 0) return pending;
  const auto quarantined = std::distance(ahead.upper_bound(position), ahead.end());
  pending.event_count =
      state_.last_sequence() - position - static_cast<uint64_t>(quarantined) - left_out.count;
  ASSIGN_OR_RETURN(const EventIndex index, index_of(first));
  pending.first_sequence = first;
  pending.first_staged_unix_ns = index.staged_unix_ns;
  pending.last_staged_unix_ns = last_staged_unix_ns_;
  pending.interval_floor_unix_ns = interval_floor(adapter->last_acked);
  const uint64_t all_bytes = state_.total_bytes() - (index.total_bytes - index.size);
  pending.bytes = all_bytes - std::min(all_bytes, left_out.bytes);
  return pending;
}

// A header grows with the rosters of its conversations, whatever the bodies' size, so only a built
// one tells. Each round seals at most half of what was too much, down to a single event.
Result<SealOutcome> Staging::seal(const std::string& name, const BatchLimits& limits) {
  BatchLimits bounded = limits;
  while (true) {
    // A plan is kept until its last member is given, so none is made of an interval that is open.
    if (limits.run_interval.count() > 0 && !limits.is_replay && !limits.is_behind_only) {
      RETURN_IF_ERROR(plan_interval(name, bounded));
      FAULT_POINT("processor.interval_planned_before_seal");
    }
    uint64_t too_many_count = 0;
    ASSIGN_OR_RETURN(SealOutcome outcome, seal_once(name, bounded, too_many_count));
    if (too_many_count == 0) return outcome;
    bounded.events_max_count = too_many_count / 2;
  }
}

Result<SealOutcome> Staging::seal_once(const std::string& name, const BatchLimits& limits,
                                       uint64_t& too_many_count) {
  Draft plan;
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
    if (adapter->sealed) {
      return failed_precondition("a batch is under way adapter=" + name +
                                 " batch=" + std::to_string(adapter->sealed->batch));
    }
    if (!limits.is_replay && adapter->row.owed() > 0 && adapter->row.plan_size() == 0) {
      ASSIGN_OR_RETURN(plan, draft_owed(name, *adapter, limits));
    }
    const bool is_owed = !plan.members.empty() || plan.is_adapter_too_old;
    const uint64_t released = limits.is_replay || is_owed ? 0 : next_released(*adapter);
    if (released != 0) {
      ASSIGN_OR_RETURN(plan, draft_release(name, *adapter, released));
    }
    if (limits.is_replay) {
      ASSIGN_OR_RETURN(plan, draft_replay(*adapter, limits));
      if (plan.members.empty() && !plan.is_adapter_too_old) {
        RETURN_IF_ERROR(pass_empty_part(name));
        return SealOutcome();
      }
    }
    // An older instance of the adapter may not understand what a newer one has rejected.
    const bool is_other = plan.members.empty() || plan.schema_revision > limits.schema_revision;
    if (is_other && !limits.is_replay && !is_owed) {
      const bool is_too_new = !plan.members.empty();
      plan = Draft();
      plan.is_adapter_too_old = is_too_new && limits.is_behind_only;
      if (!limits.is_behind_only) {
        ASSIGN_OR_RETURN(plan, draft(*adapter, limits));
      }
    }
  }
  SealOutcome outcome;
  outcome.is_adapter_too_old = plan.is_adapter_too_old;
  if (plan.members.empty()) return outcome;
  // Stored events never change, so their bytes are read without the mutex. They may go, though.
  v1::SealRow place;
  place.set_is_replay(plan.is_replay);
  place.set_is_release(plan.is_release);
  place.set_is_owed(plan.is_owed);
  place.set_late_below(plan.late_below);
  auto read = load_bodies(name, place, plan.members);
  if (read.error().code() == StatusCode::kNotFound) return aborted(read.error().message());
  ASSIGN_OR_RETURN(auto events, std::move(read));
  SliceBuilder slices;
  ASSIGN_OR_RETURN(plan.body_digest, slice_events(events, slices));
  RETURN_IF_ERROR(name_slices(slices));
  FAULT_POINT("processor.bodies_read_before_seal");

  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
  const bool is_replay_ended = plan.is_replay && !adapter->row.has_replay();
  if (adapter->sealed || adapter->row.cursor() != plan.cursor || is_replay_ended) {
    return aborted("the adapter has moved meanwhile adapter=" + name);
  }
  // Only what is sealed keeps the copies that a released hold leaves.
  if (plan.is_replay && plan.replay_loss_count != replay_loss_count_) {
    return aborted("what the replay would give has gone meanwhile adapter=" + name);
  }
  if (plan.interval_end_unix_ns != 0 && !adapter->interval) {
    return aborted("the run interval is to be planned again adapter=" + name);
  }
  std::string header = make_header(name, *adapter, plan, slices);
  if (header.size() > limits.header_max_bytes && plan.members.size() > 1) {
    LOG_INFO("a batch is halved, its header is too large adapter={} event_count={} header_bytes={}",
             name, plan.members.size(), header.size());
    too_many_count = plan.members.size();
    return outcome;
  }
  ASSIGN_OR_RETURN(outcome.batch, seal_draft(name, plan, std::move(header), std::move(events)));
  return outcome;
}

Result<Staging::Draft> Staging::draft(const Adapter& adapter, const BatchLimits& limits) const {
  Draft plan;
  plan.cursor = adapter.row.cursor();
  plan.reason = limits.reason;
  plan.replaces = adapter.row.next_replaces();
  uint64_t last = state_.last_sequence();
  if (adapter.row.plan_size() > 0) {
    last = std::min(last, adapter.row.plan(0).last_sequence());
    plan.replaces = adapter.row.plan(0).replaces();
    plan.reason = "replacement";
  }
  if (limits.run_interval.count() > 0 && adapter.interval) {
    last = std::min(last, adapter.interval->passed_through);
  }
  Status decoded;
  RETURN_IF_ERROR(store_->for_each(
      Family::kIndex, number_key(plan.cursor + 1), [&](auto key, auto value) REQUIRES(mutex_) {
        const uint64_t sequence = number_of(key);
        if (sequence > last || plan.members.size() >= limits.events_max_count) return false;
        if (!plan.members.empty() && sequence - plan.members.back() > kGapMaxCount) return false;
        if (adapter.quarantined_ahead.contains(sequence)) return true;
        const auto index = decode_index(value);
        if (!index) {
          decoded = index.error();
          return false;
        }
        if (is_left_out(adapter.row, sequence, *index)) {
          ++plan.left_out.count;
          plan.left_out.bytes += index->size;
          plan.passed_through = sequence;
          return true;
        }
        const bool is_too_much = plan.body_bytes + index->size > limits.max_bytes;
        if (is_too_much && !plan.members.empty()) return false;
        if (index->schema_revision > limits.schema_revision) {
          plan.is_adapter_too_old = plan.members.empty();
          return false;
        }
        plan.members.push_back(sequence);
        plan.passed_through = sequence;
        plan.body_bytes += index->size;
        plan.schema_revision = std::max(plan.schema_revision, index->schema_revision);
        return true;
      }));
  RETURN_IF_ERROR(decoded);
  if (limits.run_interval.count() > 0 && adapter.interval && !plan.members.empty()) {
    plan.interval_start_unix_ns = adapter.interval->start_unix_ns;
    plan.interval_end_unix_ns = adapter.interval->start_unix_ns + adapter.interval->length_ns;
    plan.is_interval_complete = plan.members.back() >= adapter.interval->last_member;
  }
  return plan;
}

Result<std::vector<std::string>> Staging::load_events(const std::vector<uint64_t>& members) const {
  std::vector<std::string> events;
  events.reserve(members.size());
  RETURN_IF_ERROR(visit_events(members, [&](auto value) {
    events.emplace_back(value);
    return Status();
  }));
  return events;
}

Status Staging::visit_events(const std::vector<uint64_t>& members, const TakeEvent& take) const {
  auto next = members.begin();
  Status taken;
  // What lies between is cheaper to pass over than to look up anew, up to a point.
  constexpr uint64_t kStepMaxCount = 32;
  bool is_far = false;
  const auto visit = [&](std::string_view key, std::string_view value) {
    const uint64_t sequence = number_of(key);
    if (sequence > *next) return false;  // a member is missing
    if (sequence == *next) {
      taken = take(value);
      if (!taken.ok()) return false;
      ++next;
    }
    is_far = next != members.end() && *next - sequence > kStepMaxCount;
    return next != members.end() && !is_far;
  };
  if (members.empty()) return {};
  do {
    is_far = false;
    RETURN_IF_ERROR(store_->for_each(Family::kEvents, number_key(*next), visit));
  } while (is_far);
  RETURN_IF_ERROR(taken);
  if (next != members.end()) {
    return not_found("staging: an event is missing sequence=" + std::to_string(*next));
  }
  return {};
}

Status Staging::name_slices(SliceBuilder& slices) const {
  for (auto& one : slices.drafts()) {
    if (!one.slice.name().empty()) continue;
    v1::ConversationRow row;
    ASSIGN_OR_RETURN(const bool is_known,
                     store_->load(Family::kConversations, one.slice.conversation_key(), row));
    if (is_known) one.slice.set_name(row.name());
  }
  return {};
}

std::string Staging::make_header(const std::string& name, const Adapter& adapter, Draft& plan,
                                 const SliceBuilder& slices) const {
  v1::BatchHeader header;
  header.set_adapter(name);
  header.set_batch(adapter.row.last_sealed_batch() + 1);
  header.set_previous_digest(adapter.row.last_acked_digest());
  header.set_event_count(plan.members.size());
  header.set_running_event_count(adapter.row.acknowledged() + adapter.row.replayed() +
                                 plan.members.size());
  header.set_first_sequence(plan.members.front());
  header.set_last_sequence(plan.members.back());
  header.set_sealed_unix_ns(options_.clock->unix_now_ns());
  header.set_replaces(plan.replaces);
  header.set_reason(plan.reason);
  if (plan.is_replay) header.set_replay_of(adapter.row.replay().replay_of());
  header.set_interval_start_unix_ns(plan.interval_start_unix_ns);
  header.set_interval_end_unix_ns(plan.interval_end_unix_ns);
  slices.finish(book_, header);
  number_parts(adapter, slices, plan, header);
  return header.SerializeAsString();
}

Result<std::shared_ptr<const LoadedBatch>> Staging::seal_draft(const std::string& name,
                                                               const Draft& plan,
                                                               std::string header,
                                                               std::vector<std::string> events) {
  Adapter& adapter = adapters_.at(name);
  const uint64_t batch = adapter.row.last_sealed_batch() + 1;
  auto loaded = std::make_shared<LoadedBatch>();
  loaded->seal.batch = batch;
  v1::SealRow& row = loaded->seal.row;
  row.set_header(std::move(header));
  row.set_digest(batch_digest(row.header(), plan.body_digest));
  for (const uint64_t bound : to_ranges(plan.members)) row.add_member_ranges(bound);
  row.set_event_count(plan.members.size());
  row.set_body_bytes(plan.body_bytes);
  row.set_schema_revision(plan.schema_revision);
  row.set_is_release(plan.is_release);
  row.set_is_replay(plan.is_replay);
  row.set_is_owed(plan.is_owed);
  row.set_late_below(plan.late_below);
  if (!is_behind_cursor(row)) {
    row.set_passed_through(plan.passed_through);
    row.set_filtered_count(plan.left_out.count);
    row.set_filtered_bytes(plan.left_out.bytes);
  }
  const v1::SealRow& before = adapter.last_acked;
  const bool is_of_interval = plan.interval_end_unix_ns != 0;
  row.set_interval_start_unix_ns(is_of_interval ? plan.interval_start_unix_ns
                                                : before.interval_start_unix_ns());
  row.set_interval_end_unix_ns(is_of_interval ? plan.interval_end_unix_ns
                                              : before.interval_end_unix_ns());
  row.set_is_interval_complete(is_of_interval ? plan.is_interval_complete
                                              : before.is_interval_complete());
  row.mutable_open_parts()->insert(plan.open_parts.begin(), plan.open_parts.end());
  loaded->events = std::move(events);

  Changes changes(*store_);
  adapter.row.set_last_sealed_batch(batch);
  adapter.row.clear_next_replaces();
  adapter.sealed = loaded->seal;
  changes.adapters.insert(name);
  changes.writes.put(Family::kSeals, named_key(name, batch), row);
  if (Status status = commit(changes, /*is_synced=*/true); !status.ok()) return spoil(status);
  return std::shared_ptr<const LoadedBatch>(std::move(loaded));
}

Result<std::shared_ptr<const LoadedBatch>> Staging::load_sealed(const std::string& name) const {
  auto loaded = std::make_shared<LoadedBatch>();
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
    if (!adapter->sealed) return not_found("no batch is under way adapter=" + name);
    loaded->seal = *adapter->sealed;
  }
  const std::vector<uint64_t> members = members_of(loaded->seal.row);
  auto events = load_bodies(name, loaded->seal.row, members);
  if (events.error().code() == StatusCode::kNotFound) {
    base::MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
    const bool is_overtaken = !adapter->sealed || adapter->sealed->batch != loaded->seal.batch;
    return is_overtaken ? aborted("the batch was overtaken by deletion adapter=" + name)
                        : data_loss(events.error().message() + " adapter=" + name);
  }
  ASSIGN_OR_RETURN(loaded->events, std::move(events));
  const std::string digest = batch_digest(loaded->seal.row.header(), body_digest(loaded->events));
  if (digest != loaded->seal.row.digest()) {
    return data_loss("a sealed batch no longer has its digest adapter=" + name +
                     " batch=" + std::to_string(loaded->seal.batch));
  }
  return std::shared_ptr<const LoadedBatch>(std::move(loaded));
}

}  // namespace verbatim::processor
