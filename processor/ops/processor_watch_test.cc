#include "processor/ops/processor_watch.h"

#include <gtest/gtest.h>

namespace verbatim::processor {
namespace {

// Else each adapter of run intervals would be behind at the end of each of them.
TEST(OwnInterval, AnAdapterOfRunIntervalsMayWaitForTheEndOfOne) {
  v1::AdapterSettings adapter;
  adapter.set_interval_ms(5'000);
  adapter.set_run_interval_minutes(15);
  adapter.set_mode("streaming");
  EXPECT_EQ(own_interval(adapter), std::chrono::seconds(5));
  adapter.set_mode("interval");
  EXPECT_EQ(own_interval(adapter), std::chrono::minutes(15));
}

TEST(SkippedEvents, WhatAnOptionalAdapterHasLostIsToldForADay) {
  using std::chrono::hours;
  SkippedEvents skipped;
  EXPECT_TRUE(skipped.look({{"copy", 5}}, hours(0)).empty()) << "lost before this start";
  EXPECT_TRUE(skipped.look({{"copy", 5}}, hours(1)).empty());
  const auto told = skipped.look({{"copy", 7}, {"new", 3}}, hours(2));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].name, "adapter-skipped");
  EXPECT_EQ(told[0].subject, "copy");
  EXPECT_EQ(told[0].text.substr(0, 9), "2 events ");
  EXPECT_EQ(skipped.look({{"copy", 8}, {"new", 3}}, hours(20)).size(), 2U);
  EXPECT_EQ(skipped.look({{"copy", 8}, {"new", 3}}, hours(26)).size(), 1U);
  EXPECT_TRUE(skipped.look({{"copy", 8}, {"new", 3}}, hours(44)).empty());
}

}  // namespace
}  // namespace verbatim::processor
