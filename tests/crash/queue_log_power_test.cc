// Power cuts and kills: what was answered is there, in order, and nothing that was never put.
#include <gtest/gtest.h>

#include <string>

#include "tests/fault/queue_log_harness.h"
#include "tests/support/test_seed.h"

namespace verbatim::testing {
namespace {

constexpr uint64_t kStormCount = 400;

TEST(QueueLogPower, AStormOfCutsKillsAndFailuresLosesNothingAnswered) {
  const uint64_t seed = test_seed();
  for (uint64_t i = 0; i < kStormCount; ++i) {
    ASSERT_EQ(run_log_storm(seed + i), "") << "seed=" << seed + i;
  }
}

TEST(QueueLogPower, TheSameOnADiskThatIsFullMostOfTheTime) {
  const uint64_t seed = test_seed();
  for (uint64_t i = 0; i < kStormCount / 4; ++i) {
    ASSERT_EQ(run_log_storm(seed + i, {.step_count = 80, .has_full_disk = true}), "")
        << "seed=" << seed + i;
  }
}

// The harness must see these planted faults, or it proves nothing.
TEST(QueueLogPower, TheCanaryWithoutRewriteIsCaught) {
  const uint64_t seed = test_seed();
  bool is_caught = false;
  for (uint64_t i = 0; i < kStormCount && !is_caught; ++i) {
    is_caught = !run_log_storm(seed + i, {.canary_no_rewrite_after_recovery = true}).empty();
  }
  EXPECT_TRUE(is_caught);
}

TEST(QueueLogPower, TheCanaryWithoutGenerationsIsCaught) {
  const uint64_t seed = test_seed();
  bool is_caught = false;
  for (uint64_t i = 0; i < kStormCount && !is_caught; ++i) {
    is_caught =
        !run_log_storm(seed + i, {.step_count = 120, .canary_ignore_generations = true}).empty();
  }
  EXPECT_TRUE(is_caught);
}

TEST(QueueLogPower, TheCanaryThatTrustsAnUnsyncedSummaryIsCaught) {
  const uint64_t seed = test_seed();
  bool is_caught = false;
  for (uint64_t i = 0; i < kStormCount && !is_caught; ++i) {
    is_caught = !run_log_storm(seed + i, {.step_count = 120, .canary_trust_unsynced_summary = true})
                     .empty();
  }
  EXPECT_TRUE(is_caught);
}

// The same as a story: the summary's sync fails, a start reads it in the page cache.
TEST(QueueLogPower, ASummaryThatOnlyThePageCacheHasIsNotTrusted) {
  for (const bool is_canary : {false, true}) {
    QueueLogHarness harness;
    harness.options().canary_trust_unsynced_summary = is_canary;
    ASSERT_EQ(harness.open(), "");
    ASSERT_TRUE(harness.put(2, 1'000));
    harness.disk().fail({.kinds = {IoKind::kSync}});
    ASSERT_FALSE(harness.close());
    ASSERT_EQ(harness.open(), "");
    harness.kill();
    harness.disk().power_cut_dropping_all();
    EXPECT_EQ(harness.open().empty(), !is_canary);
  }
}

// The first canary as a story: a failed sync, a start that reads the page cache, then the power.
TEST(QueueLogPower, WhatOnlyThePageCacheHasIsRewrittenBeforeItIsShown) {
  for (const bool is_canary : {false, true}) {
    QueueLogHarness harness;
    harness.options().canary_no_rewrite_after_recovery = is_canary;
    ASSERT_EQ(harness.open(), "");
    ASSERT_TRUE(harness.put(1, 100));
    harness.disk().fail({.kinds = {IoKind::kSync}});
    ASSERT_FALSE(harness.put(1, 100));
    ASSERT_EQ(harness.open(), "");
    ASSERT_EQ(harness.keeper().next_number, 2u) << "the page cache shows it";
    harness.kill();
    harness.disk().power_cut_dropping_all();
    EXPECT_EQ(harness.open().empty(), !is_canary);
  }
}

// Cuts the power. Of the sectors that are not synced those of the subset stay, in turn; and so do
// names that are not. Gives how many there were in all.
uint32_t cut_keeping(QueueLogHarness& harness, uint32_t subset) {
  const size_t name_count = harness.disk().unsynced_name_count();
  uint32_t asked = 0;
  harness.disk().power_cut([&] {
    const uint32_t at = asked++;
    return at < name_count || (subset >> ((at - name_count) % 8) & 1) != 0;
  });
  harness.power().stop_before_sync(0);
  return asked;
}

// Each subset of the sectors of an unsynced group.
TEST(QueueLogPower, EverySubsetOfAnUnsyncedGroupIsEitherWholeOrCut) {
  for (uint32_t subset = 0; subset < 256; ++subset) {
    QueueLogHarness harness;
    ASSERT_EQ(harness.open(), "");
    ASSERT_TRUE(harness.put(2, 300));
    harness.power().stop_before_sync(1);
    ASSERT_FALSE(harness.put(3, 1'250));  // one block: eight sectors
    harness.kill();
    EXPECT_EQ(cut_keeping(harness, subset), 8u + 1u) << "and the name of a spare";
    ASSERT_EQ(harness.open(), "") << "subset=" << subset;
    EXPECT_EQ(harness.keeper().next_number, subset == 255 ? 5u : 2u) << "subset=" << subset;
  }
}

// Each subset of what a rolling log leaves unsynced: the old segment's summary, then the new
// segment's header, then its first group.
TEST(QueueLogPower, EverySubsetOfASegmentsEndAndOfTheNextOnesBeginIsEitherWholeOrCut) {
  // The summary, the new header, the folder, the group.
  for (uint64_t stop = 1; stop <= 4; ++stop) {
    for (uint32_t subset = 0; subset < 256; ++subset) {
      QueueLogHarness harness;
      ASSERT_EQ(harness.open(), "");
      ASSERT_EQ(harness.log().newest_generation(), 1u);
      // Header, first group and mark take three blocks of eight; two more are for the end.
      for (int i = 0; i < 3; ++i) ASSERT_TRUE(harness.put(2, 1'000));
      harness.power().stop_before_sync(stop);
      ASSERT_FALSE(harness.put(2, 1'800));
      ASSERT_EQ(harness.log().newest_generation(), 2u);
      harness.kill();
      ASSERT_GE(cut_keeping(harness, subset), stop == 3 ? 1u : 8u);
      ASSERT_EQ(harness.open(), "") << "stop=" << stop << " subset=" << subset;
      const bool is_kept = stop == 4 && subset == 255;
      EXPECT_EQ(harness.keeper().next_number, is_kept ? 8u : 6u)
          << "stop=" << stop << " subset=" << subset;
      // The summary counts if it is known to be synced: the next group's first sector says so.
      ASSERT_EQ(harness.open(), "");
      EXPECT_EQ(harness.log().stats().summarised_segment_count,
                stop == 4 && (subset & 1) == 1 ? 1u : 0u)
          << "stop=" << stop << " subset=" << subset;
    }
  }
}

TEST(QueueLogPower, RepeatedCutsDuringRecoveryLoseNothing) {
  for (uint64_t nth = 1;; ++nth) {
    QueueLogHarness harness;
    ASSERT_EQ(harness.open(), "");
    ASSERT_TRUE(harness.put(3, 500));
    ASSERT_TRUE(harness.put(2, 700));
    harness.kill();
    bool was_hit = false;
    for (uint64_t round = 0; round < 3; ++round) {
      harness.disk().fail({.nth = nth, .is_sticky = true});
      const std::string wrong = harness.open();
      was_hit = harness.disk().has_failed();
      harness.disk().clear_faults();
      ASSERT_EQ(wrong.empty(), !was_hit) << "nth=" << nth << ": " << wrong;
      harness.kill();
      harness.disk().power_cut(nth * 10 + round);
    }
    ASSERT_EQ(harness.open(), "") << "nth=" << nth;
    EXPECT_EQ(harness.keeper().next_number, 5u);
    if (!was_hit) break;
  }
}

TEST(QueueLogPower, ARecycledSegmentsOldRecordsNeverLookValid) {
  for (const bool is_canary : {false, true}) {
    QueueLogHarness harness;
    harness.options().canary_ignore_generations = is_canary;
    ASSERT_EQ(harness.open(), "");
    // Groups of one block each, so that old ones lie exactly where new ones would follow.
    std::string wrong;
    for (int round = 0; round < 60 && wrong.empty(); ++round) {
      ASSERT_TRUE(harness.put(2, 600));
      if (harness.log().segment_count() > 2) harness.release_oldest();
      if (round % 7 == 6) wrong = harness.open();
    }
    EXPECT_EQ(wrong.empty(), !is_canary) << wrong;
  }
}

}  // namespace
}  // namespace verbatim::testing
