#include "collector/sources/producer.h"

#include <gtest/gtest.h>

#include <vector>

#include "collector/sources/producer_session.h"
#include "tests/support/fake_clock.h"

namespace verbatim::collector {
namespace {

using Kind = Producer::Admission::Kind;

Answer accepted() {
  Answer answer;
  answer.kind = Answer::Kind::kAccepted;
  return answer;
}
Answer full() {
  Answer answer;
  answer.kind = Answer::Kind::kError;
  answer.cause = Answer::Cause::kFull;
  return answer;
}

class ProducerTest : public ::testing::Test {
 protected:
  Kind admit(uint64_t sequence, uint64_t epoch = 1) {
    last_ = producer_.admit(epoch, sequence, {});
    return last_.kind;
  }

  testing::FakeClock clock_;
  Producer producer_{"p", clock_};
  Producer::Admission last_;
};

TEST_F(ProducerTest, ANumberUnderWayIsNotSubmittedASecondTime) {
  EXPECT_EQ(admit(1), Kind::kSubmit);
  EXPECT_EQ(admit(1), Kind::kMerged);
  producer_.complete(1, 1, accepted());
  EXPECT_EQ(producer_.counters().in_flight(), 0);
  // Answered: the queue decides that it is a repeat.
  EXPECT_EQ(admit(1), Kind::kSubmit);
}

TEST_F(ProducerTest, NothingOvertakesAnEventThatMustComeAgain) {
  for (uint64_t number = 1; number <= 4; ++number) EXPECT_EQ(admit(number), Kind::kSubmit);
  producer_.complete(1, 1, accepted());
  producer_.complete(1, 2, full());
  producer_.complete(1, 3, full());
  producer_.complete(1, 4, full());
  EXPECT_EQ(admit(5), Kind::kRefused);
  EXPECT_EQ(last_.refusal.cause, Answer::Cause::kFull);
  EXPECT_EQ(admit(3), Kind::kRefused);
  EXPECT_EQ(admit(2), Kind::kSubmit);
  EXPECT_EQ(admit(4), Kind::kRefused);
  EXPECT_EQ(admit(6), Kind::kRefused);
  for (uint64_t number = 3; number <= 6; ++number) EXPECT_EQ(admit(number), Kind::kSubmit);
  EXPECT_EQ(admit(7), Kind::kSubmit);
}

TEST_F(ProducerTest, AnEventThatIsRefusedAgainHoldsUpTheRestAgain) {
  EXPECT_EQ(admit(1), Kind::kSubmit);
  producer_.complete(1, 1, full());
  EXPECT_EQ(admit(2), Kind::kRefused);
  EXPECT_EQ(admit(1), Kind::kSubmit);
  producer_.complete(1, 1, full());
  EXPECT_EQ(admit(2), Kind::kRefused);
  EXPECT_EQ(admit(1), Kind::kSubmit);
  producer_.complete(1, 1, accepted());
  EXPECT_EQ(admit(2), Kind::kSubmit);
}

TEST_F(ProducerTest, ARefusalForGoodUsesUpItsNumberAndHoldsUpNothing) {
  Answer refused;
  refused.kind = Answer::Kind::kRefused;
  EXPECT_EQ(admit(1), Kind::kSubmit);
  producer_.complete(1, 1, refused);
  EXPECT_EQ(admit(2), Kind::kSubmit);
  EXPECT_EQ(producer_.last_answered(1), 1u);
}

TEST_F(ProducerTest, AJumpIsReportedOnce) {
  EXPECT_EQ(admit(1), Kind::kSubmit);
  EXPECT_FALSE(last_.gap.has_value());
  const int64_t before = clock_.unix_now_ns();
  clock_.advance(std::chrono::seconds(1));
  admit(5);
  ASSERT_TRUE(last_.gap.has_value());
  EXPECT_EQ(last_.gap->missing_count(), 3);
  EXPECT_EQ(last_.gap->start_unix_ns(), before);
  EXPECT_EQ(last_.gap->end_unix_ns(), clock_.unix_now_ns());
  admit(6);
  EXPECT_FALSE(last_.gap.has_value());
  admit(2);
  EXPECT_FALSE(last_.gap.has_value());
}

TEST_F(ProducerTest, TheFirstNumberOfTheFirstEpochSeenIsNoJumpAndThatOfALaterEpochIs) {
  admit(500);
  EXPECT_FALSE(last_.gap.has_value());
  admit(3, 2);
  ASSERT_TRUE(last_.gap.has_value());
  EXPECT_EQ(last_.gap->missing_count(), 2);
}

TEST_F(ProducerTest, ManyEpochsAreForgottenButForWhatIsUnderWay) {
  EXPECT_EQ(admit(1, 1), Kind::kSubmit);
  for (uint64_t epoch = 2; epoch < 50; ++epoch) {
    EXPECT_EQ(admit(1, epoch), Kind::kSubmit);
    producer_.complete(epoch, 1, accepted());
  }
  EXPECT_EQ(admit(1, 1), Kind::kMerged);
}

TEST(ProducerBook, KeepsABoundedNumberOfProducers) {
  testing::FakeClock clock;
  ProducerBook book(clock);
  std::vector<std::shared_ptr<Producer>> held;
  for (size_t i = 0; i < kProducersMaxCount; ++i) {
    held.push_back(book.find_or_add("p" + std::to_string(i)));
    ASSERT_TRUE(held.back());
  }
  EXPECT_FALSE(book.find_or_add("one more"));
  EXPECT_EQ(book.find_or_add("p7"), held[7]);
  held.pop_back();  // nobody speaks for it any more
  EXPECT_TRUE(book.find_or_add("one more"));
}

}  // namespace
}  // namespace verbatim::collector
