#include "collector/broker/outage_tracker.h"

#include <gtest/gtest.h>

namespace verbatim::collector {
namespace {

TEST(OutageTracker, AnOutageLastsFromTheFirstFailureToTheFirstSuccess) {
  OutageTracker tracker;
  EXPECT_TRUE(tracker.note_success(5).empty());
  tracker.note_failure("a", "xcp", 12);
  tracker.note_failure("a", "xcp", 10);  // taken in earlier, answered later
  tracker.note_failure("b", "xcp", 20);
  const auto ended = tracker.note_success(30);
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].source_name, "a");
  EXPECT_EQ(ended[0].gap.start_unix_ns(), 10);
  EXPECT_EQ(ended[0].gap.end_unix_ns(), 30);
  EXPECT_EQ(ended[0].gap.missing_count(), 2);
  EXPECT_EQ(ended[1].gap.missing_count(), 1);
  EXPECT_TRUE(tracker.note_success(40).empty());
}

TEST(OutageTracker, AClockThatGoesBackMakesNoNegativeGap) {
  OutageTracker tracker;
  tracker.note_failure("a", "xcp", 100);
  EXPECT_EQ(tracker.note_success(50)[0].gap.end_unix_ns(), 100);
}

TEST(OutageTracker, WhatIsOpenOrOwedIsInTheSnapshot) {
  OutageTracker tracker;
  tracker.note_failure("open", "xcp", 1);
  GapReport owed{"owed", "grpc", {}};
  owed.gap.set_end_unix_ns(9);
  tracker.owe(owed);
  const auto gaps = tracker.snapshot();
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_EQ(gaps[0].source(), "open");
  EXPECT_EQ(gaps[0].gap().end_unix_ns(), 0);
  EXPECT_EQ(gaps[1].source(), "owed");
  EXPECT_EQ(tracker.take_owed().size(), 1u);
  EXPECT_EQ(tracker.snapshot().size(), 1u);
}

TEST(OutageTracker, MoreOwedGapsThanItKeepsAreJoined) {
  OutageTracker tracker;
  for (int i = 0; i < 2'000; ++i) {
    GapReport report{"a", "xcp", {}};
    report.gap.set_start_unix_ns(i);
    report.gap.set_end_unix_ns(i + 1);
    report.gap.set_missing_count(1);
    tracker.owe(report);
  }
  int64_t missing = 0;
  int64_t last = 0;
  const auto taken = tracker.take_owed();
  for (const auto& report : taken) {
    missing += report.gap.missing_count();
    last = std::max(last, report.gap.end_unix_ns());
  }
  EXPECT_LE(taken.size(), 1'024u);
  EXPECT_EQ(missing, 2'000);
  EXPECT_EQ(last, 2'000);
}

TEST(OutageTracker, AnotherSourceFindsRoomBecauseGapsOfOneAreJoined) {
  OutageTracker tracker;
  for (int i = 0; i < 1'024; ++i) {
    GapReport report{i == 0 ? "first" : "many", "xcp", {}};
    report.gap.set_start_unix_ns(i + 1);
    report.gap.set_end_unix_ns(i + 2);
    report.gap.set_missing_count(1);
    tracker.owe(report);
  }
  tracker.owe({"last", "xcp", {}});
  const auto taken = tracker.take_owed();
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_EQ(taken[0].source_name, "first");
  EXPECT_EQ(taken[0].gap.missing_count(), 1);
  EXPECT_EQ(taken[1].source_name, "many");
  EXPECT_EQ(taken[1].gap.start_unix_ns(), 2);
  EXPECT_EQ(taken[1].gap.end_unix_ns(), 1'025);
  EXPECT_EQ(taken[1].gap.missing_count(), 1'023);
  EXPECT_EQ(taken[2].source_name, "last");
}

}  // namespace
}  // namespace verbatim::collector
