// BatchPlan: what a batch shows in its Conversations document, decided in one pass before anything
// is written. Holds numbers, not events, so memory stays small beside the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/sdk/batch.h"
#include "adapters/xml/legacy_fields.h"

namespace verbatim::adapters {

struct ShownEvent {
  size_t index = 0;  // in the batch
  LegacyType type = LegacyType::kChat;
};

struct PlannedConversation {
  v1::ConversationKind kind = v1::CONVERSATION_KIND_UNSPECIFIED;
  std::string key;
  std::string name;
  // In the batch's header; -1 where the header has no slice of that key.
  int slice = -1;
  // In the order of the batch; never empty.
  std::vector<ShownEvent> shown;
  // Earliest and latest time of `shown`.
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = 0;
};

struct BatchPlan {
  // Rooms and direct conversations of which something is shown, in the order of the header.
  std::vector<PlannedConversation> conversations;
  // By index in the batch: what it is shown as, if it is.
  std::vector<std::optional<LegacyType>> shown_as;
  // Events that do not parse; where there are any, nothing may be written.
  std::vector<v1::RejectedEvent> broken;
};

BatchPlan plan_batch(const Batch& batch);

}  // namespace verbatim::adapters
