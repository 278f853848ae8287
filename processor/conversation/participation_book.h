// Who is, and was, present in each conversation, as intervals of staging's sequence.
//
// I1 Per conversation, address and session at most one interval is open. A join of someone present
//    changes nothing; a leave of someone absent changes nothing.
// I2 Only an act that happened moves anyone: see moves_participation().
// I3 An interval is kept until purge() has been told that everybody has passed its leave, so the
//    roster at every position that someone may still ask for can be read.
//
// Joins and leaves cost the logarithm of a room's intervals; a roster costs all of them.
//
// Nothing is on disk here: staging stores the rows that apply() names, in the batch of the event.
// Threads: none of its own; the owner serialises.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/staging.pb.h"

namespace verbatim::processor {

// True for a join, a leave or the end of a room that took place: not neutral, not evidence, and
// confirmed or told; an attempt counts if no verdict stopped it (the profile in force may have no
// confirming event). `event` is looked at for attempts only: the envelope has no verdicts.
bool moves_participation(const v1::Envelope& envelope, std::string_view event);

class ParticipationBook {
 public:
  // One row: the conversation's key and the sequence of the join name it.
  struct Row {
    std::string conversation;
    uint64_t joined_sequence = 0;
    v1::ParticipationRow value;
  };

  // Takes an event for which moves_participation() holds; gives the rows it has made or changed.
  std::vector<Row> apply(const v1::Envelope& envelope, uint64_t sequence);

  // Takes a stored row back in at the opening of the store; rows come in key order.
  void restore(const std::string& conversation, const v1::ParticipationRow& row);

  // Who was present after event `position`, in order of joining.
  std::vector<v1::Participation> present_at(const std::string& conversation,
                                            uint64_t position) const;

  // Forgets intervals whose leave lies at or below `position`; gives what names their rows.
  std::vector<std::pair<std::string, uint64_t>> purge(uint64_t position);

  size_t interval_count() const;

 private:
  // Large rooms have many: kept serialised.
  struct Interval {
    uint64_t left_sequence = 0;
    std::string participation;
  };
  struct Room {
    // By the sequence of the join.
    std::map<uint64_t, Interval> intervals;
    // Address to joins without a leave.
    std::unordered_map<std::string, std::vector<uint64_t>> open;
  };

  std::vector<Row> join(const v1::Envelope& envelope, uint64_t sequence);
  std::vector<Row> leave(const v1::Envelope& envelope, uint64_t sequence);
  std::vector<Row> close_room(const v1::Envelope& envelope, uint64_t sequence);
  Row close(const std::string& conversation, const v1::Envelope& envelope, uint64_t sequence,
            uint64_t joined, Interval& interval);

  std::map<std::string, Room> conversations_;
  // Leave sequence to conversation and join sequence.
  std::multimap<uint64_t, std::pair<std::string, uint64_t>> closed_;
};

}  // namespace verbatim::processor
