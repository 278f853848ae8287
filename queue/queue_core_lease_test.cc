// Leases: how long they hold, what ends them, and in which order messages go out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/frame.h"
#include "queue/queue_core.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using QueueLeaseTest = testing::EventsQueueFixture;

// --- leases ---

TEST_F(QueueLeaseTest, WhatIsBehindALeaseGoesToItsConsumerWhoNamesItAndToNobodyElse) {
  store({{"a"}, {"b"}, {"c"}});
  const auto first = receive(1);
  v1::QueueFrame frame = receive_frame(1);
  frame.mutable_receive()->add_behind_lease_ids(first.lease_id() + 1);
  EXPECT_THAT(bodies(ask_one("c", frame).receive_reply()), IsEmpty()) << "of no such lease";
  frame.mutable_receive()->add_behind_lease_ids(first.lease_id());
  hello("d");
  EXPECT_THAT(bodies(ask_one("d", frame).receive_reply()), IsEmpty()) << "of another's";
  EXPECT_THAT(bodies(ask_one("c", frame).receive_reply()), ElementsAre("b"));
  // The answer was lost, say: its lease cannot be named, so what is behind it waits.
  frame.mutable_receive()->clear_behind_lease_ids();
  frame.mutable_receive()->add_behind_lease_ids(first.lease_id());
  EXPECT_THAT(bodies(ask_one("c", frame).receive_reply()), IsEmpty());
  EXPECT_TRUE(commit(first.lease_id()).has_settle_reply());
  EXPECT_THAT(bodies(receive()), IsEmpty());
  clock_.advance(milliseconds(1'001));
  core_->tick();
  EXPECT_THAT(bodies(receive()), ElementsAre("b", "c"));
}

TEST_F(QueueLeaseTest, AWaitingConsumerGetsWhatWasBehindItsLeaseWhenThatEnds) {
  store({{"a"}});
  const auto first = receive();
  v1::QueueFrame frame = receive_frame(10, 1'000);
  frame.mutable_receive()->add_behind_lease_ids(first.lease_id());
  EXPECT_TRUE(ask("c", frame).empty());
  store({{"b"}});
  v1::QueueFrame ended;
  ended.mutable_commit()->set_queue("events");
  ended.mutable_commit()->set_lease_id(first.lease_id());
  const auto answers = ask("c", ended);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_THAT(bodies(answers[1].receive_reply()), ElementsAre("b"));
}

// It gave the second message out again while it was leased, and closed the key for good.
TEST_F(QueueLeaseTest, ALeaseThatIsNamedTwiceCountsOnce) {
  store({{"a"}, {"b"}, {"c"}});
  const auto first = receive(1);
  const auto second = [&] {
    v1::QueueFrame frame = receive_frame(1);
    frame.mutable_receive()->add_behind_lease_ids(first.lease_id());
    frame.mutable_receive()->add_behind_lease_ids(first.lease_id());
    return ask_one("c", frame).receive_reply();
  };
  const auto next = second();
  EXPECT_THAT(bodies(next), ElementsAre("b"));
  EXPECT_THAT(bodies(second()), IsEmpty()) << "two of the key are out, one is named";
  EXPECT_EQ(info().leased_count(), 2);
  EXPECT_TRUE(commit(first.lease_id()).has_settle_reply());
  EXPECT_TRUE(commit(next.lease_id()).has_settle_reply());
  EXPECT_EQ(info().leased_count(), 0);
  EXPECT_THAT(bodies(receive()), ElementsAre("c"));
}

TEST_F(QueueLeaseTest, TooManyNamedLeasesAreRefused) {
  v1::QueueFrame frame = receive_frame();
  for (uint64_t id = 1; id <= 17; ++id) frame.mutable_receive()->add_behind_lease_ids(id);
  EXPECT_EQ(ask_one("c", frame).refused().reason(), v1::REFUSAL_REASON_INVALID);
}

TEST_F(QueueLeaseTest, AnExpiredLeaseGivesItsMessagesOutAgain) {
  store({{"a"}});
  const auto first = receive();
  EXPECT_THAT(bodies(receive()), IsEmpty());
  clock_.advance(milliseconds(1'001));
  core_->tick();
  const auto second = receive();
  ASSERT_EQ(second.messages_size(), 1);
  EXPECT_EQ(second.messages(0).delivery_count(), 2);
  EXPECT_EQ(commit(first.lease_id()).refused().reason(), v1::REFUSAL_REASON_LEASE_LOST);
  EXPECT_EQ(info().redelivered_count(), 1);
}

TEST_F(QueueLeaseTest, ASilentConsumerLosesItsLeases) {
  options_.consumer_silence_max = milliseconds(500);
  open();
  store({{"a"}});
  receive();
  clock_.advance(milliseconds(501));
  core_->tick();
  hello("d");
  EXPECT_THAT(bodies(receive(10, "d")), ElementsAre("a"));
}

TEST_F(QueueLeaseTest, AHeartbeatKeepsTheLease) {
  options_.consumer_silence_max = milliseconds(500);
  open();
  store({{"a"}});
  const auto lease = receive();
  for (int i = 0; i < 3; ++i) {
    clock_.advance(milliseconds(300));
    v1::QueueFrame frame;
    frame.mutable_heartbeat();
    core_->handle("c", base::encode_frame(frame));
    core_->tick();
  }
  EXPECT_TRUE(commit(lease.lease_id()).has_settle_reply());
}

TEST_F(QueueLeaseTest, ANewInstanceOfTheSameClientEndsTheOldOnesLeases) {
  store({{"a"}});
  receive();
  v1::QueueFrame frame;
  frame.mutable_hello()->set_client("client-c");
  frame.mutable_hello()->set_instance("2");
  ask_one("c2", frame);
  EXPECT_THAT(bodies(receive(10, "c2")), ElementsAre("a"));
}

TEST_F(QueueLeaseTest, AReplyThatCannotBeDeliveredGivesItsLeaseBack) {
  store({{"a"}});
  auto frame = receive_frame();
  frame.set_request_id(99);
  core_->handle("c", base::encode_frame(frame));
  ASSERT_TRUE(core_->commit_group().ok());
  const auto outgoing = core_->take_outgoing();
  ASSERT_EQ(outgoing.size(), 1u);
  core_->undeliverable(outgoing[0]);
  hello("c");
  EXPECT_THAT(bodies(receive()), ElementsAre("a"));
}

TEST_F(QueueLeaseTest, AnotherClientsLeaseCannotBeSettled) {
  store({{"a"}});
  const auto lease = receive();
  EXPECT_EQ(commit(lease.lease_id(), {}, "p").refused().reason(), v1::REFUSAL_REASON_LEASE_LOST);
}

TEST_F(QueueLeaseTest, DeliveryCountsSurviveARestart) {
  store({{"a"}});
  abort(receive().lease_id());
  receive();
  crash();
  EXPECT_EQ(receive().messages(0).delivery_count(), 3);
}

// --- order ---

TEST_F(QueueLeaseTest, AKeyUnderLeaseWaitsAndOthersGoOn) {
  store({{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"a3", "a"}});
  const auto first = receive(1);
  EXPECT_THAT(bodies(first), ElementsAre("a1"));
  EXPECT_THAT(bodies(receive()), ElementsAre("b1"));
  EXPECT_THAT(bodies(receive()), IsEmpty());
  commit(first.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("a2", "a3"));
}

TEST_F(QueueLeaseTest, AMessageIsReceivedByItsNumberWhereThatBreaksNoOrder) {
  store({{"a", "x"}, {"b", "x"}, {"c", "y"}});
  const auto receive_by = [this](uint64_t lookup_id) {
    v1::QueueFrame frame = receive_frame(0, 60'000);
    frame.mutable_receive()->set_lookup_id(lookup_id);
    return ask_one("c", frame).receive_reply();
  };
  EXPECT_THAT(bodies(receive_by(2)), IsEmpty()) << "the key's first message is before it";
  EXPECT_THAT(bodies(receive_by(9)), IsEmpty()) << "there is no such message";
  const auto third = receive_by(3);
  EXPECT_THAT(bodies(third), ElementsAre("c"));
  EXPECT_THAT(bodies(receive_by(3)), IsEmpty()) << "it is under a lease";
  const auto first = receive_by(1);
  EXPECT_THAT(bodies(receive_by(2)), IsEmpty());
  EXPECT_TRUE(commit(first.lease_id()).has_settle_reply());
  EXPECT_THAT(bodies(receive_by(2)), ElementsAre("b"));
  EXPECT_TRUE(commit(third.lease_id()).has_settle_reply());
  EXPECT_THAT(bodies(receive()), IsEmpty());
}

TEST_F(QueueLeaseTest, AbortedMessagesComeBackInTheirOldOrder) {
  store({{"1", "a"}, {"2", "b"}, {"3", "a"}, {"4", "b"}});
  const auto lease = receive(3);
  EXPECT_THAT(bodies(lease), ElementsAre("1", "2", "3"));
  abort(lease.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "2", "3", "4"));
}

TEST_F(QueueLeaseTest, APartOfALeaseCanBeCommitted) {
  store({{"1", "a"}, {"2", "b"}, {"3", "c"}});
  const auto lease = receive();
  EXPECT_EQ(commit(lease.lease_id(), {2}).settle_reply().settled_count(), 1);
  EXPECT_EQ(info().depth(), 2);
  abort(lease.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "3"));
}

// --- waiting receives ---

TEST_F(QueueLeaseTest, AWaitingReceiveIsAnsweredByThePut) {
  EXPECT_THAT(ask("c", receive_frame(10, 1'000)), IsEmpty());
  open_producer(5);
  auto frame = put_frame(5, 1, {{"a"}});
  const auto answers = ask("p", frame);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].has_put_reply());
  EXPECT_THAT(bodies(answers[1].receive_reply()), ElementsAre("a"));
}

TEST_F(QueueLeaseTest, AWaitingReceiveEndsEmptyAfterItsTime) {
  ask("c", receive_frame(10, 1'000));
  clock_.advance(milliseconds(1'001));
  core_->tick();
  const auto answers = flush();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].receive_reply().lease_id(), 0u);
}

}  // namespace
}  // namespace verbatim::queue
