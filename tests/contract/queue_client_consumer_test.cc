// Every QueueClient keeps one contract: the consumer's side. queue_client_test.cc has the
// producer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "queue/client/queue_client.h"
#include "tests/contract/queue_client_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

using QueueClientConsumerContract = QueueClientFixture;

TEST_P(QueueClientConsumerContract, AnAbortedMessageComesAgainWithAHigherCount) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease first = receive();
  ASSERT_TRUE(client_->abort(first.id).ok());
  const Lease second = receive();
  ASSERT_EQ(second.messages.size(), 1u);
  EXPECT_EQ(second.messages[0].delivery_count(), 2);
  EXPECT_EQ(client_->commit(first.id).code(), StatusCode::kAborted);
  EXPECT_TRUE(client_->commit(second.id).ok());
}

TEST_P(QueueClientConsumerContract, OnlyTheNamedMessagesAreAborted) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 3u);
  ASSERT_TRUE(client_->abort(lease.id, {lease.messages[1].lookup_id()}).ok());
  EXPECT_THAT(bodies(receive()), ElementsAre("2"));
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 1u);
}

TEST_P(QueueClientConsumerContract, AKeyUnderLeaseIsNotGivenToAnyoneElse) {
  ASSERT_TRUE(put_and_wait(message(1, "x")));
  ASSERT_TRUE(put_and_wait(message(2, "x")));
  ASSERT_TRUE(put_and_wait(message(3, "y")));
  const Lease first = receive(1);
  EXPECT_THAT(bodies(first), ElementsAre("1"));
  const Lease other = receive();
  EXPECT_THAT(bodies(other), ElementsAre("3"));
  EXPECT_TRUE(client_->commit(first.id).ok());
  EXPECT_THAT(bodies(receive()), ElementsAre("2"));
}

TEST_P(QueueClientConsumerContract, WhoNamesTheLeasesThatItHoldsGetsWhatIsBehindThem) {
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(put_and_wait(message(i, "x")));
  const Lease first = receive(1);
  ReceiveOptions options{.max_count = 1, .wait = milliseconds(0)};
  options.behind_lease_ids = {first.id};
  Result<Lease> second = client_->receive_later(options).get();
  ASSERT_TRUE(second);
  EXPECT_THAT(bodies(*second), ElementsAre("2"));
  // There are two leases now, and one of them is not named.
  EXPECT_TRUE(client_->receive(options)->messages.empty());
  options.behind_lease_ids = {first.id, second->id};
  const Result<Lease> third = client_->receive(options);
  ASSERT_TRUE(third);
  EXPECT_THAT(bodies(*third), ElementsAre("3"));
  // What comes back goes out first, once all behind it has ended.
  EXPECT_TRUE(client_->abort(first.id).ok());
  options.behind_lease_ids = {second->id, third->id};
  EXPECT_TRUE(client_->receive(options)->messages.empty());
  EXPECT_TRUE(client_->commit(second->id).ok());
  EXPECT_TRUE(client_->commit(third->id).ok());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "4", "5"));
}

TEST_P(QueueClientConsumerContract, NobodyGetsWhatIsBehindTheLeaseOfAnother) {
  ASSERT_TRUE(put_and_wait(message(1, "x")));
  ASSERT_TRUE(put_and_wait(message(2, "x")));
  const Lease first = receive(1);
  const auto other = backend_->connect("other");
  ReceiveOptions options{.wait = milliseconds(0)};
  options.behind_lease_ids = {first.id};
  const Result<Lease> lease = other->receive(options);
  ASSERT_TRUE(lease);
  EXPECT_TRUE(lease->messages.empty());
  other->stop();
}

TEST_P(QueueClientConsumerContract, AMessageIsReceivedByItsNumberIfItsKeyAllowsIt) {
  const auto first = put_and_wait(message(1, "x"));
  const auto second = put_and_wait(message(2, "x"));
  const auto third = put_and_wait(message(3, "y"));
  ASSERT_TRUE(first && second && third);
  const auto receive_by = [this](uint64_t lookup_id) {
    auto lease = client_->receive({.wait = milliseconds(60'000), .lookup_id = lookup_id});
    EXPECT_TRUE(lease) << lease.error().to_string();
    return lease ? bodies(*lease) : std::vector<std::string>();
  };
  EXPECT_THAT(receive_by(second->lookup_id), ElementsAre());
  EXPECT_THAT(receive_by(third->lookup_id), ElementsAre("3"));
  EXPECT_THAT(receive_by(third->lookup_id), ElementsAre());
  EXPECT_THAT(receive_by(first->lookup_id), ElementsAre("1"));
}

TEST_P(QueueClientConsumerContract, AnEmptyQueueGivesNoLeaseAfterTheWait) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_TRUE(client_->commit(receive().id).ok());
  ReceiveOptions options;
  options.wait = milliseconds(30);
  const auto lease = client_->receive(options);
  ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
  EXPECT_EQ(lease->id, 0u);
}

TEST_P(QueueClientConsumerContract, AWaitingReceiveGetsWhatIsPutMeanwhile) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_TRUE(client_->commit(receive().id).ok());
  ReceiveOptions options;
  options.wait = kPatience;
  auto waiting = std::async(std::launch::async, [&] { return client_->receive(options); });
  ASSERT_TRUE(put_and_wait(message(2)));
  const auto lease = waiting.get();
  ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
  EXPECT_THAT(bodies(*lease), ElementsAre("2"));
}

TEST_P(QueueClientConsumerContract, APartialCommitLeavesTheRestUnderTheLease) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(put_and_wait(message(i)));
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 3u);
  const std::vector first{lease.messages[0].lookup_id()};
  EXPECT_TRUE(client_->commit(lease.id, first).ok());
  EXPECT_EQ(backend_->depth(), 2u);
  EXPECT_TRUE(client_->commit(lease.id, first).ok()) << "what is gone is passed over";
  EXPECT_EQ(backend_->depth(), 2u);
  EXPECT_TRUE(gets_nothing(*client_, milliseconds(20)));
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 0u);
  EXPECT_EQ(client_->commit(lease.id).code(), StatusCode::kAborted);
}

TEST_P(QueueClientConsumerContract, NamingNoMessageDoesNotMeanAll) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lease = receive();
  const std::vector<uint64_t> none;
  EXPECT_EQ(client_->commit(lease.id, none).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->abort(lease.id, none).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->abandon(lease.id, none, "why").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(backend_->depth(), 1u);
}

TEST_P(QueueClientConsumerContract, ManySettlementsGoAtOnceAndEachEnds) {
  constexpr int kCount = 60;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  }
  std::vector<std::future<Status>> ends;
  for (int i = 0; i < kCount; ++i) {
    auto promise = std::make_shared<std::promise<Status>>();
    ends.push_back(promise->get_future());
    ASSERT_TRUE(client_
                    ->settle({.lease_id = receive(1).id},
                             [promise](Status status) { promise->set_value(std::move(status)); })
                    .ok());
  }
  for (auto& end : ends) {
    ASSERT_EQ(end.wait_for(kPatience), std::future_status::ready);
    const Status status = end.get();
    EXPECT_TRUE(status.ok()) << status.to_string();
  }
  EXPECT_EQ(backend_->depth(), 0u);
}

TEST_P(QueueClientConsumerContract, AnExpiredLeaseIsLostAndItsMessagesComeAgain) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease first = receive_from(*client_, 10, milliseconds(50));
  const Lease second = receive();
  ASSERT_EQ(second.messages.size(), 1u);
  EXPECT_EQ(second.messages[0].delivery_count(), 2);
  EXPECT_EQ(client_->commit(first.id).code(), StatusCode::kAborted);
  EXPECT_TRUE(client_->commit(second.id).ok());
}

TEST_P(QueueClientConsumerContract, ALeaseIsOfOneClientOnly) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lease = receive();
  const auto other = backend_->connect("other");
  ASSERT_TRUE(other->put_and_wait(message(2), kForever));
  EXPECT_EQ(other->commit(lease.id).code(), StatusCode::kAborted);
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 1u);
  other->stop();
}

TEST_P(QueueClientConsumerContract, TheMessagesOfADeadConsumerGoToTheNextOfItsName) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_EQ(receive().messages.size(), 1u);
  client_->stop();
  client_ = backend_->connect("a");
  const Lease again = receive();
  EXPECT_THAT(bodies(again), ElementsAre("1"));
  EXPECT_EQ(again.messages.at(0).delivery_count(), 2);
}

TEST_P(QueueClientConsumerContract, LeasesDoNotOutliveTheConnection) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lease = receive();
  backend_->go_down();
  backend_->come_back();
  const auto end = in(kPatience);
  Status status;
  do {
    ASSERT_LT(base::system_clock().monotonic(), end);
    status = client_->commit(lease.id);
  } while (status.code() == StatusCode::kUnavailable);
  EXPECT_EQ(status.code(), StatusCode::kAborted) << status.to_string();
  EXPECT_THAT(bodies(receive()), ElementsAre("1"));
}

TEST_P(QueueClientConsumerContract, AfterStopEverySettlementIsRefusedOrEnded) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lease = receive();
  std::atomic<int> ended{0};
  ASSERT_TRUE(client_->settle({.lease_id = lease.id}, [&](const Status&) { ++ended; }).ok());
  client_->stop();
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(client_->commit(lease.id).code(), StatusCode::kCancelled);
  EXPECT_EQ(client_->subscribe({}, [](const auto&) {}).code(), StatusCode::kCancelled);
  EXPECT_EQ(client_->state().condition, ClientCondition::kStopped);
  client_->unsubscribe();
}

// --- what the service answers since it knows extend, abandon, delays and subscriptions ---

using QueueClientLeaseContract = QueueClientFixture;

TEST_P(QueueClientLeaseContract, AnExtendedLeaseHoldsLonger) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lease = receive_from(*client_, 10, milliseconds(300));
  const auto left = client_->extend(lease.id, std::chrono::seconds(20));
  ASSERT_TRUE(left.has_value()) << left.error().to_string();
  EXPECT_GT(*left, milliseconds(300));
  EXPECT_TRUE(gets_nothing(*client_, milliseconds(500)));
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(client_->extend(lease.id, std::chrono::seconds(1)).error().code(),
            StatusCode::kAborted);
}

TEST_P(QueueClientLeaseContract, AnAbortWithADelayHoldsItsKeyBackInOrder) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(put_and_wait(message(i, i == 3 ? "y" : "x")));
  const auto begin = base::system_clock().monotonic();
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 3u);
  ASSERT_TRUE(client_
                  ->abort(lease.id, std::vector{lease.messages[0].lookup_id()},
                          {.delay = milliseconds(400)})
                  .ok());
  ASSERT_TRUE(client_->abort(lease.id).ok());
  EXPECT_THAT(bodies(receive()), ElementsAre("3")) << "the other key is not held back";
  const Lease later = receive();
  EXPECT_GE(base::system_clock().monotonic() - begin, milliseconds(400));
  EXPECT_THAT(bodies(later), ElementsAre("1", "2"));
  EXPECT_EQ(later.messages.at(0).delivery_count(), 2);
}

TEST_P(QueueClientLeaseContract, WhatWasNotTriedIsNotCounted) {
  ASSERT_TRUE(put_and_wait(message(1)));
  for (int i = 0; i < 20; ++i) {
    const Lease lease = receive();
    ASSERT_EQ(lease.messages.size(), 1u);
    EXPECT_EQ(lease.messages[0].delivery_count(), 1);
    ASSERT_TRUE(client_->abort(lease.id, AbortOptions{.is_untried = true}).ok());
  }
  EXPECT_EQ(backend_->dead_count(), 0u);
}

TEST_P(QueueClientLeaseContract, AnAbandonedMessageLeavesAndIsNotLost) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(put_and_wait(message(i)));
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 3u);
  ASSERT_TRUE(
      client_->abandon(lease.id, std::vector{lease.messages[1].lookup_id()}, "unreadable").ok());
  EXPECT_EQ(backend_->depth(), 2u);
  EXPECT_EQ(backend_->dead_count(), 1u);
  ASSERT_TRUE(client_->abort(lease.id).ok());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "3"));
}

TEST_P(QueueClientLeaseContract, AMessageTriedTooOftenWaitsOutTheCycleAndHoldsItsKey) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_TRUE(put_and_wait(message(2)));
  ASSERT_TRUE(put_and_wait(message(3, "other")));
  // Five retries, then a cycle's delay of minutes.
  for (int i = 0; i < 6; ++i) {
    const Lease lease = receive(1);
    ASSERT_THAT(bodies(lease), ElementsAre("1")) << i;
    ASSERT_TRUE(client_->abort(lease.id).ok());
  }
  EXPECT_THAT(bodies(receive()), ElementsAre("3"));
  EXPECT_TRUE(gets_nothing(*client_, milliseconds(50)));
  EXPECT_EQ(backend_->depth(), 3u);
}

// Collects pushes; who settles is the test.
class Pushed {
 public:
  LeaseCallback callback() {
    return [this](Result<Lease> lease) {
      base::MutexLock lock(mutex_);
      if (lease) {
        leases_.push_back(*std::move(lease));
      } else {
        error_ = lease.error();
      }
      changed_.notify_all();
    };
  }
  // The next lease; one without messages if none comes.
  Lease next(milliseconds patience = kPatience) {
    base::MutexLock lock(mutex_);
    changed_.wait_for(mutex_, patience, [this]() REQUIRES(mutex_) { return !leases_.empty(); });
    if (leases_.empty()) return {};
    Lease lease = std::move(leases_.front());
    leases_.erase(leases_.begin());
    return lease;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<Lease> leases_ GUARDED_BY(mutex_);
  Status error_ GUARDED_BY(mutex_);
};

TEST_P(QueueClientLeaseContract, PushedMessagesStayWithinTheCredit) {
  constexpr int kCount = 12;
  constexpr size_t kCredit = 3;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  }
  Pushed pushed;
  ASSERT_TRUE(
      client_->subscribe({.credit_messages = kCredit, .batch_max_messages = 2}, pushed.callback())
          .ok());
  std::vector<std::string> got;
  std::vector<Lease> held;
  size_t unsettled = 0;
  while (got.size() < kCount) {
    Lease lease = pushed.next();
    ASSERT_FALSE(lease.messages.empty());
    ASSERT_LE(lease.messages.size(), 2u);
    for (const std::string& body : bodies(lease)) got.push_back(body);
    unsettled += lease.messages.size();
    ASSERT_LE(unsettled, kCredit);
    held.push_back(std::move(lease));
    if (unsettled < kCredit && got.size() < kCount) continue;
    EXPECT_TRUE(pushed.next(milliseconds(20)).messages.empty()) << "the credit is used up";
    for (const Lease& one : held) EXPECT_TRUE(client_->commit(one.id).ok());
    held.clear();
    unsettled = 0;
  }
  std::vector<std::string> expected;
  for (int i = 0; i < kCount; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(got, expected);
}

TEST_P(QueueClientLeaseContract, PushedBytesStayWithinTheCreditButOneMessageAlwaysGoes) {
  for (int i = 0; i < 3; ++i) {
    PutRequest request = message(i, "key" + std::to_string(i));
    request.body = std::string(1'000, static_cast<char>('a' + i));
    ASSERT_TRUE(put_and_wait(std::move(request)));
  }
  Pushed pushed;
  ASSERT_TRUE(client_->subscribe({.credit_bytes = 100}, pushed.callback()).ok());
  for (int i = 0; i < 3; ++i) {
    const Lease lease = pushed.next();
    ASSERT_EQ(lease.messages.size(), 1u);
    EXPECT_EQ(lease.messages[0].body()[0], 'a' + i);
    EXPECT_TRUE(pushed.next(milliseconds(20)).messages.empty());
    EXPECT_TRUE(client_->commit(lease.id).ok());
  }
}

TEST_P(QueueClientLeaseContract, AMessagePutLaterIsPushed) {
  Pushed pushed;
  ASSERT_TRUE(client_->subscribe({}, pushed.callback()).ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(put_and_wait(message(i)));
    const Lease lease = pushed.next();
    EXPECT_THAT(bodies(lease), ElementsAre(std::to_string(i)));
    EXPECT_TRUE(client_->commit(lease.id).ok());
  }
}

TEST_P(QueueClientLeaseContract, PushesGoOnAfterTheServiceWasAway) {
  Pushed pushed;
  ASSERT_TRUE(client_->subscribe({}, pushed.callback()).ok());
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease lost = pushed.next();
  ASSERT_THAT(bodies(lost), ElementsAre("1"));
  backend_->go_down();
  backend_->come_back();
  const Lease again = pushed.next();
  EXPECT_THAT(bodies(again), ElementsAre("1"));
  EXPECT_EQ(client_->commit(lost.id).code(), StatusCode::kAborted);
  EXPECT_TRUE(client_->commit(again.id).ok());
  EXPECT_EQ(backend_->depth(), 0u);
}

TEST_P(QueueClientLeaseContract, AfterUnsubscribeNoPushComesAndTheRestIsThereForOthers) {
  std::atomic<int> pushes{0};
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  }
  Pushed pushed;
  const auto collect = pushed.callback();
  ASSERT_TRUE(client_
                  ->subscribe({.credit_messages = 10, .batch_max_messages = 1},
                              [&](Result<Lease> lease) {
                                ++pushes;
                                collect(std::move(lease));
                              })
                  .ok());
  ASSERT_FALSE(pushed.next().messages.empty());
  client_->unsubscribe();
  const int before = pushes;
  std::vector<Lease> leases;
  while (true) {
    Lease lease = pushed.next(milliseconds(0));
    if (lease.messages.empty()) break;
    leases.push_back(std::move(lease));
  }
  // The first one, which is not among them, stays leased, too.
  const size_t rest = 100 - leases.size() - 1;
  size_t count = 0;
  while (count < rest) {
    const Lease lease = receive();
    ASSERT_FALSE(lease.messages.empty());
    count += lease.messages.size();
    EXPECT_TRUE(client_->commit(lease.id).ok());
  }
  EXPECT_EQ(count, rest);
  EXPECT_EQ(pushes, before);
  for (const Lease& lease : leases) EXPECT_TRUE(client_->commit(lease.id).ok());
}

TEST_P(QueueClientLeaseContract, ACallbackMayEndItsSubscription) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  Pushed pushed;
  const auto collect = pushed.callback();
  ASSERT_TRUE(client_
                  ->subscribe({.batch_max_messages = 1},
                              [&](Result<Lease> lease) {
                                client_->unsubscribe();
                                collect(std::move(lease));
                              })
                  .ok());
  EXPECT_THAT(bodies(pushed.next()), ElementsAre("0"));
  // The first stays leased, the rest comes by receive.
  size_t count = 0;
  while (count < 4) {
    const Lease lease = receive();
    ASSERT_FALSE(lease.messages.empty());
    count += lease.messages.size();
  }
  EXPECT_TRUE(pushed.next(milliseconds(0)).messages.empty());
}

TEST_P(QueueClientLeaseContract, TwoConsumersDivideTheKeysAndEachKeyKeepsItsOrder) {
  constexpr int kKeys = 10;
  constexpr int kEach = 20;
  for (int i = 0; i < kKeys * kEach; ++i) {
    put(message(i / kKeys, "key" + std::to_string(i % kKeys)));
  }
  ASSERT_TRUE(put_and_wait(message(kEach, "key0")));
  base::Mutex mutex;
  base::CondVar changed;
  std::map<std::string, int> next;
  int count = 0;
  const auto second = backend_->connect("b");
  const auto consume = [&](QueueClient& client) {
    return client.subscribe(
        {.credit_messages = 7, .batch_max_messages = 3}, [&](Result<Lease> lease) {
          ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
          base::MutexLock lock(mutex);
          for (const v1::QueueMessage& message : lease->messages) {
            EXPECT_EQ(message.body(), std::to_string(next[message.order_key()]++));
          }
          count += static_cast<int>(lease->messages.size());
          changed.notify_all();
          EXPECT_TRUE(client.settle({.lease_id = lease->id}, {}).ok());
        });
  };
  ASSERT_TRUE(consume(*client_).ok());
  ASSERT_TRUE(consume(*second).ok());
  {
    base::MutexLock lock(mutex);
    EXPECT_TRUE(changed.wait_for(mutex, kPatience, [&] { return count == kKeys * kEach + 1; }));
  }
  client_->stop();
  second->stop();
  EXPECT_EQ(count, kKeys * kEach + 1);
  for (const auto& [key, sum] : next) EXPECT_EQ(sum, key == "key0" ? kEach + 1 : kEach) << key;
}

INSTANTIATE_TEST_SUITE_P(All, QueueClientConsumerContract,
                         ::testing::Values(Implementation{"Memory", make_memory_backend},
                                           Implementation{"Service", make_service_backend}),
                         [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(All, QueueClientLeaseContract,
                         ::testing::Values(Implementation{"Memory", make_memory_backend},
                                           Implementation{"Service", make_service_backend}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace verbatim::queue
