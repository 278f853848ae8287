// Every QueueClient keeps one contract: the producer's side. queue_client_consumer_test.cc has the
// consumer's.
#include "queue/client/queue_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/queue_client_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using QueueClientContract = QueueClientFixture;

TEST_P(QueueClientContract, WhatIsPutIsReceivedOnceInOrder) {
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 500; ++i) outcomes.push_back(put(message(i)));
  uint64_t last = 0;
  for (Outcome& outcome : outcomes) {
    const auto result = wait(outcome);
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
    EXPECT_EQ(result->lookup_id, last + 1);
    EXPECT_FALSE(result->is_repeat);
    last = result->lookup_id;
  }
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 500u);
  for (int i = 0; i < 500; ++i) {
    const v1::QueueMessage& got = lease.messages[static_cast<size_t>(i)];
    EXPECT_EQ(got.body(), std::to_string(i));
    EXPECT_EQ(got.source_count(), static_cast<uint64_t>(i) + 1);
    EXPECT_EQ(got.delivery_count(), 1);
    EXPECT_EQ(got.order_key(), "room");
  }
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 0u);
}

TEST_P(QueueClientContract, LabelAndCorrelationIdComeWithTheirMessage) {
  PutRequest request = message(1);
  request.label = "label";
  request.correlation_id = std::string("\0\xff", 2);
  ASSERT_TRUE(put_and_wait(std::move(request)));
  ASSERT_TRUE(put_and_wait(message(2)));
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 2u);
  EXPECT_EQ(lease.messages[0].label(), "label");
  EXPECT_EQ(lease.messages[0].correlation_id(), std::string("\0\xff", 2));
  EXPECT_EQ(lease.messages[1].label(), "");
  EXPECT_EQ(lease.messages[1].correlation_id(), "");
}

TEST_P(QueueClientContract, AnAcknowledgementQueueThatIsMissingRefusesThatPutOnly) {
  PutRequest request = message(1);
  request.acknowledge = {.queue = "nowhere", .on_reached = true, .on_consumed = true};
  EXPECT_EQ(put_and_wait(std::move(request)).error().code(), StatusCode::kNotFound);
  ASSERT_TRUE(put_and_wait(message(2)));
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("2"));
}

TEST_P(QueueClientContract, ARepeatOfASourceKeyGetsTheFirstVerdict) {
  PutRequest first = message(1);
  first.source_key = "key";
  first.verdict = "first";
  PutRequest second = message(2);
  second.source_key = "key";
  second.verdict = "second";
  const auto stored = put_and_wait(std::move(first));
  const auto repeat = put_and_wait(std::move(second));
  ASSERT_TRUE(stored && repeat);
  EXPECT_FALSE(stored->is_repeat);
  EXPECT_TRUE(repeat->is_repeat);
  EXPECT_EQ(repeat->first_verdict, "first");
  EXPECT_EQ(repeat->lookup_id, stored->lookup_id);
  EXPECT_EQ(backend_->depth(), 1u);
}

TEST_P(QueueClientContract, APutThatWasNeverSentIsWithdrawnAtItsDeadline) {
  ASSERT_TRUE(put_and_wait(message(0)));
  client_->stop();
  backend_->go_down();
  client_ = backend_->connect("b");
  const auto result = put_and_wait(message(1), in(milliseconds(100)));
  EXPECT_EQ(result.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(is_in_doubt(result.error())) << result.error().to_string();
  backend_->come_back();
  ASSERT_TRUE(put_and_wait(message(2)));
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("0", "2"));
}

TEST_P(QueueClientContract, PutsMadeWhileTheServiceIsAwayAreStoredWhenItIsBack) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->go_down();
  std::vector<Outcome> outcomes;
  for (int i = 1; i <= 50; ++i) outcomes.push_back(put(message(i)));
  backend_->come_back();
  for (Outcome& outcome : outcomes) {
    const auto result = wait(outcome);
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
  }
  std::vector<std::string> expected;
  for (int i = 0; i <= 50; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(bodies(receive()), expected);
}

TEST_P(QueueClientContract, ALostAnswerIsInDoubtAndLaterKnown) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->lose_answers();
  auto late = std::make_shared<std::promise<Result<PutOutcome>>>();
  Outcome known = late->get_future();
  PutRequest request = message(1);
  request.late = [late](Result<PutOutcome> outcome) { late->set_value(std::move(outcome)); };
  const auto result = put_and_wait(std::move(request), in(milliseconds(100)));
  EXPECT_EQ(result.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(is_in_doubt(result.error())) << result.error().to_string();
  backend_->come_back();
  const auto outcome = wait(known);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome->lookup_id, 2u);
  ASSERT_TRUE(put_and_wait(message(2)));
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("0", "1", "2"));
}

TEST_P(QueueClientContract, StopGivesEveryPutItsEnd) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->go_down();
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 10; ++i) outcomes.push_back(put(message(i)));
  client_->stop();
  for (Outcome& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(seconds(0)), std::future_status::ready);
    EXPECT_EQ(outcome.get().error().code(), StatusCode::kCancelled);
  }
  EXPECT_EQ(client_->put(message(1), kForever, [](auto) {}).code(), StatusCode::kCancelled);
  EXPECT_EQ(client_->receive({}).error().code(), StatusCode::kCancelled);
}

TEST_P(QueueClientContract, AnUnusableFieldIsRefusedAtOnce) {
  PutRequest request = message(1);
  request.source.clear();
  EXPECT_EQ(client_->put(std::move(request), kForever, [](auto) {}).code(),
            StatusCode::kInvalidArgument);
}

TEST_P(QueueClientContract, ATooLargeMessageIsRefusedAtOnceWithBothNumbers) {
  ASSERT_TRUE(put_and_wait(message(0)));
  PutRequest large = message(1);
  large.body = std::string(kMessageMaxBytes, 'x');
  large.envelope = "x";
  const Status status = client_->put(std::move(large), kForever, [](const auto&) {});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), ::testing::HasSubstr(std::to_string(kMessageMaxBytes + 1)));
  EXPECT_THAT(status.message(), ::testing::HasSubstr("=" + std::to_string(kMessageMaxBytes)));
}

// The client may not know the limit yet: then the service refuses, and only the message that is
// too large ends so.
TEST_P(QueueClientContract, OfAMixOfGoodAndRefusedPutsEachHasOneEndAndNoIdIsLost) {
  std::vector<Outcome> outcomes;
  std::vector<std::string> expected;
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    PutRequest request = message(i);
    const bool is_bad = i % 17 == 3;
    if (is_bad) request.envelope = std::string(kMessageMaxBytes, 'x');
    auto promise = std::make_shared<std::promise<Result<PutOutcome>>>();
    const Status status = client_->put(
        std::move(request), kForever,
        [promise](Result<PutOutcome> outcome) { promise->set_value(std::move(outcome)); });
    if (!is_bad) expected.push_back(std::to_string(i));
    if (status.ok()) {
      outcomes.push_back(promise->get_future());
    } else {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.to_string();
      ++refused;
    }
  }
  std::set<uint64_t> ids;
  for (Outcome& outcome : outcomes) {
    const auto result = wait(outcome);
    if (result) {
      EXPECT_TRUE(ids.insert(result->lookup_id).second);
    } else {
      EXPECT_EQ(result.error().code(), StatusCode::kInvalidArgument) << result.error().to_string();
      ++refused;
    }
  }
  EXPECT_EQ(refused, 12);
  EXPECT_EQ(ids.size(), expected.size());
  const Lease lease = receive();
  EXPECT_EQ(bodies(lease), expected);
  for (const v1::QueueMessage& got : lease.messages) EXPECT_EQ(ids.count(got.lookup_id()), 1u);
}

TEST_P(QueueClientContract, AFullQueueIsTriedUntilItTakesThePutOrItsDeadline) {
  ASSERT_TRUE(put_and_wait(message(0)));
  EXPECT_EQ(client_->state().condition, ClientCondition::kReady);
  backend_->become_full();
  const auto withdrawn = put_and_wait(message(1), in(milliseconds(1'500)));
  EXPECT_EQ(withdrawn.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(is_in_doubt(withdrawn.error())) << withdrawn.error().to_string();
  Outcome waiting = put(message(2));
  const auto end = in(kPatience);
  while (client_->state().condition != ClientCondition::kFull) {
    ASSERT_LT(base::system_clock().monotonic(), end) << client_->state().sentence;
    std::this_thread::yield();
  }
  EXPECT_TRUE(client_->is_connected());
  EXPECT_NE(client_->state().sentence, "");
  EXPECT_NE(waiting.wait_for(seconds(0)), std::future_status::ready);
  backend_->come_back();
  const auto stored = wait(waiting);
  ASSERT_TRUE(stored.has_value()) << stored.error().to_string();
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("0", "2"));
}

TEST_P(QueueClientContract, WhatDoesNotFitIntoTheClientsMemoryIsRefusedAtOnce) {
  backend_->go_down();
  const auto small = backend_->connect("small", 20'000);
  int taken = 0;
  Status status;
  while (status.ok() && taken < 100) {
    PutRequest request = message(taken);
    request.body = std::string(1'000, 'x');
    status = small->put(std::move(request), kForever, [](const auto&) {});
    if (status.ok()) ++taken;
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.to_string();
  EXPECT_GT(taken, 10);
  EXPECT_LT(taken, 21);
  // What has ended gives its room back.
  backend_->come_back();
  const auto end = in(kPatience);
  do {
    ASSERT_LT(base::system_clock().monotonic(), end);
    status = small->put(message(0), kForever, [](const auto&) {});
  } while (!status.ok());
  small->stop();
}

TEST_P(QueueClientContract, ManyThreadsShareOneClientAndEachGetsItsOwnOutcome) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::vector<std::vector<uint64_t>> ids(kThreads);
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const auto outcome =
              client_->put_and_wait(message(i, "key" + std::to_string(t)), kForever);
          if (outcome) ids[static_cast<size_t>(t)].push_back(outcome->lookup_id);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::map<std::string, std::vector<uint64_t>> stored;
  for (const v1::QueueMessage& got : receive().messages) {
    std::vector<uint64_t>& all = stored[got.order_key()];
    EXPECT_EQ(got.body(), std::to_string(all.size()));
    all.push_back(got.lookup_id());
  }
  ASSERT_EQ(stored.size(), static_cast<size_t>(kThreads));
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(stored["key" + std::to_string(t)], ids[static_cast<size_t>(t)]);
  }
}

// --- what only the service has: a second queue, and settings ---

using QueueServiceContract = QueueClientFixture;

v1::Acknowledgement word_of(const v1::QueueMessage& message) {
  v1::Acknowledgement word;
  EXPECT_TRUE(word.ParseFromString(message.body()));
  return word;
}

TEST_P(QueueServiceContract, AnAcknowledgementTellsThatAMessageCameWasConsumedOrEndedOtherwise) {
  const auto answers = backend_->connect_to_answers("words");
  for (int i = 1; i <= 2; ++i) {
    PutRequest request = message(i);
    request.label = "label";
    request.correlation_id = "about " + std::to_string(i);
    request.acknowledge = {.queue = "answers", .on_reached = true, .on_consumed = true};
    ASSERT_TRUE(put_and_wait(std::move(request)));
  }
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 2u);
  ASSERT_TRUE(client_->commit(lease.id, std::vector{lease.messages[0].lookup_id()}).ok());
  ASSERT_TRUE(
      client_->abandon(lease.id, std::vector{lease.messages[1].lookup_id()}, "unreadable").ok());
  const Lease words = receive_from(*answers);
  ASSERT_EQ(words.messages.size(), 4u);
  const auto kind_of = [&](size_t i) { return word_of(words.messages[i]).kind(); };
  EXPECT_EQ(kind_of(0), v1::Acknowledgement::KIND_REACHED);
  EXPECT_EQ(kind_of(1), v1::Acknowledgement::KIND_REACHED);
  EXPECT_EQ(kind_of(2), v1::Acknowledgement::KIND_CONSUMED);
  EXPECT_EQ(kind_of(3), v1::Acknowledgement::KIND_ENDED);
  EXPECT_EQ(word_of(words.messages[3]).reason(), v1::END_REASON_ABANDONED);
  EXPECT_EQ(words.messages[2].correlation_id(), "about 1");
  EXPECT_EQ(words.messages[3].correlation_id(), "about 2");
  EXPECT_EQ(words.messages[3].label(), "label");
  EXPECT_EQ(word_of(words.messages[2]).lookup_id(), lease.messages[0].lookup_id());
  EXPECT_TRUE(answers->commit(words.id).ok());
  answers->stop();
}

TEST_P(QueueServiceContract, OfAnExclusiveQueueOneConsumerIsActiveUntilItIsGone) {
  backend_->become_exclusive();
  const auto second = backend_->connect("b");
  ASSERT_TRUE(put_and_wait(message(1, "x")));
  ASSERT_TRUE(put_and_wait(message(2, "y")));
  const Lease lease = receive(1);
  EXPECT_THAT(bodies(lease), ::testing::ElementsAre("1"));
  EXPECT_TRUE(gets_nothing(*second, milliseconds(500))) << "another key waits, too";
  ASSERT_TRUE(client_->commit(lease.id).ok());
  EXPECT_THAT(bodies(receive(1)), ::testing::ElementsAre("2"));
  client_->stop();
  EXPECT_THAT(bodies(receive_from(*second)), ::testing::ElementsAre("2"));
  second->stop();
}

INSTANTIATE_TEST_SUITE_P(All, QueueClientContract,
                         ::testing::Values(Implementation{"Memory", make_memory_backend},
                                           Implementation{"Service", make_service_backend}),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Service, QueueServiceContract,
                         ::testing::Values(Implementation{"Service", make_service_backend}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace verbatim::queue
