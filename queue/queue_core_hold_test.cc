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

  static v1::TransferRequest request_of(v1::TransferRequest::Kind kind, const std::string& from,
                                        const std::string& to) {
    v1::TransferRequest request;
    request.set_kind(kind);
    request.set_queue(from);
    request.set_to_queue(to);
    return request;
  }
  Status transfer(v1::TransferRequest::Kind kind, const std::string& from,
                  const std::string& to = {}) {
    const auto started = core_->start_transfer(request_of(kind, from, to));
    if (!started) return started.error();
    finish(*started);
    return {};
  }
  // Its end; gives the error that it ended with.
  std::string finish(uint64_t transfer_id) {
    for (int i = 0; i < 10 && !core_->transfer_progress(transfer_id)->is_done(); ++i) {
      clock_.advance(std::chrono::milliseconds(100));
      core_->tick();
      flush();
    }
    EXPECT_TRUE(core_->transfer_progress(transfer_id)->is_done());
    return core_->transfer_progress(transfer_id)->error();
  }
  // Begun, with one message of several moved.
  uint64_t begin_slowly(v1::TransferRequest::Kind kind, const std::string& from,
                        const std::string& to = {}) {
    v1::TransferRequest request = request_of(kind, from, to);
    request.set_rate_max(1);
    const auto started = core_->start_transfer(request);
    EXPECT_TRUE(started.has_value());
    clock_.advance(std::chrono::seconds(1));
    core_->tick();
    flush();
    EXPECT_EQ(core_->transfer_progress(*started)->moved_count(), 1);
    return *started;
  }
  int64_t depth(const std::string& queue) {
    const auto listed = core_->list_queues();
    for (const auto& row : listed.queues()) {
      if (row.name() == queue) return row.depth();
    }
    return -1;
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

TEST_F(QueueHoldTest, AHoldStopsAPurgeAndAMoveThatAreUnderWay) {
  store({{"a"}, {"b"}, {"c"}, {"d"}});
  const uint64_t moved = begin_slowly(v1::TransferRequest::KIND_MOVE, "events", "elsewhere");
  const uint64_t purged = begin_slowly(v1::TransferRequest::KIND_PURGE, "events");
  const int64_t left = depth("events");
  ASSERT_GT(left, 0);
  set_hold("events", true);
  EXPECT_THAT(finish(moved), ::testing::HasSubstr("held"));
  EXPECT_THAT(finish(purged), ::testing::HasSubstr("held"));
  EXPECT_EQ(depth("events"), left);
}

TEST_F(QueueHoldTest, AMoveStopsWhereTheHoldOfItsTargetEnds) {
  store({{"a"}, {"b"}, {"c"}});
  set_hold("events", true);
  set_hold("elsewhere", true);
  const uint64_t moved = begin_slowly(v1::TransferRequest::KIND_MOVE, "events", "elsewhere");
  set_hold("elsewhere", false);
  EXPECT_THAT(finish(moved), ::testing::HasSubstr("hold the queue to move to"));
  EXPECT_EQ(depth("events"), 2);
}

TEST_F(QueueHoldTest, AHoldCallsOffADeletionThatIsUnderWay) {
  for (const bool is_restarted : {false, true}) {
    crash();
    v1::CreateQueueRequest create;
    create.set_queue(is_restarted ? "second" : "first");
    ASSERT_TRUE(core_->create_queue(create).ok());
    flush();
    store({{"a"}, {"b"}});
    ASSERT_TRUE(move("events", create.queue()).ok());
    // A lease keeps the deletion from its end.
    ASSERT_EQ(receive_from(create.queue()).receive_reply().messages_size(), 2);
    v1::DeleteQueueRequest request;
    request.set_queue(create.queue());
    request.set_force(true);
    const auto deletion = core_->delete_queue(request);
    ASSERT_TRUE(deletion.has_value()) << deletion.error().to_string();
    core_->tick();
    set_hold(create.queue(), true);
    if (is_restarted) crash();
    // The lease runs out.
    for (int i = 0; i < 2; ++i) {
      clock_.advance(std::chrono::seconds(1));
      core_->tick();
      flush();
    }
    EXPECT_EQ(depth(create.queue()), 2);
    EXPECT_EQ(receive_from(create.queue()).receive_reply().messages_size(), 2) << "given out again";
    EXPECT_EQ(core_->delete_queue(request).error().code(), kHeld);
  }
}

// The service takes out what is in there.
TEST_F(QueueHoldTest, NothingGoesToAQueueOfTheServiceItself) {
  options_.queues = {"events", "elsewhere", "verbatim.probe"};
  crash();
  store({{"a"}});
  for (const char* to : {"verbatim.probe", "verbatim.probe;poison"}) {
    EXPECT_EQ(move("events", to).code(), StatusCode::kInvalidArgument) << to;
  }
  auto to_probe = put_frame(5, 1, {{"b"}});
  to_probe.mutable_put()->set_queue("verbatim.probe");
  EXPECT_EQ(ask_one("p", to_probe).refused().reason(), v1::REFUSAL_REASON_INVALID);
  auto with_answer = put_frame(5, 2, {{"c"}});
  auto& wanted = *with_answer.mutable_put()->mutable_messages(0)->mutable_acknowledge();
  wanted.set_queue("verbatim.probe");
  wanted.set_on_reached(true);
  EXPECT_EQ(ask_one("p", with_answer).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
  EXPECT_EQ(depth("events"), 1);
  EXPECT_EQ(depth("verbatim.probe"), 0);
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

// Else dead letters that keep arriving would make each token stale.
TEST_F(QueueHoldTest, ADestructionTakesWhatWasShownThoughMoreHasCome) {
  store({{"a"}, {"b"}});
  ASSERT_TRUE(purge("events").ok());
  auto request = everything();
  request.set_token(core_->destroy_dead_letters(request)->token());
  store({{"c"}});
  ASSERT_TRUE(purge("events").ok());
  const auto answer = core_->destroy_dead_letters(request);
  ASSERT_TRUE(answer.has_value()) << answer.error().to_string();
  EXPECT_THAT(answer->lookup_id_ranges(), ElementsAre(1, 2));
  flush();
  request.clear_token();
  EXPECT_THAT(core_->destroy_dead_letters(request)->lookup_id_ranges(), ElementsAre(3, 1));
}

TEST_F(QueueHoldTest, ADestructionIsRefusedWhenSomethingThatWasShownIsGone) {
  store({{"a"}, {"b"}});
  ASSERT_TRUE(purge("events").ok());
  auto request = everything();
  request.set_token(core_->destroy_dead_letters(request)->token());
  ASSERT_TRUE(transfer(v1::TransferRequest::KIND_REDRIVE, "events;dead-letters").ok());
  EXPECT_EQ(core_->destroy_dead_letters(request).error().code(), kHeld);
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
