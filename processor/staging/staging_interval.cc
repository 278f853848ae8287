// Run intervals: what one of them has for an adapter, and which part of a slice a batch holds.
#include <algorithm>

#include "processor/conversation/run_interval.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Collects the members of the interval that the first of them belongs to.
class Survey {
 public:
  Survey(int64_t length_ns, int64_t floor_unix_ns)
      : length_ns_(length_ns), start_unix_ns_(floor_unix_ns) {}

  // False when the event belongs to another interval.
  bool take(uint64_t sequence, const EventIndex& index) {
    const int64_t start = next_interval_start(start_unix_ns_, index.staged_unix_ns, length_ns_);
    if (!members.empty() && start != start_unix_ns_) return false;
    start_unix_ns_ = start;
    if (!members.empty()) gap = std::max(gap, sequence - members.back());
    members.push_back(sequence);
    passed_through = sequence;
    bytes += index.size;
    schema_revision = std::max(schema_revision, index.schema_revision);
    return true;
  }
  int64_t start_unix_ns() const { return start_unix_ns_; }

  std::vector<uint64_t> members;
  uint64_t passed_through = 0;
  uint64_t gap = 0;
  uint64_t bytes = 0;
  int32_t schema_revision = 0;

 private:
  const int64_t length_ns_;
  int64_t start_unix_ns_;
};

Status note_conversation_of(std::string_view bytes,
                            std::unordered_map<std::string, uint64_t>& last_of_conversation) {
  v1::Envelope envelope;
  ASSIGN_OR_RETURN(const uint64_t sequence, read_envelope(bytes, envelope));
  last_of_conversation[envelope.conversation_key()] = sequence;
  return {};
}

}  // namespace

bool Staging::is_planned(const Adapter& adapter, const BatchLimits& limits) {
  if (!adapter.interval || adapter.interval->length_ns != limits.run_interval.count()) return false;
  return !adapter.interval->is_one_batch && adapter.row.cursor() < adapter.interval->last_member;
}

// Looks through the whole interval once, without the mutex: events that the adapter has not passed
// never change. An interval that fits into one batch is looked through again for each seal, but
// only its index rows.
Status Staging::plan_interval(const std::string& name, const BatchLimits& limits) {
  v1::AdapterRow row;
  std::set<uint64_t> quarantined;
  uint64_t last = 0;
  int64_t floor_unix_ns = 0;
  {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(fatal_);
    ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(name));
    if (adapter->sealed || is_planned(*adapter, limits)) return {};
    row = adapter->row;
    quarantined = adapter->quarantined_ahead;
    last = state_.last_sequence();
    floor_unix_ns = interval_floor(adapter->last_acked);
  }
  Survey survey(limits.run_interval.count(), floor_unix_ns);
  Status decoded;
  RETURN_IF_ERROR(
      store_->for_each(Family::kIndex, number_key(row.cursor() + 1), [&](auto key, auto value) {
        const uint64_t sequence = number_of(key);
        if (sequence > last) return false;
        if (quarantined.contains(sequence)) return true;
        const auto index = decode_index(value);
        decoded = index.error();
        if (!decoded.ok()) return false;
        if (!is_left_out(row, sequence, *index)) return survey.take(sequence, *index);
        survey.passed_through = sequence;
        return true;
      }));
  RETURN_IF_ERROR(decoded);
  if (survey.members.empty()) return {};
  IntervalPlan plan;
  plan.length_ns = limits.run_interval.count();
  plan.start_unix_ns = survey.start_unix_ns();
  plan.last_member = survey.members.back();
  plan.passed_through = survey.passed_through;
  plan.is_one_batch = row.plan_size() == 0 && survey.gap <= kGapMaxCount &&
                      survey.members.size() <= limits.events_max_count &&
                      survey.bytes <= limits.max_bytes &&
                      survey.schema_revision <= limits.schema_revision;
  if (!plan.is_one_batch) {
    const Status visited = visit_events(survey.members, [&](auto bytes) {
      return note_conversation_of(bytes, plan.last_of_conversation);
    });
    if (visited.code() == StatusCode::kNotFound) return aborted(visited.message());
    RETURN_IF_ERROR(visited);
  }
  base::MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  if (adapter->sealed || adapter->row.cursor() != row.cursor()) {
    return aborted("the adapter has moved meanwhile adapter=" + name);
  }
  adapter->interval = std::move(plan);
  return {};
}

void Staging::number_parts(const Adapter& adapter, const SliceBuilder& slices, Draft& draft,
                           v1::BatchHeader& header) const {
  const v1::SealRow& before = adapter.last_acked;
  const bool is_of_interval = draft.interval_end_unix_ns != 0;
  const bool goes_on = !before.is_interval_complete() &&
                       before.interval_start_unix_ns() == draft.interval_start_unix_ns;
  draft.open_parts.clear();
  if (goes_on || !is_of_interval) {
    draft.open_parts.insert(before.open_parts().begin(), before.open_parts().end());
  }
  for (int i = 0; i < header.slices_size(); ++i) {
    v1::ConversationSlice& slice = *header.mutable_slices(i);
    slice.set_part(1);
    slice.set_is_first(true);
    slice.set_is_last(true);
    if (!is_of_interval) continue;
    uint32_t& parts = draft.open_parts[slice.conversation_key()];
    slice.set_is_first(parts == 0);
    slice.set_part(++parts);
    if (draft.is_interval_complete) continue;
    const auto& last_of = adapter.interval->last_of_conversation;
    const auto last = last_of.find(slice.conversation_key());
    const uint64_t last_here = slices.drafts()[static_cast<size_t>(i)].last_sequence;
    slice.set_is_last(last != last_of.end() && last->second <= last_here);
    if (slice.is_last()) draft.open_parts.erase(slice.conversation_key());
  }
  if (draft.is_interval_complete) draft.open_parts.clear();
}

}  // namespace verbatim::processor
