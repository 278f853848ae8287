// The ZeroMQ client against a service played by hand: refusals, frames that are not ours, answers
// twice and late, push.
#include "queue/client/zmq_queue_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/support/scripted_queue_service.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using verbatim::testing::kPatience;
using verbatim::testing::ScriptedService;

constexpr auto kForever = nanoseconds::max();

class ZmqQueueClientTest : public ::testing::Test {
 protected:
  ~ZmqQueueClientTest() override {
    if (client_) client_->stop();
  }
  void connect(const std::string& producer = "p", milliseconds answer_timeout = seconds(10)) {
    auto client = create_zmq_queue_client({.address = service_.address(),
                                           .client_name = "c",
                                           .producer = producer,
                                           .answer_timeout = answer_timeout});
    ASSERT_TRUE(client.has_value()) << client.error().to_string();
    client_ = *std::move(client);
  }
  using Outcome = std::future<Result<PutOutcome>>;
  static PutRequest request(const std::string& body) {
    PutRequest request;
    request.source = "s";
    request.body = body;
    return request;
  }
  Outcome put(const std::string& body, nanoseconds deadline = kForever) {
    auto promise = std::make_shared<std::promise<Result<PutOutcome>>>();
    const Status status = client_->put(request(body), deadline, [promise](auto outcome) {
      promise->set_value(std::move(outcome));
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return promise->get_future();
  }
  static Result<PutOutcome> wait(Outcome& outcome) {
    if (outcome.wait_for(kPatience) != std::future_status::ready) {
      return unavailable("no answer in time");
    }
    return outcome.get();
  }
  bool reaches(ClientCondition condition) {
    const auto end = base::system_clock().monotonic() + kPatience;
    while (client_->state().condition != condition) {
      if (base::system_clock().monotonic() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  std::future<Status> settle(Settlement settlement) {
    auto promise = std::make_shared<std::promise<Status>>();
    EXPECT_TRUE(client_
                    ->settle(std::move(settlement),
                             [promise](Status status) { promise->set_value(std::move(status)); })
                    .ok());
    return promise->get_future();
  }

  ScriptedService service_;
  std::unique_ptr<QueueClient> client_;
};

TEST_F(ZmqQueueClientTest, AnswersThatComeTwiceLateOrForNothingChangeNothing) {
  connect();
  service_.open_new();
  Outcome first = put("a");
  const v1::QueueFrame frame = service_.next();
  v1::QueueFrame nonsense = service_.results(frame);
  nonsense.set_request_id(1'000);
  service_.send(nonsense);
  nonsense.set_request_id(0);
  service_.send(nonsense);
  const v1::QueueFrame answer = service_.results(frame);
  for (int i = 0; i < 3; ++i) service_.send(answer);
  service_.refuse(frame, v1::REFUSAL_REASON_FULL, 10'000);
  EXPECT_EQ(wait(first)->lookup_id, 1u);
  Outcome second = put("b");
  const v1::QueueFrame next = service_.next();
  EXPECT_EQ(next.put().first_sequence(), 2u);
  service_.send(service_.results(next));
  EXPECT_EQ(wait(second)->lookup_id, 2u);
}

TEST_F(ZmqQueueClientTest, AWithdrawnPutSaysWhatKeptItOut) {
  connect();
  service_.welcome();
  service_.refuse(service_.next(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
  ASSERT_TRUE(reaches(ClientCondition::kUnknownQueue));
  Outcome hasty = put("a", base::system_clock().monotonic() + milliseconds(1));
  EXPECT_EQ(wait(hasty).error().message(),
            "withdrawn: the queue service has no queue of this name");
}

TEST_F(ZmqQueueClientTest, AFrameThatIsNotOursEndsTheConnectionAndCostsNothing) {
  connect();
  service_.open_new();
  Outcome outcome = put("a");
  EXPECT_TRUE(service_.next().has_put());
  service_.send_bytes("garbage");
  service_.welcome();
  service_.answer_open(service_.epoch(), 0);
  const v1::QueueFrame again = service_.next();
  EXPECT_EQ(again.put().first_sequence(), 1u);
  service_.send(service_.results(again));
  EXPECT_EQ(wait(outcome)->lookup_id, 1u);
}

TEST_F(ZmqQueueClientTest, AfterARestartWhatIsStoredIsAskedForAndTheRestSentAnew) {
  connect();
  service_.open_new();
  Outcome first = put("a");
  const v1::QueueFrame frame = service_.next();
  Outcome second = put("b");
  EXPECT_EQ(service_.next().put().first_sequence(), 2u) << "on its way, and lost";
  Outcome third = put("c");
  service_.refuse(frame, v1::REFUSAL_REASON_HELLO_WANTED);
  service_.welcome();
  service_.answer_open(service_.epoch(), 1);
  const v1::QueueFrame asked = service_.next();
  EXPECT_EQ(asked.put().first_sequence(), 1u);
  EXPECT_EQ(asked.put().messages_size(), 1);
  service_.send(service_.results(asked));
  const v1::QueueFrame anew = service_.next();
  EXPECT_EQ(anew.put().first_sequence(), 2u);
  EXPECT_EQ(anew.put().messages_size(), 2);
  EXPECT_EQ(anew.put().epoch(), service_.epoch());
  service_.send(service_.results(anew));
  EXPECT_EQ(wait(first)->lookup_id, 1u);
  EXPECT_EQ(wait(second)->lookup_id, 2u);
  EXPECT_EQ(wait(third)->lookup_id, 3u);
}

TEST_F(ZmqQueueClientTest, APutInDoubtIsNotSentAsNewToAServiceThatHasForgottenTheProducer) {
  connect();
  service_.open_new();
  Outcome first = put("a");
  EXPECT_EQ(service_.next().put().first_sequence(), 1u) << "it may be stored";
  Outcome second = put("b");
  service_.refuse(service_.next(), v1::REFUSAL_REASON_HELLO_WANTED);
  service_.open_new();
  const v1::QueueFrame anew = service_.next();
  EXPECT_EQ(anew.put().first_sequence(), 1u);
  ASSERT_EQ(anew.put().messages_size(), 1);
  EXPECT_EQ(anew.put().messages(0).body(), "b") << "it was refused";
  service_.send(service_.results(anew));
  const auto outcome = wait(first);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_TRUE(is_in_doubt(outcome.error())) << outcome.error().to_string();
  EXPECT_EQ(wait(second)->lookup_id, 1u);
}

TEST_F(ZmqQueueClientTest, ANewerEpochOfSomeoneElseFencesForGood) {
  connect();
  service_.open_new();
  Outcome outcome = put("a");
  const v1::QueueFrame frame = service_.next();
  service_.refuse(frame, v1::REFUSAL_REASON_HELLO_WANTED);
  service_.welcome();
  service_.answer_open(service_.epoch() + 1'000'000'000'000, 5);
  const auto result = wait(outcome);
  EXPECT_EQ(result.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(is_in_doubt(result.error())) << result.error().to_string();
  ASSERT_TRUE(reaches(ClientCondition::kFenced));
  EXPECT_FALSE(client_->is_connected());
  EXPECT_EQ(client_->put(request("x"), kForever, [](const auto&) {}).code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(ZmqQueueClientTest, WhatIsNotPermittedIsSaidAndAskedAgain) {
  connect();
  Outcome early = put("a");
  service_.welcome();
  service_.refuse(service_.next(), v1::REFUSAL_REASON_NOT_PERMITTED);
  EXPECT_EQ(wait(early).error().code(), StatusCode::kPermissionDenied);
  ASSERT_TRUE(reaches(ClientCondition::kNotPermitted));
  EXPECT_THAT(client_->state().sentence, HasSubstr("scripted"));
  EXPECT_EQ(client_->put(request("x"), kForever, [](const auto&) {}).code(),
            StatusCode::kPermissionDenied);
  // An operator changes the rule.
  service_.answer_open(0, 0);
  service_.answer_open(0, 0);
  ASSERT_TRUE(reaches(ClientCondition::kReady));
}

TEST_F(ZmqQueueClientTest, AHelloThatIsNotPermittedIsSaid) {
  connect();
  Outcome early = put("a");
  service_.refuse(service_.next(), v1::REFUSAL_REASON_NOT_PERMITTED);
  EXPECT_EQ(wait(early).error().code(), StatusCode::kPermissionDenied);
  ASSERT_TRUE(reaches(ClientCondition::kNotPermitted));
}

TEST_F(ZmqQueueClientTest, AnUnknownQueueIsAskedForAgain) {
  connect();
  service_.welcome();
  service_.refuse(service_.next(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
  ASSERT_TRUE(reaches(ClientCondition::kUnknownQueue));
  Outcome waiting = put("a");
  service_.answer_open(0, 0);
  service_.answer_open(0, 0);
  service_.send(service_.results(service_.next()));
  EXPECT_TRUE(wait(waiting).has_value());
}

TEST_F(ZmqQueueClientTest, APausedQueueIsTriedAgainAndSaid) {
  connect();
  service_.open_new();
  Outcome outcome = put("a");
  service_.refuse(service_.next(), v1::REFUSAL_REASON_PAUSED, 300);
  ASSERT_TRUE(reaches(ClientCondition::kPaused));
  EXPECT_TRUE(client_->is_connected());
  Outcome hasty = put("b", base::system_clock().monotonic() + milliseconds(50));
  const auto withdrawn = wait(hasty);
  EXPECT_EQ(withdrawn.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(withdrawn.error().message(), HasSubstr("paused"));
  const v1::QueueFrame again = service_.next();
  EXPECT_EQ(again.put().messages_size(), 1);
  service_.send(service_.results(again));
  EXPECT_TRUE(wait(outcome).has_value());
  EXPECT_TRUE(reaches(ClientCondition::kReady));
}

TEST_F(ZmqQueueClientTest, TheServicesLimitIsKeptAtOnce) {
  connect();
  service_.open_new();
  ASSERT_TRUE(reaches(ClientCondition::kReady));
  PutRequest large = request(std::string(1'000, 'x'));
  large.envelope = "e";
  const Status status = client_->put(std::move(large), kForever, [](const auto&) {});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("message_bytes=1001 message_max_bytes=1000"));
}

TEST_F(ZmqQueueClientTest, SettlementsCarryWhatWasAskedAndEndOnce) {
  connect("");
  service_.welcome();
  std::vector<std::future<Status>> ends;
  ends.push_back(settle({.lease_id = 1, .lookup_ids = {5, 6}}));
  ends.push_back(settle({.kind = Settlement::Kind::kAbort,
                         .lease_id = 2,
                         .delay = milliseconds(700),
                         .is_untried = true}));
  ends.push_back(settle({.kind = Settlement::Kind::kAbandon, .lease_id = 3, .detail = "why"}));
  const v1::QueueFrame commit = service_.next();
  EXPECT_EQ(commit.commit().queue(), "events");
  EXPECT_EQ(commit.commit().lease_id(), 1u);
  EXPECT_THAT(commit.commit().lookup_ids(), ElementsAre(5, 6));
  const v1::QueueFrame abort = service_.next();
  EXPECT_EQ(abort.abort().lease_id(), 2u);
  EXPECT_EQ(abort.abort().delay_ms(), 700);
  EXPECT_TRUE(abort.abort().is_untried());
  const v1::QueueFrame abandon = service_.next();
  EXPECT_EQ(abandon.abandon().lease_id(), 3u);
  EXPECT_EQ(abandon.abandon().detail(), "why");
  // In another order, one of them twice.
  service_.settled(abandon);
  service_.refuse(commit, v1::REFUSAL_REASON_LEASE_LOST);
  service_.settled(commit);
  service_.refuse(abort, v1::REFUSAL_REASON_NOT_PERMITTED);
  EXPECT_EQ(ends[0].get().code(), StatusCode::kAborted);
  EXPECT_EQ(ends[1].get().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(ends[2].get().ok());
}

TEST_F(ZmqQueueClientTest, AnExtensionTellsWhatIsLeft) {
  connect("");
  service_.welcome();
  std::promise<Result<milliseconds>> promise;
  ASSERT_TRUE(client_
                  ->extend(9, seconds(60),
                           [&](Result<milliseconds> left) { promise.set_value(std::move(left)); })
                  .ok());
  const v1::QueueFrame request = service_.next();
  EXPECT_EQ(request.extend().lease_id(), 9u);
  EXPECT_EQ(request.extend().lease_ms(), 60'000);
  v1::QueueFrame answer;
  answer.set_request_id(request.request_id());
  answer.mutable_extend_reply()->set_lease_ms(30'000);
  service_.send(answer);
  EXPECT_EQ(*promise.get_future().get(), seconds(30));
}

TEST_F(ZmqQueueClientTest, CallsStayWithinTheServicesCredit) {
  connect("");
  service_.welcome(16);
  std::vector<std::future<Status>> ends;
  for (uint64_t i = 1; i <= 20; ++i) ends.push_back(settle({.lease_id = i}));
  std::vector<v1::QueueFrame> unanswered;
  for (uint64_t i = 1; i <= 20; ++i) {
    v1::QueueFrame frame =
        service_.next(unanswered.empty() ? milliseconds(20'000) : milliseconds(30));
    if (!frame.has_commit()) {
      ASSERT_LE(unanswered.size(), 16u);
      for (const v1::QueueFrame& one : unanswered) service_.settled(one);
      unanswered.clear();
      frame = service_.next();
    }
    EXPECT_EQ(frame.commit().lease_id(), i) << "in the order of the calls";
    unanswered.push_back(std::move(frame));
  }
  EXPECT_LE(unanswered.size(), 16u);
  for (const v1::QueueFrame& one : unanswered) service_.settled(one);
  for (auto& end : ends) EXPECT_TRUE(end.get().ok());
}

TEST_F(ZmqQueueClientTest, AMissingAnswerEndsTheCallAsInDoubt) {
  connect("", milliseconds(100));
  service_.welcome();
  auto end = settle({.lease_id = 1});
  EXPECT_TRUE(service_.next().has_commit());
  EXPECT_EQ(end.get().code(), StatusCode::kUnavailable);
  service_.welcome();
}

TEST_F(ZmqQueueClientTest, ASubscriptionOutlivesItsConnection) {
  connect("");
  std::vector<uint64_t> leases;
  std::promise<void> both;
  ASSERT_TRUE(client_
                  ->subscribe({.credit_messages = 7,
                               .credit_bytes = 800,
                               .lease = seconds(9),
                               .batch_max_messages = 3},
                              [&](Result<Lease> lease) {
                                leases.push_back(lease->id);
                                if (leases.size() == 2) both.set_value();
                              })
                  .ok());
  service_.welcome();
  const v1::QueueFrame first = service_.next();
  EXPECT_EQ(first.subscribe().queue(), "events");
  EXPECT_EQ(first.subscribe().credit_messages(), 7);
  EXPECT_EQ(first.subscribe().credit_bytes(), 800);
  EXPECT_EQ(first.subscribe().lease_ms(), 9'000);
  EXPECT_EQ(first.subscribe().batch_max_messages(), 3);
  service_.push(first.request_id(), 11);
  service_.refuse(first, v1::REFUSAL_REASON_HELLO_WANTED);
  service_.welcome();
  const v1::QueueFrame second = service_.next();
  EXPECT_EQ(second.subscribe().credit_messages(), 7);
  service_.push(second.request_id(), 12);
  both.get_future().wait();
  EXPECT_THAT(leases, ElementsAre(11, 12));
}

TEST_F(ZmqQueueClientTest, WhatIsPushedAfterTheEndGoesBackUntried) {
  connect("");
  std::atomic<int> pushes{0};
  std::promise<void> first;
  ASSERT_TRUE(client_
                  ->subscribe({},
                              [&](const auto&) {
                                if (++pushes == 1) first.set_value();
                              })
                  .ok());
  service_.welcome();
  const v1::QueueFrame subscribe = service_.next();
  service_.push(subscribe.request_id(), 1);
  first.get_future().wait();
  client_->unsubscribe();
  service_.push(subscribe.request_id(), 2);
  // Both are on their way; which is sent first is a matter of moments.
  v1::QueueFrame end = service_.next();
  v1::QueueFrame back = service_.next();
  if (back.has_subscribe()) std::swap(end, back);
  EXPECT_TRUE(end.has_subscribe());
  EXPECT_EQ(end.subscribe().credit_messages(), 0);
  EXPECT_EQ(back.abort().lease_id(), 2u);
  EXPECT_TRUE(back.abort().is_untried());
  service_.settled(back);
  EXPECT_EQ(pushes, 1);
}

TEST_F(ZmqQueueClientTest, ASubscriptionRefusedForGoodEndsWithItsError) {
  connect("");
  std::promise<Status> end;
  ASSERT_TRUE(
      client_->subscribe({}, [&](const Result<Lease>& lease) { end.set_value(lease.error()); })
          .ok());
  service_.welcome();
  service_.refuse(service_.next(), v1::REFUSAL_REASON_PAUSED, 60);
  const v1::QueueFrame again = service_.next();
  EXPECT_TRUE(again.has_subscribe()) << "a pause is no end";
  service_.refuse(again, v1::REFUSAL_REASON_UNKNOWN_QUEUE);
  EXPECT_EQ(end.get_future().get().code(), StatusCode::kNotFound);
  EXPECT_FALSE(service_.next(milliseconds(100)).has_subscribe());
}

TEST_F(ZmqQueueClientTest, TooManyCallsAreRefusedAtOnceAndStopEndsTheOthers) {
  auto client = create_zmq_queue_client(
      {.address = service_.address(), .client_name = "c", .producer = "", .calls_max_count = 3});
  ASSERT_TRUE(client.has_value());
  client_ = *std::move(client);
  service_.welcome();
  std::vector<std::future<Status>> ends;
  for (uint64_t i = 1; i <= 3; ++i) ends.push_back(settle({.lease_id = i}));
  EXPECT_EQ(client_->settle({.lease_id = 4}, {}).code(), StatusCode::kResourceExhausted);
  client_->stop();
  for (auto& end : ends) {
    ASSERT_EQ(end.wait_for(seconds(0)), std::future_status::ready);
    EXPECT_EQ(end.get().code(), StatusCode::kCancelled);
  }
}

}  // namespace
}  // namespace verbatim::queue
