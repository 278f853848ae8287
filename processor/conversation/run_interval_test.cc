#include "processor/conversation/run_interval.h"

#include <gtest/gtest.h>

namespace verbatim::processor {
namespace {

TEST(RunInterval, StartsAreCountedFromTheEpoch) {
  EXPECT_EQ(interval_start(0, 60), 0);
  EXPECT_EQ(interval_start(59, 60), 0);
  EXPECT_EQ(interval_start(60, 60), 60);
  EXPECT_EQ(interval_start(-1, 60), -60);
}

TEST(RunInterval, TheNextEventBelongsToItsOwnIntervalOrALaterOne) {
  EXPECT_EQ(next_interval_start(0, 130, 60), 120);
  EXPECT_EQ(next_interval_start(120, 130, 60), 120);
  EXPECT_EQ(next_interval_start(120, 300, 60), 300);
}

TEST(RunInterval, ASmallStepBackDoesNotEnterAnIntervalAgain) {
  EXPECT_EQ(next_interval_start(120, 119, 60), 120);
  EXPECT_EQ(next_interval_start(120, 60, 60), 120);
}

TEST(RunInterval, AClockPutRightIsFollowed) { EXPECT_EQ(next_interval_start(6'000, 130, 60), 120); }

TEST(RunInterval, ItIsOverAtItsEndAndWhenTheClockIsFarBeforeIt) {
  EXPECT_FALSE(is_interval_over(120, 179, 60));
  EXPECT_TRUE(is_interval_over(120, 180, 60));
  EXPECT_FALSE(is_interval_over(120, 100, 60));
  EXPECT_TRUE(is_interval_over(6'000, 100, 60));
}

}  // namespace
}  // namespace verbatim::processor
