#include "base/silence_watch.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace verbatim::base {
namespace {

using std::chrono::seconds;

// The watch's own thread sleeps through these tests: its rounds are an hour's quarter apart.
constexpr seconds kSilenceMax{3'600};

TEST(SilenceWatch, WhoDoesNothingIsCancelledOnce) {
  testing::FakeClock clock;
  SilenceWatch watch(kSilenceMax, clock);
  int cancelled_count = 0;
  const auto watched = watch.begin([&] { ++cancelled_count; });
  clock.advance(kSilenceMax - seconds(1));
  watch.check();
  EXPECT_EQ(cancelled_count, 0);
  EXPECT_FALSE(watched->was_silent());
  clock.advance(seconds(1));
  watch.check();
  watch.check();
  EXPECT_EQ(cancelled_count, 1);
  EXPECT_TRUE(watched->was_silent());
}

TEST(SilenceWatch, WhoHasEndedIsLeftAlone) {
  testing::FakeClock clock;
  SilenceWatch watch(kSilenceMax, clock);
  int cancelled_count = 0;
  auto ended = watch.begin([&] { ++cancelled_count; });
  clock.advance(kSilenceMax / 2);
  const auto younger = watch.begin([&] { ++cancelled_count; });
  ended.reset();
  clock.advance(kSilenceMax / 2);
  watch.check();
  EXPECT_EQ(cancelled_count, 0);
}

}  // namespace
}  // namespace verbatim::base
