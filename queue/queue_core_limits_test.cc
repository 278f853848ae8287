// Marks that are left again, commits that do not fit into one unit, disks that take no more, and
// consumers that come back after a silence.
#include <gmock/gmock.h>

#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

class QueueLimitsTest : public testing::EventsQueueFixture {
 protected:
  void pass(milliseconds time) {
    clock_.advance(time);
    core_->tick();
    flush();
  }
  v1::QueueFrame heartbeat(const std::string& peer) {
    v1::QueueFrame frame;
    frame.mutable_heartbeat();
    const auto answers = ask(peer, frame);
    return answers.empty() ? v1::QueueFrame() : answers[0];
  }
  v1::QueueFrame subscribe_frame() {
    v1::QueueFrame frame;
    frame.mutable_subscribe()->set_queue("events");
    frame.mutable_subscribe()->set_credit_messages(10);
    frame.mutable_subscribe()->set_credit_bytes(1'000'000);
    frame.mutable_subscribe()->set_lease_ms(10'000);
    return frame;
  }
};

TEST_F(QueueLimitsTest, ASmallQuotaIsLeftAgain) {
  options_.quota_messages = 1;
  crash();
  store({{"a"}});
  pass(milliseconds(10));
  EXPECT_EQ(put(5, 2, {{"b"}}).refused().reason(), v1::REFUSAL_REASON_FULL);
  commit(receive().lease_id());
  pass(milliseconds(10));
  EXPECT_TRUE(put(5, 2, {{"b"}}).has_put_reply());
}

TEST_F(QueueLimitsTest, ASmallQuotaOfAQueueIsLeftAgain) {
  v1::ConfigureQueueRequest request;
  request.set_queue("events");
  request.mutable_settings()->set_quota_messages(5);
  request.mutable_settings()->set_low_mark_percent(10);
  ASSERT_TRUE(core_->configure_queue(request).ok());
  flush();
  store({{"a"}, {"b"}, {"c"}, {"d"}, {"e"}});
  EXPECT_EQ(put(5, 6, {{"f"}}).refused().reason(), v1::REFUSAL_REASON_FULL);
  commit(receive().lease_id());
  EXPECT_TRUE(put(5, 6, {{"f"}}).has_put_reply());
}

// A thousand acknowledgements of 8 KiB each do not fit into a group of this log.
TEST_F(QueueLimitsTest, ACommitWithManyAcknowledgementsGoesInParts) {
  options_.queues = {"events", "answers"};
  crash();
  open_producer(5);
  const std::string key(4'000, 'k');
  for (uint64_t i = 0; i < 100; ++i) {
    auto frame = put_frame(5, 1 + i * 10, std::vector<Message>(10, {"a", key}));
    for (v1::PutMessage& message : *frame.mutable_put()->mutable_messages()) {
      message.mutable_acknowledge()->set_queue("answers");
      message.mutable_acknowledge()->set_on_consumed(true);
    }
    ASSERT_TRUE(ask_one("p", frame).has_put_reply());
  }
  auto receive = receive_frame(1'000);
  receive.mutable_receive()->set_max_bytes(64 << 20);
  const auto lease = ask_one("c", receive).receive_reply();
  ASSERT_EQ(lease.messages_size(), 1'000);
  EXPECT_EQ(commit(lease.lease_id()).settle_reply().settled_count(), 1'000);
  const auto queues = core_->list_queues();
  EXPECT_EQ(queues.queues(1).name(), "answers");
  EXPECT_EQ(queues.queues(1).depth(), 1'000);
  crash();
  EXPECT_EQ(core_->list_queues().queues(0).depth(), 0);
  EXPECT_EQ(core_->list_queues().queues(1).depth(), 1'000);
}

TEST_F(QueueLimitsTest, TooManySourceKeysStopOnlyPutsThatHaveOne) {
  options_.source_key_max_bytes = 1;
  crash();
  store({{"a", "room", "key"}});
  EXPECT_EQ(put(5, 2, {{"b", "room", "other"}}).refused().reason(), v1::REFUSAL_REASON_FULL);
  EXPECT_TRUE(put(5, 2, {{"b"}}).has_put_reply());
  bool is_raised = false;
  for (const auto& alarm : core_->alarm_conditions()) {
    is_raised = is_raised || (alarm.name == "service-full" && alarm.subject == "source-keys");
  }
  EXPECT_TRUE(is_raised);
}

TEST_F(QueueLimitsTest, LostAcknowledgementsAreAnAlarmUntilTheirQueueIsBack) {
  v1::CreateQueueRequest create;
  create.set_queue("answers");
  ASSERT_TRUE(core_->create_queue(create).ok());
  flush();
  open_producer(5);
  auto frame = put_frame(5, 1, {{"a"}});
  frame.mutable_put()->mutable_messages(0)->mutable_acknowledge()->set_queue("answers");
  frame.mutable_put()->mutable_messages(0)->mutable_acknowledge()->set_on_consumed(true);
  ASSERT_TRUE(ask_one("p", frame).has_put_reply());
  v1::DeleteQueueRequest remove;
  remove.set_queue("answers");
  ASSERT_TRUE(core_->delete_queue(remove).has_value());
  pass(seconds(1));
  flush();
  commit(receive().lease_id());
  const auto is_raised = [&] {
    for (const auto& alarm : core_->alarm_conditions()) {
      if (alarm.name == "acknowledgements-lost" && alarm.subject == "answers") return true;
    }
    return false;
  };
  EXPECT_TRUE(is_raised());
  ASSERT_TRUE(core_->create_queue(create).ok());
  EXPECT_FALSE(is_raised());
}

TEST_F(QueueLimitsTest, AConsumerThatWasSilentHasToSayHelloAndSubscribeAgain) {
  EXPECT_TRUE(ask("c", subscribe_frame()).empty());
  pass(options_.consumer_silence_max + seconds(1));
  EXPECT_EQ(heartbeat("c").refused().reason(), v1::REFUSAL_REASON_HELLO_WANTED);
  hello("p");
  store({{"a"}});
  hello("c");
  const auto pushed = ask_one("c", subscribe_frame());
  EXPECT_THAT(bodies(pushed.receive_reply()), ElementsAre("a"));
}

TEST_F(QueueLimitsTest, AConsumerThatCouldNotBeReachedHasToSayHelloAgain) {
  EXPECT_TRUE(ask("c", subscribe_frame()).empty());
  core_->undeliverable({.peer = "c", .frame = {}});
  EXPECT_EQ(heartbeat("c").refused().reason(), v1::REFUSAL_REASON_HELLO_WANTED);
}

TEST_F(QueueLimitsTest, ASubscriptionHearsThatItsQueueIsGone) {
  v1::CreateQueueRequest create;
  create.set_queue("short-lived");
  ASSERT_TRUE(core_->create_queue(create).ok());
  flush();
  auto frame = subscribe_frame();
  frame.mutable_subscribe()->set_queue("short-lived");
  EXPECT_TRUE(ask("c", frame).empty());
  v1::DeleteQueueRequest remove;
  remove.set_queue("short-lived");
  ASSERT_TRUE(core_->delete_queue(remove).has_value());
  clock_.advance(seconds(1));
  core_->tick();
  const auto answers = flush();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].request_id(), request_id_);
  EXPECT_EQ(answers[0].refused().reason(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
}

}  // namespace
}  // namespace verbatim::queue
