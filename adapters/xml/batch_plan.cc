#include "adapters/xml/batch_plan.h"

#include <algorithm>
#include <map>
#include <utility>

namespace verbatim::adapters {
namespace {

bool is_shown_kind(v1::ConversationKind kind) {
  return kind == v1::CONVERSATION_KIND_ROOM || kind == v1::CONVERSATION_KIND_DIRECT;
}

// The conversations by key, the header's first, in its order.
class Planner {
 public:
  explicit Planner(const Batch& batch) {
    for (int i = 0; i < batch.header().slices_size(); ++i) {
      const v1::ConversationSlice& slice = batch.header().slices(i);
      PlannedConversation& planned = find(slice.conversation_key());
      planned.kind = slice.conversation_kind();
      planned.name = slice.name();
      planned.slice = i;
    }
  }

  std::optional<LegacyType> add(size_t index, const BatchEvent& event) {
    PlannedConversation& planned = find(event.envelope.conversation_key());
    if (planned.kind == v1::CONVERSATION_KIND_UNSPECIFIED) {
      planned.kind = event.envelope.conversation_kind();
      planned.name = event.envelope.conversation_name();
    }
    const auto type = legacy_type(event.envelope, event.event);
    if (!type || !is_shown_kind(planned.kind)) return std::nullopt;
    const int64_t time = legacy_time_unix_ns(event.event);
    if (planned.shown.empty()) planned.start_unix_ns = planned.end_unix_ns = time;
    planned.start_unix_ns = std::min(planned.start_unix_ns, time);
    planned.end_unix_ns = std::max(planned.end_unix_ns, time);
    planned.shown.push_back({index, *type});
    return type;
  }

  std::vector<PlannedConversation> take() {
    std::erase_if(all_, [](const PlannedConversation& c) { return c.shown.empty(); });
    return std::move(all_);
  }

 private:
  PlannedConversation& find(const std::string& key) {
    const auto [place, is_new] = by_key_.try_emplace(key, all_.size());
    if (is_new) all_.emplace_back().key = key;
    return all_[place->second];
  }

  std::map<std::string, size_t> by_key_;
  std::vector<PlannedConversation> all_;
};

v1::RejectedEvent broken_event(const Batch& batch, size_t index) {
  v1::RejectedEvent broken;
  v1::StoredEvent stored;
  if (stored.ParseFromString(batch.event_bytes(index))) broken.set_sequence(stored.sequence());
  broken.set_reason("the event does not parse");
  return broken;
}

}  // namespace

BatchPlan plan_batch(const Batch& batch) {
  BatchPlan plan;
  Planner planner(batch);
  BatchEvent event;
  for (size_t i = 0; i < batch.event_count(); ++i) {
    const bool is_whole = batch.read_event(i, event).ok();
    plan.shown_as.push_back(is_whole ? planner.add(i, event) : std::nullopt);
    if (!is_whole) plan.broken.push_back(broken_event(batch, i));
  }
  plan.conversations = planner.take();
  return plan;
}

}  // namespace verbatim::adapters
