#include "processor/conversation/slice_builder.h"

#include "base/check.h"

namespace verbatim::processor {

void SliceBuilder::add(uint64_t sequence, const v1::Envelope& envelope) {
  const auto [found, is_new] = by_key_.try_emplace(envelope.conversation_key(), drafts_.size());
  if (is_new) {
    Draft& draft = drafts_.emplace_back();
    draft.first_sequence = sequence;
    draft.slice.set_conversation_key(envelope.conversation_key());
    draft.slice.set_conversation_kind(envelope.conversation_kind());
    draft.slice.set_address(envelope.conversation_key());
  }
  Draft& draft = drafts_[found->second];
  CHECK(sequence > draft.last_sequence, "the events of a batch come in order");
  draft.last_sequence = sequence;
  draft.slice.set_event_count(draft.slice.event_count() + 1);
  if (!envelope.conversation_name().empty()) draft.slice.set_name(envelope.conversation_name());
}

void SliceBuilder::finish(const ParticipationBook& book, v1::BatchHeader& header) const {
  for (const Draft& draft : drafts_) {
    v1::ConversationSlice& slice = *header.add_slices();
    slice = draft.slice;
    const std::string& key = slice.conversation_key();
    for (auto& one : book.present_at(key, draft.first_sequence - 1)) {
      *slice.add_present_at_start() = std::move(one);
    }
    for (auto& one : book.present_at(key, draft.last_sequence)) {
      *slice.add_present_at_end() = std::move(one);
    }
  }
}

}  // namespace verbatim::processor
