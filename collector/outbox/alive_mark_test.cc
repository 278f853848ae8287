#include "collector/outbox/alive_mark.h"

#include <gtest/gtest.h>

#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using testing::FaultFileSystem;

v1::AliveMark mark_at(int64_t unix_ns) {
  v1::AliveMark mark;
  mark.set_unix_ns(unix_ns);
  return mark;
}

TEST(AliveMark, TheFirstStartKnowsNothing) {
  FaultFileSystem disk;
  const auto alive = AliveMarkFile::open(disk, "/alive").value();
  EXPECT_FALSE(alive->previous().has_value());
}

TEST(AliveMark, TheNextStartFindsTheLastMark) {
  FaultFileSystem disk;
  auto alive = AliveMarkFile::open(disk, "/alive").value();
  for (int64_t at = 1; at <= 5; ++at) ASSERT_TRUE(alive->write(mark_at(at)).ok());
  alive.reset();
  disk.power_cut_dropping_all();
  alive = AliveMarkFile::open(disk, "/alive").value();
  ASSERT_TRUE(alive->previous().has_value());
  EXPECT_EQ(alive->previous()->unix_ns(), 5);
}

TEST(AliveMark, ATornMarkLeavesTheOneBefore) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    FaultFileSystem disk;
    auto alive = AliveMarkFile::open(disk, "/alive").value();
    ASSERT_TRUE(alive->write(mark_at(1)).ok());
    ASSERT_TRUE(alive->write(mark_at(2)).ok());
    disk.fail({.nth = 1, .error_number = 5, .is_sticky = true, .kinds = {testing::IoKind::kSync}});
    v1::AliveMark large = mark_at(3);
    for (int i = 0; i < 100; ++i) large.add_gaps()->set_source("a source with a long name");
    EXPECT_FALSE(alive->write(large).ok());
    alive.reset();
    disk.clear_faults();
    disk.power_cut(seed);
    alive = AliveMarkFile::open(disk, "/alive").value();
    ASSERT_TRUE(alive->previous().has_value());
    EXPECT_GE(alive->previous()->unix_ns(), 2);
  }
}

TEST(AliveMark, MoreGapsThanFitBecomeOneWiderGapOfEachSource) {
  FaultFileSystem disk;
  auto alive = AliveMarkFile::open(disk, "/alive").value();
  v1::AliveMark mark = mark_at(7);
  for (int i = 0; i < 2'000; ++i) {
    v1::OwedGap& owed = *mark.add_gaps();
    owed.set_source((i % 2 == 0 ? "even" : "odd") + std::string(100, 's'));
    owed.set_protocol("xcp");
    owed.mutable_gap()->set_start_unix_ns(1'000 + i);
    owed.mutable_gap()->set_end_unix_ns(i == 1'998 ? 0 : 5'000 + i);
    owed.mutable_gap()->set_missing_count(i == 1'999 ? -1 : 2);
  }
  ASSERT_TRUE(alive->write(mark).ok());
  alive = AliveMarkFile::open(disk, "/alive").value();
  ASSERT_TRUE(alive->previous().has_value());
  ASSERT_EQ(alive->previous()->gaps_size(), 2);
  const v1::OwedGap& even = alive->previous()->gaps(0);
  EXPECT_EQ(even.source().substr(0, 4), "even");
  EXPECT_EQ(even.protocol(), "xcp");
  EXPECT_EQ(even.gap().start_unix_ns(), 1'000);
  EXPECT_EQ(even.gap().end_unix_ns(), 0);  // one of them is still open
  EXPECT_EQ(even.gap().missing_count(), 2'000);
  const v1::OwedGap& odd = alive->previous()->gaps(1);
  EXPECT_EQ(odd.gap().start_unix_ns(), 1'001);
  EXPECT_EQ(odd.gap().end_unix_ns(), 6'999);
  EXPECT_EQ(odd.gap().missing_count(), -1);
}

TEST(AliveMark, MoreSourcesThanFitAreLeftOut) {
  FaultFileSystem disk;
  auto alive = AliveMarkFile::open(disk, "/alive").value();
  v1::AliveMark mark = mark_at(7);
  for (int i = 0; i < 2'000; ++i) {
    mark.add_gaps()->set_source(std::to_string(i) + std::string(100, 's'));
  }
  ASSERT_TRUE(alive->write(mark).ok());
  alive = AliveMarkFile::open(disk, "/alive").value();
  ASSERT_TRUE(alive->previous().has_value());
  EXPECT_EQ(alive->previous()->unix_ns(), 7);
  EXPECT_GT(alive->previous()->gaps_size(), 100);
}

}  // namespace
}  // namespace verbatim::collector
