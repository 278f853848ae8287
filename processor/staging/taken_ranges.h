// TakenRanges: the lookup ids of one queue that were taken and are no part of its prefix.
//
// A message that never reaches staging (it was dead-lettered, purged or moved) stops the prefix for
// good, and everything that comes later is taken above it. So they are kept as ranges, which only
// such holes part: memory and rows grow with the holes, not with the messages. No two ranges
// adjoin, once join_some() has nothing left to join.
//
// A range is its row of `exceptions` (docs/formats/staging.md). Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "verbatim/v1/staging.pb.h"

namespace verbatim::processor {

// A row as it is since format 5; one from before is of the one lookup id that is its key.
v1::PositionException as_range(uint64_t lookup_id, v1::PositionException row);

class TakenRanges {
 public:
  bool contains(uint64_t lookup_id) const;
  // `lookup_id` must be in no range. Where ranges begin that have changed or gone is added to
  // `touched`.
  void add(uint64_t lookup_id, uint32_t source_ref, uint64_t source_count,
           std::set<uint64_t>& touched);
  // Takes out the range that begins there; nothing if none does.
  std::optional<v1::PositionException> take(uint64_t first);
  // The row of the range that begins there, or null; valid until the next change.
  const v1::PositionException* find(uint64_t first) const;

  // As read from the store, in the order of the keys.
  void restore(uint64_t first, v1::PositionException row);
  // Joins up to `max_count` restored ranges with the ones below them; false if none adjoin.
  bool join_some(size_t max_count, std::set<uint64_t>& touched);

  // By the first lookup id.
  const std::map<uint64_t, v1::PositionException>& rows() const { return rows_; }

 private:
  using Rows = std::map<uint64_t, v1::PositionException>;
  bool join_with_next(Rows::iterator lower);
  Rows rows_;
};

}  // namespace verbatim::processor
