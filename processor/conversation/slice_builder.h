// Cuts a run of events into one slice per conversation, in order of first event. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "processor/conversation/participation_book.h"
#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::processor {

class SliceBuilder {
 public:
  // Takes the events of a batch in order of their sequence.
  void add(uint64_t sequence, const v1::Envelope& envelope);

  struct Draft {
    v1::ConversationSlice slice;  // without rosters
    uint64_t first_sequence = 0;
    uint64_t last_sequence = 0;
  };
  const std::vector<Draft>& drafts() const { return drafts_; }
  std::vector<Draft>& drafts() { return drafts_; }

  // Adds the rosters: who was present just before the first event of each slice, and after its
  // last. Appends the slices to `header`.
  void finish(const ParticipationBook& book, v1::BatchHeader& header) const;

 private:
  std::vector<Draft> drafts_;
  std::map<std::string, size_t> by_key_;
};

}  // namespace verbatim::processor
