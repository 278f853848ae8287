#include "adapters/rules/time_window.h"

#include <gtest/gtest.h>

namespace verbatim::rules {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kThursday = 1'767'225'600'000'000'000;  // 2026-01-01T00:00:00Z

TimeWindow window(const v1::RuleWindow& text, const std::string& zone = "UTC") {
  auto made = TimeWindow::create(text, zone);
  EXPECT_TRUE(made) << made.error().message();
  return *made;
}

std::string refusal(const v1::RuleWindow& text, const std::string& zone = "UTC") {
  return TimeWindow::create(text, zone).error().message();
}

v1::RuleWindow hours(const std::string& start, const std::string& end) {
  v1::RuleWindow text;
  text.set_start(start);
  text.set_end(end);
  return text;
}

TEST(TimeWindowTest, NothingGivenIsAlwaysOpen) {
  EXPECT_TRUE(window({}).is_open(0));
  EXPECT_TRUE(window({}).is_open(kThursday));
}

TEST(TimeWindowTest, TheEndIsExclusive) {
  const TimeWindow office = window(hours("09:00", "17:30"));
  EXPECT_FALSE(office.is_open(kThursday + 9 * kHour - 1));
  EXPECT_TRUE(office.is_open(kThursday + 9 * kHour));
  EXPECT_TRUE(office.is_open(kThursday + 17 * kHour + kHour / 2 - 1));
  EXPECT_FALSE(office.is_open(kThursday + 17 * kHour + kHour / 2));
}

TEST(TimeWindowTest, DatesAndDaysHoldTogetherAndAreInclusive) {
  v1::RuleWindow text;
  text.set_from_date("2026-01-01");
  text.set_until_date("2026-01-09");
  text.add_days("thu");
  text.add_days("fri");
  const TimeWindow days = window(text);
  EXPECT_FALSE(days.is_open(kThursday - 1));
  EXPECT_TRUE(days.is_open(kThursday));
  EXPECT_TRUE(days.is_open(kThursday + 2 * kDay - 1));
  EXPECT_FALSE(days.is_open(kThursday + 2 * kDay));
  EXPECT_TRUE(days.is_open(kThursday + 8 * kDay));
  EXPECT_FALSE(days.is_open(kThursday + 14 * kDay));
}

// Friday night's window ends on Saturday morning, though Saturday is no day of it.
TEST(TimeWindowTest, OverMidnightItBelongsToTheDayOnWhichItOpens) {
  v1::RuleWindow text = hours("22:00", "06:00");
  text.add_days("fri");
  const TimeWindow night = window(text);
  const int64_t friday = kThursday + kDay;
  EXPECT_FALSE(night.is_open(friday + 5 * kHour));
  EXPECT_TRUE(night.is_open(friday + 22 * kHour));
  EXPECT_TRUE(night.is_open(friday + kDay + 5 * kHour));
  EXPECT_FALSE(night.is_open(friday + kDay + 6 * kHour));
  EXPECT_FALSE(night.is_open(friday + kDay + 22 * kHour));
  EXPECT_TRUE(window(hours("00:00", "24:00")).is_open(kThursday + 12 * kHour));
  EXPECT_TRUE(window(hours("08:00", "08:00")).is_open(kThursday + 7 * kHour));
}

// 09:00 in Berlin is 08:00 UTC in winter and 07:00 UTC in summer.
TEST(TimeWindowTest, ItFollowsTheClockOnTheWall) {
  const TimeWindow office = window(hours("09:00", "10:00"), "Europe/Berlin");
  const int64_t july = kThursday + 181 * kDay;  // 2026-07-01
  EXPECT_TRUE(office.is_open(kThursday + 8 * kHour));
  EXPECT_FALSE(office.is_open(kThursday + 7 * kHour));
  EXPECT_TRUE(office.is_open(july + 7 * kHour));
  EXPECT_FALSE(office.is_open(july + 8 * kHour));
  v1::RuleWindow own = hours("09:00", "10:00");
  own.set_time_zone("Asia/Tokyo");
  EXPECT_TRUE(window(own, "Europe/Berlin").is_open(kThursday));
}

TEST(TimeWindowTest, WhatIsNoTimeIsRefusedByField) {
  v1::RuleWindow text;
  text.set_from_date("2026-02-30");
  EXPECT_EQ(refusal(text).substr(0, 10), "from_date:");
  text.set_from_date("01.02.2026");
  EXPECT_EQ(refusal(text).substr(0, 10), "from_date:");
  text.set_from_date("2026-02-02");
  text.set_until_date("2026-02-01");
  EXPECT_EQ(refusal(text).substr(0, 11), "until_date:");
  EXPECT_EQ(refusal(hours("09:00", "")).substr(0, 6), "start:");
  EXPECT_EQ(refusal(hours("9:00", "10:00")).substr(0, 6), "start:");
  EXPECT_EQ(refusal(hours("09:00", "24:01")).substr(0, 4), "end:");
  EXPECT_EQ(refusal(hours("24:00", "24:00")).substr(0, 6), "start:");
  EXPECT_EQ(refusal({}, "Europe/Nowhere").substr(0, 10), "time_zone:");
}

TEST(CivilDaysTest, ADayIsTheZonesOwn) {
  EXPECT_EQ(CivilDays::create("UTC")->day_of(kThursday), "2026-01-01");
  EXPECT_EQ(CivilDays::create("America/New_York")->day_of(kThursday), "2025-12-31");
  EXPECT_FALSE(CivilDays::create("Mars"));
}

}  // namespace
}  // namespace verbatim::rules
