#include "processor/staging/taken_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/test_seed.h"

namespace verbatim::processor {
namespace {

v1::PositionException old_row(uint32_t source, uint64_t source_count) {
  v1::PositionException row;
  row.set_source_ref(source);
  row.set_source_count(source_count);
  return row;
}

// What the store would have after each change was written.
class TakenRangesTest : public ::testing::Test {
 protected:
  void add(uint64_t lookup_id, uint32_t source = 1, uint64_t source_count = 0) {
    ranges_.add(lookup_id, source, source_count == 0 ? lookup_id : source_count, touched_);
  }
  void write() {
    for (const uint64_t first : touched_) {
      if (const auto* row = ranges_.find(first)) {
        stored_[first] = row->SerializeAsString();
      } else {
        stored_.erase(first);
      }
    }
    touched_.clear();
  }
  // The first and the last lookup id of each.
  std::vector<std::pair<uint64_t, uint64_t>> bounds() const {
    std::vector<std::pair<uint64_t, uint64_t>> bounds;
    for (const auto& [first, row] : ranges_.rows()) {
      bounds.emplace_back(first, row.last_lookup_id());
    }
    return bounds;
  }
  using Bounds = std::vector<std::pair<uint64_t, uint64_t>>;
  TakenRanges ranges_;
  std::set<uint64_t> touched_;
  std::map<uint64_t, std::string> stored_;
};

TEST_F(TakenRangesTest, OnlyHolesPartThem) {
  for (const uint64_t lookup_id : {7U, 5U, 6U, 10U, 3U, 8U, 11U}) add(lookup_id);
  EXPECT_EQ(bounds(), (Bounds{{3, 3}, {5, 8}, {10, 11}}));
  add(9);
  EXPECT_EQ(bounds(), (Bounds{{3, 3}, {5, 11}}));
  EXPECT_FALSE(ranges_.contains(4));
  EXPECT_FALSE(ranges_.take(4));
  EXPECT_EQ(ranges_.take(5)->last_lookup_id(), 11U);
  EXPECT_EQ(bounds(), (Bounds{{3, 3}}));
}

TEST_F(TakenRangesTest, ARangeKnowsOfEachSourceWhatThePrefixWillNeed) {
  add(7, /*source=*/1, /*source_count=*/4);
  add(5, 1, 3);
  add(6, 2, 9);
  add(8, 2, 10);
  const auto range = ranges_.take(5);
  ASSERT_TRUE(range);
  EXPECT_EQ(range->sources().at(1).count(), 2U);
  EXPECT_EQ(range->sources().at(1).first_source_count(), 3U);
  EXPECT_EQ(range->sources().at(1).largest_source_count(), 4U);
  EXPECT_EQ(range->sources().at(2).first_source_count(), 9U);
  EXPECT_EQ(range->sources().at(2).largest_source_count(), 10U);
}

TEST_F(TakenRangesTest, WhatWasTouchedIsEnoughToWriteThemDown) {
  std::mt19937_64 random(testing::test_seed());
  std::vector<uint64_t> lookup_ids(300);
  for (size_t i = 0; i < lookup_ids.size(); ++i) lookup_ids[i] = i + 1;
  std::shuffle(lookup_ids.begin(), lookup_ids.end(), random);
  std::set<uint64_t> taken;
  for (const uint64_t lookup_id : lookup_ids) {
    add(lookup_id, 1 + static_cast<uint32_t>(lookup_id % 3));
    taken.insert(lookup_id);
    if (random() % 4 != 0) continue;
    write();
    TakenRanges read;
    for (const auto& [first, bytes] : stored_) {
      v1::PositionException row;
      ASSERT_TRUE(row.ParseFromString(bytes));
      uint64_t count = 0;
      for (const auto& [source, of_source] : row.sources()) count += of_source.count();
      EXPECT_EQ(count, row.last_lookup_id() - first + 1);
      read.restore(first, std::move(row));
    }
    ASSERT_EQ(read.rows().size(), ranges_.rows().size());
    EXPECT_FALSE(read.join_some(1'000, touched_)) << "ranges never adjoin";
    for (uint64_t one = 0; one <= lookup_ids.size() + 1; ++one) {
      ASSERT_EQ(read.contains(one), taken.contains(one)) << one;
      ASSERT_EQ(ranges_.contains(one), taken.contains(one)) << one;
    }
  }
  write();
  EXPECT_EQ(stored_.size(), 1U);
}

TEST_F(TakenRangesTest, RowsOfOneLookupIdAreJoinedInPieces) {
  for (uint64_t lookup_id = 2; lookup_id <= 21; ++lookup_id) {
    if (lookup_id == 12) continue;
    stored_[lookup_id] = old_row(1, lookup_id + 100).SerializeAsString();
    ranges_.restore(lookup_id, old_row(1, lookup_id + 100));
  }
  int pieces = 0;
  while (ranges_.join_some(4, touched_)) {
    ++pieces;
    write();
  }
  EXPECT_EQ(pieces, 5);
  EXPECT_EQ(bounds(), (Bounds{{2, 11}, {13, 21}}));
  EXPECT_EQ(stored_.size(), 2U);
  const v1::TakenOfSource& taken = ranges_.find(2)->sources().at(1);
  EXPECT_EQ(taken.count(), 10U);
  EXPECT_EQ(taken.first_source_count(), 102U);
  EXPECT_EQ(taken.largest_source_count(), 111U);
}

}  // namespace
}  // namespace verbatim::processor
