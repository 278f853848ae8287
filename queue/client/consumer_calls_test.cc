#include "queue/client/consumer_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/frame.h"
#include "queue/client/subscription.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::QueueFrame decode(const std::string& bytes) {
  v1::QueueFrame frame;
  EXPECT_TRUE(base::decode_frame(bytes, frame).ok());
  return frame;
}

v1::QueueFrame refusal(uint64_t request_id, v1::RefusalReason reason) {
  v1::QueueFrame frame;
  frame.set_request_id(request_id);
  frame.mutable_refused()->set_reason(reason);
  return frame;
}

class ConsumerCallsTest : public ::testing::Test {
 protected:
  void call(const std::string& name) {
    calls_.add({.frame = to_frame({.lease_id = 7}, "q"),
                .wait = milliseconds(0),
                .connect_until = now_ + milliseconds(100),
                .done = [this, name](const Result<v1::QueueFrame>& answer) {
                  ends_.push_back(name + "=" + std::string(code_name(answer.error().code())));
                }});
  }
  std::vector<uint64_t> send() {
    std::vector<uint64_t> ids;
    while (auto frame = calls_.next_frame(now_, next_id_))
      ids.push_back(decode(*frame).request_id());
    return ids;
  }
  bool answer(uint64_t id) {
    v1::QueueFrame frame;
    frame.set_request_id(id);
    frame.mutable_settle_reply();
    return calls_.on_reply(frame);
  }
  std::vector<std::string> ends() {
    std::vector<ConsumerCalls::Ended> all;
    calls_.take_ended(all);
    for (auto& one : all) one.callback(std::move(one.answer));
    return std::exchange(ends_, {});
  }

  ConsumerCalls calls_{milliseconds(500)};
  nanoseconds now_ = milliseconds(1'000);
  uint64_t next_id_ = 1;
  std::vector<std::string> ends_;
};

TEST_F(ConsumerCallsTest, CallsAreSentInOrderWithinTheCredit) {
  calls_.set_credit(2);
  for (const char* name : {"a", "b", "c"}) call(name);
  EXPECT_THAT(send(), ElementsAre(1, 2));
  EXPECT_TRUE(answer(2));
  EXPECT_THAT(send(), ElementsAre(3));
  EXPECT_TRUE(answer(1));
  EXPECT_TRUE(answer(3));
  EXPECT_THAT(ends(), ElementsAre("b=OK", "a=OK", "c=OK"));
}

TEST_F(ConsumerCallsTest, ARepeatedAnswerOrOneToNothingChangesNothing) {
  call("a");
  EXPECT_THAT(send(), ElementsAre(1));
  EXPECT_FALSE(answer(0));
  EXPECT_FALSE(answer(9));
  EXPECT_TRUE(answer(1));
  EXPECT_FALSE(answer(1));
  EXPECT_THAT(ends(), ElementsAre("a=OK"));
}

TEST_F(ConsumerCallsTest, WhatWasSentOverALostConnectionIsInDoubtAndTheRestGoesOn) {
  call("a");
  call("b");
  EXPECT_THAT(send(), ElementsAre(1));
  calls_.on_disconnected();
  EXPECT_THAT(ends(), ElementsAre("a=UNAVAILABLE"));
  EXPECT_FALSE(answer(1));
  EXPECT_THAT(send(), ElementsAre(2));
}

TEST_F(ConsumerCallsTest, WithoutAConnectionACallEndsAfterItsTime) {
  call("a");
  calls_.expire(now_ + milliseconds(99), "");
  EXPECT_THAT(ends(), IsEmpty());
  calls_.expire(now_ + milliseconds(100), "");
  EXPECT_THAT(ends(), ElementsAre("a=UNAVAILABLE"));
}

TEST_F(ConsumerCallsTest, AMissingAnswerIsNoticed) {
  call("a");
  send();
  EXPECT_FALSE(calls_.is_overdue(now_ + milliseconds(500)));
  EXPECT_TRUE(calls_.is_overdue(now_ + milliseconds(501)));
}

TEST_F(ConsumerCallsTest, EveryRefusalHasItsCode) {
  const std::pair<v1::RefusalReason, StatusCode> rows[] = {
      {v1::REFUSAL_REASON_LEASE_LOST, StatusCode::kAborted},
      {v1::REFUSAL_REASON_UNKNOWN_QUEUE, StatusCode::kNotFound},
      {v1::REFUSAL_REASON_INVALID, StatusCode::kInvalidArgument},
      {v1::REFUSAL_REASON_NOT_PERMITTED, StatusCode::kPermissionDenied},
      {v1::REFUSAL_REASON_PAUSED, StatusCode::kUnavailable},
      {v1::REFUSAL_REASON_STOPPING, StatusCode::kUnavailable},
      {v1::REFUSAL_REASON_CREDIT_EXCEEDED, StatusCode::kUnavailable}};
  for (const auto& [reason, code] : rows) {
    EXPECT_EQ(status_of(refusal(1, reason).refused()).code(), code) << reason;
  }
}

TEST_F(ConsumerCallsTest, TheEndEndsEverything) {
  call("a");
  call("b");
  send();
  calls_.end_all(cancelled("stopped"));
  EXPECT_THAT(ends(), ElementsAre("a=CANCELLED", "b=CANCELLED"));
  EXPECT_THAT(send(), IsEmpty());
}

class SubscriptionTest : public ::testing::Test {
 protected:
  using Answer = Subscription::Answer;

  void start(int64_t credit) {
    subscription_.start({.credit_messages = credit}, [](const auto&) {});
  }
  // The credit of the frame that is due, or -1.
  int64_t send() {
    const auto frame = subscription_.next_frame(now_, next_id_);
    return frame ? decode(*frame).subscribe().credit_messages() : -1;
  }
  Answer push(uint64_t lease_id, uint64_t request_id = 1) {
    v1::QueueFrame frame;
    frame.set_request_id(request_id);
    frame.mutable_receive_reply()->set_lease_id(lease_id);
    return subscription_.on_reply(frame, now_);
  }

  Subscription subscription_{"q"};
  nanoseconds now_ = milliseconds(1'000);
  uint64_t next_id_ = 1;
};

TEST_F(SubscriptionTest, ItIsToldOnceAndAgainToANewConnection) {
  EXPECT_EQ(send(), -1);
  start(5);
  EXPECT_EQ(send(), 5);
  EXPECT_EQ(send(), -1);
  EXPECT_EQ(push(1), Answer::kPush);
  EXPECT_EQ(push(0), Answer::kNone) << "an empty answer is no push";
  subscription_.on_disconnected();
  EXPECT_EQ(send(), 5);
  start(7);
  EXPECT_EQ(send(), 7) << "another one replaces it";
}

TEST_F(SubscriptionTest, WhatComesAfterTheEndGoesBack) {
  start(5);
  send();
  subscription_.end();
  EXPECT_EQ(send(), 0) << "no credit ends it";
  EXPECT_EQ(send(), -1);
  EXPECT_EQ(push(1), Answer::kGiveBack);
  subscription_.on_disconnected();
  EXPECT_EQ(send(), -1);
}

TEST_F(SubscriptionTest, AnEndThatTheServiceNeedNotKnowIsNotTold) {
  start(5);
  subscription_.end();
  EXPECT_EQ(send(), -1);
}

TEST_F(SubscriptionTest, ARefusalForNowIsTriedAgainAndOneForGoodEndsIt) {
  start(5);
  send();
  v1::QueueFrame paused = refusal(1, v1::REFUSAL_REASON_PAUSED);
  paused.mutable_refused()->set_retry_after_ms(200);
  EXPECT_EQ(subscription_.on_reply(paused, now_), Answer::kNone);
  EXPECT_EQ(send(), -1);
  EXPECT_EQ(subscription_.next_due(), now_ + milliseconds(200));
  now_ += milliseconds(200);
  EXPECT_EQ(send(), 5);
  EXPECT_EQ(subscription_.on_reply(refusal(1, v1::REFUSAL_REASON_UNKNOWN_QUEUE), now_),
            Answer::kNone)
      << "an answer to the frame before";
  EXPECT_EQ(subscription_.on_reply(refusal(2, v1::REFUSAL_REASON_UNKNOWN_QUEUE), now_),
            Answer::kEnded);
}

}  // namespace
}  // namespace verbatim::queue
