#include "queue/queue_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/frame.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using QueueCoreTest = testing::EventsQueueFixture;

// --- answers and durability ---

TEST_F(QueueCoreTest, NoAnswerLeavesBeforeItsGroupIsSynced) {
  open_producer(5);
  auto frame = put_frame(5, 1, {{"a"}});
  frame.set_request_id(1);
  core_->handle("p", base::encode_frame(frame));
  EXPECT_THAT(core_->take_outgoing(), IsEmpty());
  auto group = core_->seal();
  ASSERT_NE(group, nullptr);
  EXPECT_THAT(core_->take_outgoing(), IsEmpty());
  ASSERT_TRUE(core_->log().write(*group).ok());
  EXPECT_THAT(core_->take_outgoing(), IsEmpty());
  core_->group_done(*group);
  EXPECT_EQ(core_->take_outgoing().size(), 1u);
}

TEST_F(QueueCoreTest, ALeaseNamesTheFolderItsLookupIdsBelongTo) {
  store({{"a"}});
  const std::string log_id = receive().log_id();
  EXPECT_EQ(log_id.size(), 8u);
  crash();
  EXPECT_EQ(receive().log_id(), log_id);
  core_.reset();
  options_.log.directory = "/emptied";
  open();
  store({{"b"}});
  const auto reply = receive();
  EXPECT_THAT(bodies(reply), ElementsAre("b"));
  EXPECT_EQ(reply.log_id().size(), 8u);
  EXPECT_NE(reply.log_id(), log_id);
}

TEST_F(QueueCoreTest, ARepeatOfAPutInFlightWaitsForItsGroupToo) {
  open_producer(5);
  auto frame = put_frame(5, 1, {{"a"}});
  frame.set_request_id(1);
  core_->handle("p", base::encode_frame(frame));
  auto group = core_->seal();
  frame.set_request_id(2);
  core_->handle("p", base::encode_frame(frame));
  EXPECT_THAT(core_->take_outgoing(), IsEmpty());
  ASSERT_TRUE(core_->log().write(*group).ok());
  core_->group_done(*group);
  EXPECT_EQ(core_->take_outgoing().size(), 2u);
  EXPECT_EQ(info().depth(), 1);
}

TEST_F(QueueCoreTest, AnsweredMessagesSurviveAPowerCut) {
  store({{"a"}, {"b"}});
  crash();
  EXPECT_THAT(bodies(receive()), ElementsAre("a", "b"));
}

TEST_F(QueueCoreTest, CommittedMessagesStayGone) {
  store({{"a"}, {"b"}, {"c"}});
  const auto lease = receive(2);
  EXPECT_EQ(commit(lease.lease_id()).settle_reply().settled_count(), 2);
  crash();
  EXPECT_THAT(bodies(receive()), ElementsAre("c"));
  EXPECT_EQ(info().committed_count(), 2);
}

TEST_F(QueueCoreTest, LookupIdsAreNeverReused) {
  store({{"a"}});
  commit(receive().lease_id());
  crash();
  store({{"b"}});
  EXPECT_EQ(receive().messages(0).lookup_id(), 2u);
}

// --- hop numbering ---

TEST_F(QueueCoreTest, AGapInTheNumbersIsRefusedWithTheExpectedOne) {
  open_producer(5);
  put(5, 1, {{"a"}});
  const auto refused = put(5, 3, {{"c"}}).refused();
  EXPECT_EQ(refused.reason(), v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  EXPECT_EQ(refused.expected_sequence(), 2u);
  EXPECT_EQ(info().depth(), 1);
}

TEST_F(QueueCoreTest, ARepeatedPutIsAnsweredAsTheFirstTimeEvenAfterARestart) {
  open_producer(5);
  const auto first = put(5, 1, {{"a"}, {"b"}}).put_reply();
  EXPECT_EQ(put(5, 1, {{"a"}, {"b"}}).put_reply().SerializeAsString(), first.SerializeAsString());
  crash();
  EXPECT_EQ(put(5, 1, {{"a"}, {"b"}}).put_reply().SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(info().depth(), 2);
}

TEST_F(QueueCoreTest, APutThatOverlapsStoresOnlyWhatIsNew) {
  open_producer(5);
  put(5, 1, {{"a"}, {"b"}});
  const auto reply = put(5, 2, {{"b"}, {"c"}}).put_reply();
  ASSERT_EQ(reply.results_size(), 2);
  EXPECT_EQ(reply.results(0).lookup_id(), 2u);
  EXPECT_EQ(reply.results(1).lookup_id(), 3u);
  EXPECT_THAT(bodies(receive()), ElementsAre("a", "b", "c"));
}

TEST_F(QueueCoreTest, AnOlderEpochIsFenced) {
  open_producer(5);
  EXPECT_EQ(open_producer(5).refused().reason(), v1::REFUSAL_REASON_FENCED);
  open_producer(7);
  const auto refused = put(5, 1, {{"a"}}).refused();
  EXPECT_EQ(refused.reason(), v1::REFUSAL_REASON_FENCED);
  EXPECT_EQ(refused.expected_epoch(), 7u);
  crash();
  EXPECT_EQ(put(5, 1, {{"a"}}).refused().reason(), v1::REFUSAL_REASON_FENCED);
  EXPECT_EQ(info().depth(), 0);
}

TEST_F(QueueCoreTest, AnUnknownProducerThatGoesOnAboveOneIsRefused) {
  EXPECT_EQ(put(5, 2, {{"a"}}).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
  EXPECT_EQ(put(5, 1, {{"a"}}).put_reply().results_size(), 1);
  EXPECT_EQ(put(6, 1, {{"a"}}).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
}

TEST_F(QueueCoreTest, TheLastNumberIsToldAfterARestart) {
  open_producer(5);
  put(5, 1, {{"a"}, {"b"}});
  crash();
  const auto known = open_producer(0).open_producer_reply();
  EXPECT_EQ(known.epoch(), 5u);
  EXPECT_EQ(known.last_sequence(), 2u);
}

// --- source keys ---

TEST_F(QueueCoreTest, ARepeatedSourceKeyStoresNothingAndGetsTheFirstVerdict) {
  store({{"a", "room", "key", "first"}});
  commit(receive().lease_id());
  crash();
  open_producer(9);
  const auto reply = put(9, 1, {{"b", "room", "key", "second"}}).put_reply();
  ASSERT_EQ(reply.results_size(), 1);
  EXPECT_TRUE(reply.results(0).is_repeat());
  EXPECT_EQ(reply.results(0).first_verdict(), "first");
  EXPECT_EQ(reply.results(0).lookup_id(), 1u);
  EXPECT_EQ(info().depth(), 0);
  EXPECT_EQ(info().repeat_count(), 1);
  // The repeat used a number, and its own repeat is answered alike.
  const auto again = put(9, 1, {{"b", "room", "key", "second"}}).put_reply();
  EXPECT_EQ(again.SerializeAsString(), reply.SerializeAsString());
}

TEST_F(QueueCoreTest, TwoEqualSourceKeysInOnePutAreARepeat) {
  open_producer(5);
  const auto reply = put(5, 1, {{"a", "x", "key", "v"}, {"b", "x", "key", "w"}}).put_reply();
  EXPECT_FALSE(reply.results(0).is_repeat());
  EXPECT_TRUE(reply.results(1).is_repeat());
  EXPECT_EQ(info().depth(), 1);
}

TEST_F(QueueCoreTest, ASourceKeyIsForgottenAfterTheWindow) {
  options_.source_key_window = seconds(10);
  open();
  store({{"a", "room", "key"}});
  clock_.advance(seconds(11));
  core_->tick();
  hello("p");
  store({{"b", "room", "key"}});
  EXPECT_EQ(info().depth(), 2);
}

TEST_F(QueueCoreTest, SourceCountsAreStampedAndSurvive) {
  store({{"a"}, {"b"}});
  crash();
  store({{"c"}});
  const auto lease = receive();
  EXPECT_EQ(lease.messages(2).source_count(), 3u);
  EXPECT_EQ(info().accepted_by_source().at("source"), 3u);
}

// --- bounds ---

TEST_F(QueueCoreTest, AboveTheQuotaPutsAreFullAndCommitsFit) {
  options_.quota_bytes = 3'000;
  open();
  const std::string big(1'000, 'x');
  open_producer(5);
  uint64_t sequence = 1;
  v1::QueueFrame reply;
  do {
    reply = put(5, sequence, {{big}});
    core_->tick();
  } while (reply.has_put_reply() && ++sequence < 10);
  EXPECT_EQ(reply.refused().reason(), v1::REFUSAL_REASON_FULL);
  EXPECT_GT(reply.refused().retry_after_ms(), 0);
  EXPECT_EQ(info().depth(), 3);
  // What is stored already is answered though full.
  EXPECT_TRUE(put(5, 1, {{big}}).has_put_reply());
  EXPECT_TRUE(commit(receive(2).lease_id()).has_settle_reply());
  core_->tick();
  EXPECT_TRUE(put(5, sequence, {{big}}).has_put_reply());
}

// The put is asked about again because its answer was lost.
TEST_F(QueueCoreTest, WhatIsStoredIsAnsweredAsTheFirstTimeWhateverTheRulesAreNow) {
  const std::string big(20'000, 'x');
  open_producer(5);
  EXPECT_EQ(put(5, 1, {{big}}).put_reply().results(0).lookup_id(), 1u);
  options_.message_max_bytes = 1'000;
  crash();
  EXPECT_EQ(put(5, 1, {{big}}).put_reply().results(0).lookup_id(), 1u);
  const auto both = put(5, 1, {{big}, {"small"}});
  ASSERT_EQ(both.put_reply().results_size(), 2) << both.ShortDebugString();
  EXPECT_EQ(both.put_reply().results(1).lookup_id(), 2u);
  EXPECT_EQ(put(5, 3, {{big}}).refused().reason(), v1::REFUSAL_REASON_TOO_LARGE);
  EXPECT_EQ(info().depth(), 2);
}

TEST_F(QueueCoreTest, TooLittleFreeDiskIsFull) {
  options_.free_disk_min_bytes = 1024 * 1024;
  // A segment, the reserve, and twice what must stay free.
  disk_.set_capacity(4 * 1024 * 1024);
  open();
  open_producer(5);
  clock_.advance(seconds(2));
  core_->tick();
  const auto first = put(5, 1, {{"a"}});
  disk_.set_capacity(3 * 1024 * 1024);
  clock_.advance(seconds(2));
  core_->tick();
  EXPECT_TRUE(first.has_put_reply()) << first.ShortDebugString();
  EXPECT_EQ(put(5, 2, {{"b"}}).refused().reason(), v1::REFUSAL_REASON_FULL);
  EXPECT_TRUE(commit(receive().lease_id()).has_settle_reply());
}

// However fast it is filled: no time passes here.
TEST_F(QueueCoreTest, ItsOwnSegmentsDoNotTakeWhatMustStayFree) {
  options_.free_disk_min_bytes = 2 * 1024 * 1024;
  disk_.set_capacity(8 * 1024 * 1024);
  open();
  open_producer(5);
  uint64_t sequence = 1;
  v1::QueueFrame reply;
  do {
    reply = put(5, sequence, {{std::string(30 * 1024, 'x')}});
    core_->tick();
  } while (reply.has_put_reply() && ++sequence < 1'000);
  EXPECT_EQ(reply.refused().reason(), v1::REFUSAL_REASON_FULL);
  const auto segment = static_cast<int64_t>(options_.log.segment_bytes);
  EXPECT_GE(static_cast<int64_t>(*disk_.free_bytes(options_.log.directory)),
            options_.free_disk_min_bytes - 2 * segment);
}

TEST_F(QueueCoreTest, MoreThanTheCreditIsRefused) {
  options_.client_credit_count = 2;
  open();
  for (int i = 0; i < 2; ++i) EXPECT_THAT(ask("c", receive_frame(10, 1'000)), IsEmpty());
  EXPECT_EQ(ask_one("c", receive_frame(10, 1'000)).refused().reason(),
            v1::REFUSAL_REASON_CREDIT_EXCEEDED);
}

TEST_F(QueueCoreTest, TooLargeMessagesAreRefused) {
  open_producer(5);
  EXPECT_EQ(put(5, 1, {{std::string(32 * 1024 + 1, 'x')}}).refused().reason(),
            v1::REFUSAL_REASON_TOO_LARGE);
}

TEST_F(QueueCoreTest, AStrangerIsAskedForAHello) {
  EXPECT_EQ(ask_one("stranger", receive_frame()).refused().reason(),
            v1::REFUSAL_REASON_HELLO_WANTED);
}

TEST_F(QueueCoreTest, AnUnknownQueueIsRefused) {
  auto frame = receive_frame();
  frame.mutable_receive()->set_queue("other");
  EXPECT_EQ(ask_one("c", frame).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
}

TEST_F(QueueCoreTest, WhileStoppingPutsAreRefused) {
  open_producer(5);
  core_->start_stopping();
  EXPECT_EQ(put(5, 1, {{"a"}}).refused().reason(), v1::REFUSAL_REASON_STOPPING);
}

TEST_F(QueueCoreTest, TooManyRequestsForOneGroupWaitForTheNext) {
  open_producer(5);
  // A group takes 128 KiB here.
  const std::string big(30'000, 'x');
  for (uint64_t i = 1; i <= 10; ++i) {
    auto frame = put_frame(5, i, {{big}});
    frame.set_request_id(100 + i);
    core_->handle("p", base::encode_frame(frame));
  }
  EXPECT_TRUE(core_->is_full_of_requests());
  const auto answers = flush();
  ASSERT_EQ(answers.size(), 10u);
  for (const auto& answer : answers) EXPECT_TRUE(answer.has_put_reply());
  EXPECT_EQ(info().depth(), 10);
}

TEST_F(QueueCoreTest, ManyRepeatsOfSourceKeysDoNotOutgrowTheControlState) {
  // A put of nothing but repeats has an answer of its own for each message.
  options_.log.directory = "/small";
  options_.log.segment_bytes = 64 * 1024;
  options_.message_max_bytes = 2'048;
  open();
  store({{"a", "x", "key-a"}, {"b", "y", "key-b"}});
  commit(receive().lease_id());
  std::vector<Message> repeats;
  for (int i = 0; i < 20; ++i) repeats.push_back({"r", "x", i % 2 == 0 ? "key-a" : "key-b"});
  for (int i = 0; i < 300; ++i) store(repeats);
  const uint64_t last = open_producer(0).open_producer_reply().last_sequence();
  EXPECT_EQ(put(5, last - 19, repeats).put_reply().results_size(), 20);
  EXPECT_EQ(put(5, 3, repeats).refused().reason(), v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  crash();
  EXPECT_EQ(put(5, last - 19, repeats).put_reply().results_size(), 20);
}

TEST_F(QueueCoreTest, ASilentConsumersWaitingReceiveEndsEmpty) {
  options_.consumer_silence_max = milliseconds(500);
  open();
  ask("c", receive_frame(10, 10'000));
  clock_.advance(milliseconds(501));
  core_->tick();
  const auto answers = flush();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].receive_reply().lease_id(), 0u);
}

TEST_F(QueueCoreTest, PeekShowsMetadataAndHasNoEffect) {
  store({{"a"}, {"b"}});
  receive(1);
  v1::PeekRequest request;
  request.set_queue("events");
  request.set_max_count(10);
  const auto peeked = core_->peek(request);
  ASSERT_TRUE(peeked.has_value());
  ASSERT_EQ(peeked->messages_size(), 2);
  EXPECT_TRUE(peeked->messages(0).is_leased());
  EXPECT_FALSE(peeked->messages(1).is_leased());
  EXPECT_EQ(peeked->messages(1).delivery_count(), 0);
  request.set_queue("other");
  EXPECT_EQ(core_->peek(request).error().code(), StatusCode::kNotFound);
}

// A disk on which one group is on its way and the next one is full.
class QueueOnAStalledDiskTest : public QueueCoreTest {
 protected:
  void stall() {
    open_producer(5);
    const std::string big(30'000, 'x');
    for (uint64_t sequence = 1; !core_->is_full_of_requests(); ++sequence) {
      ASSERT_LT(sequence, 200u);
      v1::QueueFrame frame = put_frame(5, sequence, {{big}});
      frame.set_request_id(++request_id_);
      core_->handle("p", base::encode_frame(frame));
      if (in_flight_ == nullptr) in_flight_ = core_->seal();
    }
  }
  void say(const std::string& peer, v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle(peer, base::encode_frame(frame));
  }
  std::vector<v1::QueueFrame> go_on() {
    EXPECT_TRUE(core_->log().write(*in_flight_).ok());
    core_->group_done(*in_flight_);
    return flush();
  }

  std::unique_ptr<LogGroup> in_flight_;
};

TEST_F(QueueOnAStalledDiskTest, ARequestThatOutlivesItsClientIsRefused) {
  ASSERT_NO_FATAL_FAILURE(stall());
  say("c", receive_frame(100));
  core_->undeliverable({.peer = "c", .frame = "", .lease_id = 0});
  bool is_refused = false;
  for (const auto& frame : go_on()) {
    is_refused |= frame.refused().reason() == v1::REFUSAL_REASON_HELLO_WANTED;
  }
  EXPECT_TRUE(is_refused);
}

TEST_F(QueueOnAStalledDiskTest, NobodyCountsAsSilentWhileNothingIsRead) {
  ASSERT_NO_FATAL_FAILURE(stall());
  for (int i = 0; i < 20; ++i) {
    clock_.advance(std::chrono::seconds(1));
    core_->tick();
  }
  go_on();
  core_->tick();
  EXPECT_FALSE(core_->is_full_of_requests());
  EXPECT_GT(receive().messages_size(), 0) << "the consumer is known still";
  // Then it has to be heard again.
  for (int i = 0; i < 20; ++i) {
    clock_.advance(std::chrono::seconds(1));
    core_->tick();
  }
  EXPECT_EQ(ask_one("c", receive_frame()).refused().reason(), v1::REFUSAL_REASON_HELLO_WANTED);
}

}  // namespace
}  // namespace verbatim::queue
