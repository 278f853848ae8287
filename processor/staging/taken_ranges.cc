#include "processor/staging/taken_ranges.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace verbatim::processor {
namespace {

// `upper` begins where `lower` ends.
void append(v1::PositionException& lower, const v1::PositionException& upper) {
  lower.set_last_lookup_id(upper.last_lookup_id());
  for (const auto& [source, taken] : upper.sources()) {
    v1::TakenOfSource& all = (*lower.mutable_sources())[source];
    all.set_count(all.count() + taken.count());
    if (all.first_source_count() == 0) all.set_first_source_count(taken.first_source_count());
    all.set_largest_source_count(
        std::max(all.largest_source_count(), taken.largest_source_count()));
  }
}

}  // namespace

v1::PositionException as_range(uint64_t lookup_id, v1::PositionException row) {
  if (!row.sources().empty()) return row;
  row.set_last_lookup_id(lookup_id);
  v1::TakenOfSource& taken = (*row.mutable_sources())[row.source_ref()];
  taken.set_count(1);
  taken.set_first_source_count(row.source_count());
  taken.set_largest_source_count(row.source_count());
  row.clear_source_ref();
  row.clear_source_count();
  return row;
}

bool TakenRanges::contains(uint64_t lookup_id) const {
  const auto above = rows_.upper_bound(lookup_id);
  return above != rows_.begin() && std::prev(above)->second.last_lookup_id() >= lookup_id;
}

void TakenRanges::add(uint64_t lookup_id, uint32_t source_ref, uint64_t source_count,
                      std::set<uint64_t>& touched) {
  v1::PositionException message;
  message.set_source_ref(source_ref);
  message.set_source_count(source_count);
  auto range = rows_.emplace(lookup_id, as_range(lookup_id, std::move(message))).first;
  if (join_with_next(range)) touched.insert(lookup_id + 1);
  const auto below = range == rows_.begin() ? rows_.end() : std::prev(range);
  if (below != rows_.end() && join_with_next(below)) range = below;
  touched.insert(range->first);
}

std::optional<v1::PositionException> TakenRanges::take(uint64_t first) {
  auto node = rows_.extract(first);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

const v1::PositionException* TakenRanges::find(uint64_t first) const {
  const auto found = rows_.find(first);
  return found == rows_.end() ? nullptr : &found->second;
}

void TakenRanges::restore(uint64_t first, v1::PositionException row) {
  rows_.emplace_hint(rows_.end(), first, as_range(first, std::move(row)));
}

bool TakenRanges::join_some(size_t max_count, std::set<uint64_t>& touched) {
  size_t count = 0;
  for (auto range = rows_.begin(); range != rows_.end() && count < max_count;) {
    const uint64_t next = range->second.last_lookup_id() + 1;
    if (join_with_next(range)) {
      touched.insert({range->first, next});
      ++count;
    } else {
      ++range;
    }
  }
  return count > 0;
}

// The lower one grows and the upper one goes, if they adjoin.
bool TakenRanges::join_with_next(Rows::iterator lower) {
  const auto upper = std::next(lower);
  if (upper == rows_.end() || upper->first != lower->second.last_lookup_id() + 1) return false;
  append(lower->second, upper->second);
  rows_.erase(upper);
  return true;
}

}  // namespace verbatim::processor
