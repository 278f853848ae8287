#include "queue/queue_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/frame.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::FakeClock;
using testing::FaultFileSystem;
using ::testing::IsEmpty;

// The queues without sockets, over a disk in memory.
class QueueCoreTest : public ::testing::Test {
 protected:
  QueueCoreTest() {
    options_.log.directory = "/queue";
    options_.log.segment_bytes = 1024 * 1024;
    options_.message_max_bytes = 32 * 1024;
    open();
  }

  void open() {
    core_.reset();
    auto core = QueueCore::open(disk_, clock_, options_);
    ASSERT_TRUE(core.has_value()) << core.error().to_string();
    core_ = *std::move(core);
    hello("p");
    hello("c");
  }
  // What a killed process and a power cut leave.
  void crash() {
    core_.reset();
    disk_.power_cut_dropping_all();
    open();
  }

  // Answers to one request, after the group has been synced.
  std::vector<v1::QueueFrame> ask(const std::string& peer, v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle(peer, base::encode_frame(frame));
    return flush();
  }
  std::vector<v1::QueueFrame> flush() {
    EXPECT_TRUE(core_->commit_group().ok());
    std::vector<v1::QueueFrame> frames;
    for (const Outgoing& outgoing : core_->take_outgoing()) {
      v1::QueueFrame frame;
      EXPECT_TRUE(base::decode_frame(outgoing.frame, frame).ok());
      frames.push_back(frame);
    }
    return frames;
  }
  v1::QueueFrame ask_one(const std::string& peer, v1::QueueFrame frame) {
    const auto frames = ask(peer, std::move(frame));
    EXPECT_EQ(frames.size(), 1u);
    return frames.empty() ? v1::QueueFrame() : frames[0];
  }

  v1::QueueFrame hello(const std::string& peer, const std::string& instance = "1") {
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client("client-" + peer);
    frame.mutable_hello()->set_instance(instance);
    return ask_one(peer, frame);
  }
  v1::QueueFrame open_producer(uint64_t epoch, const std::string& peer = "p") {
    v1::QueueFrame frame;
    frame.mutable_open_producer()->set_queue("events");
    frame.mutable_open_producer()->set_producer("producer");
    frame.mutable_open_producer()->set_epoch(epoch);
    return ask_one(peer, frame);
  }

  struct Message {
    std::string body;
    std::string key = "room";
    std::string source_key = {};
    std::string verdict = {};
  };
  static v1::QueueFrame put_frame(uint64_t epoch, uint64_t first_sequence,
                                  const std::vector<Message>& messages) {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue("events");
    put.set_producer("producer");
    put.set_epoch(epoch);
    put.set_first_sequence(first_sequence);
    for (const Message& message : messages) {
      v1::PutMessage* added = put.add_messages();
      added->set_body(message.body);
      added->set_order_key(message.key);
      added->set_source_key(message.source_key);
      added->set_verdict(message.verdict);
      added->set_source("source");
    }
    return frame;
  }
  v1::QueueFrame put(uint64_t epoch, uint64_t first_sequence,
                     const std::vector<Message>& messages) {
    return ask_one("p", put_frame(epoch, first_sequence, messages));
  }
  // Puts under the next number of epoch 5.
  void store(const std::vector<Message>& messages) {
    const auto known = open_producer(0).open_producer_reply();
    if (known.epoch() != 5) {
      ASSERT_TRUE(open_producer(5).has_open_producer_reply());
    }
    const uint64_t last = known.epoch() == 5 ? known.last_sequence() : 0;
    const auto reply = put(5, last + 1, messages);
    ASSERT_TRUE(reply.has_put_reply()) << reply.ShortDebugString();
  }

  static v1::QueueFrame receive_frame(int64_t max_count = 100, int64_t wait_ms = 0) {
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue("events");
    receive.set_max_count(max_count);
    receive.set_max_bytes(1 << 20);
    receive.set_lease_ms(1'000);
    receive.set_wait_ms(wait_ms);
    return frame;
  }
  v1::ReceiveReply receive(int64_t max_count = 100, const std::string& peer = "c") {
    return ask_one(peer, receive_frame(max_count)).receive_reply();
  }
  v1::QueueFrame commit(uint64_t lease_id, const std::vector<uint64_t>& ids = {},
                        const std::string& peer = "c") {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue("events");
    frame.mutable_commit()->set_lease_id(lease_id);
    for (const uint64_t id : ids) frame.mutable_commit()->add_lookup_ids(id);
    return ask_one(peer, frame);
  }
  v1::QueueFrame abort(uint64_t lease_id) {
    v1::QueueFrame frame;
    frame.mutable_abort()->set_queue("events");
    frame.mutable_abort()->set_lease_id(lease_id);
    return ask_one("c", frame);
  }
  static std::vector<std::string> bodies(const v1::ReceiveReply& reply) {
    std::vector<std::string> all;
    for (const auto& message : reply.messages()) all.push_back(message.body());
    return all;
  }
  v1::QueueInfo info() { return core_->list_queues().queues(0); }

  FaultFileSystem disk_;
  FakeClock clock_;
  CoreOptions options_;
  std::unique_ptr<QueueCore> core_;
  uint64_t request_id_ = 0;
};

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

// --- leases ---

TEST_F(QueueCoreTest, AnExpiredLeaseGivesItsMessagesOutAgain) {
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

TEST_F(QueueCoreTest, ASilentConsumerLosesItsLeases) {
  options_.consumer_silence_max = milliseconds(500);
  open();
  store({{"a"}});
  receive();
  clock_.advance(milliseconds(501));
  core_->tick();
  hello("d");
  EXPECT_THAT(bodies(receive(10, "d")), ElementsAre("a"));
}

TEST_F(QueueCoreTest, AHeartbeatKeepsTheLease) {
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

TEST_F(QueueCoreTest, ANewInstanceOfTheSameClientEndsTheOldOnesLeases) {
  store({{"a"}});
  receive();
  v1::QueueFrame frame;
  frame.mutable_hello()->set_client("client-c");
  frame.mutable_hello()->set_instance("2");
  ask_one("c2", frame);
  EXPECT_THAT(bodies(receive(10, "c2")), ElementsAre("a"));
}

TEST_F(QueueCoreTest, AReplyThatCannotBeDeliveredGivesItsLeaseBack) {
  store({{"a"}});
  auto frame = receive_frame();
  frame.set_request_id(99);
  core_->handle("c", base::encode_frame(frame));
  ASSERT_TRUE(core_->commit_group().ok());
  const auto outgoing = core_->take_outgoing();
  ASSERT_EQ(outgoing.size(), 1u);
  core_->undeliverable(outgoing[0]);
  EXPECT_THAT(bodies(receive()), ElementsAre("a"));
}

TEST_F(QueueCoreTest, AnotherClientsLeaseCannotBeSettled) {
  store({{"a"}});
  const auto lease = receive();
  EXPECT_EQ(commit(lease.lease_id(), {}, "p").refused().reason(), v1::REFUSAL_REASON_LEASE_LOST);
}

TEST_F(QueueCoreTest, DeliveryCountsSurviveARestart) {
  store({{"a"}});
  abort(receive().lease_id());
  receive();
  crash();
  EXPECT_EQ(receive().messages(0).delivery_count(), 3);
}

// --- order ---

TEST_F(QueueCoreTest, AKeyUnderLeaseWaitsAndOthersGoOn) {
  store({{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"a3", "a"}});
  const auto first = receive(1);
  EXPECT_THAT(bodies(first), ElementsAre("a1"));
  EXPECT_THAT(bodies(receive()), ElementsAre("b1"));
  EXPECT_THAT(bodies(receive()), IsEmpty());
  commit(first.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("a2", "a3"));
}

TEST_F(QueueCoreTest, AbortedMessagesComeBackInTheirOldOrder) {
  store({{"1", "a"}, {"2", "b"}, {"3", "a"}, {"4", "b"}});
  const auto lease = receive(3);
  EXPECT_THAT(bodies(lease), ElementsAre("1", "2", "3"));
  abort(lease.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "2", "3", "4"));
}

TEST_F(QueueCoreTest, APartOfALeaseCanBeCommitted) {
  store({{"1", "a"}, {"2", "b"}, {"3", "c"}});
  const auto lease = receive();
  EXPECT_EQ(commit(lease.lease_id(), {2}).settle_reply().settled_count(), 1);
  EXPECT_EQ(info().depth(), 2);
  abort(lease.lease_id());
  EXPECT_THAT(bodies(receive()), ElementsAre("1", "3"));
}

// --- waiting receives ---

TEST_F(QueueCoreTest, AWaitingReceiveIsAnsweredByThePut) {
  EXPECT_THAT(ask("c", receive_frame(10, 1'000)), IsEmpty());
  open_producer(5);
  auto frame = put_frame(5, 1, {{"a"}});
  const auto answers = ask("p", frame);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].has_put_reply());
  EXPECT_THAT(bodies(answers[1].receive_reply()), ElementsAre("a"));
}

TEST_F(QueueCoreTest, AWaitingReceiveEndsEmptyAfterItsTime) {
  ask("c", receive_frame(10, 1'000));
  clock_.advance(milliseconds(1'001));
  core_->tick();
  const auto answers = flush();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].receive_reply().lease_id(), 0u);
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

// --- recycling ---

class QueueRecyclingTest : public QueueCoreTest {
 protected:
  // Fills and drains the queue so that the log rolls on.
  void roll(int rounds) {
    const std::string big(20'000, 'x');
    for (int i = 0; i < rounds; ++i) {
      store({{big, "roll"}, {big, "roll"}, {big, "roll"}, {big, "roll"}});
      const auto lease = receive(4);
      ASSERT_EQ(lease.messages_size(), 4);
      commit(lease.lease_id());
      core_->tick();
      flush();
    }
  }
};

TEST_F(QueueRecyclingTest, ADrainedLogDoesNotGrow) {
  roll(200);
  EXPECT_LE(core_->list_queues().log().segment_count(), 3);
  EXPECT_GT(core_->log().newest_generation(), 10u);
}

TEST_F(QueueRecyclingTest, LiveMessagesKeysAndCountsSurviveRecycling) {
  store(
      {{"old", "quiet", "old-key", "old-verdict"}, {"gone", "quiet2", "gone-key", "gone-verdict"}});
  const auto lease = receive();
  commit(lease.lease_id(), {2});
  const uint64_t first = core_->log().oldest_generation();
  // The first message stays leased, so that the rounds below do not get it.
  for (int i = 0; i < 300 && core_->log().oldest_generation() <= first + 2; ++i) roll(1);
  ASSERT_GT(core_->log().oldest_generation(), first + 2) << "the oldest segments were recycled";
  crash();
  const auto again = receive();
  ASSERT_EQ(again.messages_size(), 1);
  EXPECT_EQ(again.messages(0).body(), "old");
  EXPECT_EQ(again.messages(0).lookup_id(), 1u);
  EXPECT_EQ(again.messages(0).delivery_count(), 2);
  open_producer(9);
  const auto reply = put(9, 1, {{"x", "q", "old-key", ""}, {"x", "q", "gone-key", ""}}).put_reply();
  EXPECT_EQ(reply.results(0).first_verdict(), "old-verdict");
  EXPECT_EQ(reply.results(1).first_verdict(), "gone-verdict");
  EXPECT_EQ(reply.results(1).lookup_id(), 2u);
}

TEST_F(QueueRecyclingTest, BodiesAreReadFromTheDiskWhenTheCacheIsSmall) {
  options_.log.cache_bytes = 1;
  open();
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(std::string(1'000, static_cast<char>('a' + i % 26)));
    store({{expected.back()}});
  }
  EXPECT_EQ(bodies(receive()), expected);
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

}  // namespace
}  // namespace verbatim::queue
