// What no consumer may take and no command may go around: dead letters, journals, holds.
#include <gmock/gmock.h>

#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using ::testing::ElementsAre;

class QueueHoldTest : public testing::EventsQueueFixture {
 protected:
  QueueHoldTest() {
    options_.queues = {"events", "elsewhere"};
    crash();
  }

  Status transfer(v1::TransferRequest::Kind kind, const std::string& from,
                  const std::string& to = {}) {
    v1::TransferRequest request;
    request.set_kind(kind);
    request.set_queue(from);
    request.set_to_queue(to);
    const auto started = core_->start_transfer(request);
    if (!started) return started.error();
    for (int i = 0; i < 10 && !core_->transfer_progress(*started)->is_done(); ++i) {
      clock_.advance(std::chrono::milliseconds(100));
      core_->tick();
      flush();
    }
    EXPECT_TRUE(core_->transfer_progress(*started)->is_done());
    return {};
  }
  Status purge(const std::string& queue) {
    return transfer(v1::TransferRequest::KIND_PURGE, queue);
  }
  Status move(const std::string& from, const std::string& to) {
    return transfer(v1::TransferRequest::KIND_MOVE, from, to);
  }
  void set_hold(const std::string& queue, bool is_held) {
    v1::SwitchQueueRequest request;
    request.set_queue(queue);
    request.set_action(is_held ? v1::SwitchQueueRequest::ACTION_HOLD
                               : v1::SwitchQueueRequest::ACTION_RELEASE_HOLD);
    ASSERT_TRUE(core_->switch_queue(request).ok());
    flush();
  }
  void configure_journal() {
    v1::ConfigureQueueRequest request;
    request.set_queue("events");
    request.mutable_settings()->set_has_journal(true);
    ASSERT_TRUE(core_->configure_queue(request).ok());
    flush();
  }
  v1::QueueFrame receive_from(const std::string& queue) {
    auto frame = receive_frame();
    frame.mutable_receive()->set_queue(queue);
    return ask_one("c", frame);
  }
  v1::DestroyDeadLettersRequest everything() {
    v1::DestroyDeadLettersRequest request;
    request.set_queue("events");
    return request;
  }
};

constexpr auto kHeld = StatusCode::kFailedPrecondition;

TEST_F(QueueHoldTest, NoConsumerTakesDeadLettersOrJournalCopies) {
  configure_journal();
  store({{"a"}, {"b"}});
  commit(receive(1).lease_id());
  ASSERT_TRUE(purge("events").ok());
  for (const char* queue : {"events;dead-letters", "events;journal"}) {
    EXPECT_EQ(receive_from(queue).refused().reason(), v1::REFUSAL_REASON_INVALID) << queue;
    v1::QueueFrame subscribe;
    subscribe.mutable_subscribe()->set_queue(queue);
    subscribe.mutable_subscribe()->set_credit_messages(10);
    subscribe.mutable_subscribe()->set_lease_ms(1'000);
    EXPECT_EQ(ask_one("c", subscribe).refused().reason(), v1::REFUSAL_REASON_INVALID) << queue;
  }
}

TEST_F(QueueHoldTest, AHoldCoversTheSubQueues) {
  configure_journal();
  store({{"a"}, {"b"}, {"c"}});
  const auto lease = receive(2);
  commit(lease.lease_id(), {lease.messages(0).lookup_id()});
  v1::QueueFrame abandon;
  abandon.mutable_abandon()->set_queue("events");
  abandon.mutable_abandon()->set_lease_id(lease.lease_id());
  ask_one("c", abandon);
  set_hold("events", true);
  EXPECT_EQ(purge("events").code(), kHeld);
  EXPECT_EQ(purge("events;poison").code(), kHeld);
  v1::TrimJournalRequest trim;
  trim.set_queue("events");
  trim.set_up_to_lookup_id(100);
  EXPECT_EQ(core_->trim_journal(trim).error().code(), kHeld);
  set_hold("events", false);
  set_hold("events;journal", true);
  EXPECT_EQ(core_->trim_journal(trim).error().code(), kHeld);
  EXPECT_TRUE(purge("events;poison").ok());
}

// A move to a queue without a hold, a purge there and a destruction there would be three plain
// commands around it.
TEST_F(QueueHoldTest, AMoveIsNoWayAroundAHold) {
  store({{"a"}, {"b"}});
  ASSERT_TRUE(purge("events").ok());
  set_hold("events", true);
  EXPECT_EQ(move("events;dead-letters", "elsewhere").code(), kHeld);
  EXPECT_EQ(transfer(v1::TransferRequest::KIND_REDRIVE, "events;dead-letters", "elsewhere").code(),
            kHeld);
  set_hold("elsewhere", true);
  EXPECT_TRUE(move("events;dead-letters", "elsewhere").ok());
}

TEST_F(QueueHoldTest, DeliveryGoesOnUnderAHold) {
  store({{"a"}});
  ASSERT_TRUE(purge("events").ok());
  set_hold("events", true);
  ASSERT_TRUE(transfer(v1::TransferRequest::KIND_REDRIVE, "events;dead-letters").ok());
  const auto lease = receive();
  EXPECT_THAT(bodies(lease), ElementsAre("a"));
  EXPECT_EQ(commit(lease.lease_id()).settle_reply().settled_count(), 1);
}

TEST_F(QueueHoldTest, ADestructionNamesEveryMessage) {
  store({{"a"}, {"b"}, {"c"}, {"d"}});
  ASSERT_TRUE(purge("events").ok());
  auto request = everything();
  request.mutable_filter()->add_lookup_ids(1);
  request.mutable_filter()->add_lookup_ids(2);
  request.mutable_filter()->add_lookup_ids(4);
  request.set_token(core_->destroy_dead_letters(request)->token());
  const auto answer = core_->destroy_dead_letters(request);
  ASSERT_TRUE(answer.has_value()) << answer.error().to_string();
  EXPECT_THAT(answer->lookup_id_ranges(), ElementsAre(1, 2, 4, 1));
  EXPECT_EQ(answer->next_lookup_id(), 0u);
}

TEST_F(QueueHoldTest, ADestructionSaysWhereItStoppedLooking) {
  for (int i = 0; i < 21; ++i) store(std::vector<Message>(100, {"a"}));
  ASSERT_TRUE(purge("events").ok());
  // Every other one, so that there are more ranges than one audit entry takes.
  auto request = everything();
  for (uint64_t id = 1; id <= 2'100; id += 2) request.mutable_filter()->add_lookup_ids(id);
  const auto first = core_->destroy_dead_letters(request);
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  EXPECT_EQ(first->message_count(), 1'000);
  EXPECT_EQ(first->next_lookup_id(), 2'000u);
  request.set_from_lookup_id(first->next_lookup_id());
  const auto rest = core_->destroy_dead_letters(request);
  EXPECT_EQ(rest->message_count(), 50);
  EXPECT_EQ(rest->first_lookup_id(), 2'001u);
  EXPECT_EQ(rest->next_lookup_id(), 0u);
}

TEST_F(QueueHoldTest, ASubQueueHasNoJournal) {
  v1::CreateQueueRequest create;
  create.set_queue("events;own");
  create.mutable_settings()->set_has_journal(true);
  EXPECT_EQ(core_->create_queue(create).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace verbatim::queue
