// What MSMQ's semantics promise, asked of the core as clients and operators ask it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/frame.h"
#include "queue/queue_core.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class QueueSemanticsTest : public testing::QueueCoreFixture {
 protected:
  QueueSemanticsTest() {
    options_.queues = {"events", "answers"};
    open();
  }
  void open() {
    open_for({"p", "c", "d"}, std::to_string(epoch_));
    sequence_ = 0;
    ++epoch_;
  }
  void crash() {
    cut();
    open();
  }

  // Time passes; what is due is done.
  std::vector<v1::QueueFrame> pass(milliseconds time) {
    // Clients are heard meanwhile.
    std::vector<v1::QueueFrame> all;
    for (milliseconds left = time; left.count() > 0; left -= seconds(2)) {
      clock_.advance(std::min<milliseconds>(left, seconds(2)));
      for (const char* peer : {"p", "c", "d"}) {
        v1::QueueFrame beat;
        beat.mutable_heartbeat();
        core_->handle(peer, base::encode_frame(beat));
      }
      core_->tick();
      for (v1::QueueFrame& frame : flush()) all.push_back(std::move(frame));
    }
    return all;
  }

  struct Message {
    std::string body;
    std::string key = "room";
    std::string label = {};
    bool wants_words = false;
  };
  v1::QueueFrame put(const std::vector<Message>& messages, const std::string& queue = "events") {
    if (sequence_ == 0) {
      v1::QueueFrame frame;
      for (const char* name : {"events", "answers"}) {
        frame.mutable_open_producer()->set_queue(name);
        frame.mutable_open_producer()->set_producer("producer");
        frame.mutable_open_producer()->set_epoch(epoch_);
        ask("p", frame);
      }
    }
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue(queue);
    put.set_producer("producer");
    put.set_epoch(epoch_);
    put.set_first_sequence(sequence_ + 1);
    for (const Message& message : messages) {
      v1::PutMessage* added = put.add_messages();
      added->set_body(message.body);
      added->set_order_key(message.key);
      added->set_label(message.label);
      added->set_correlation_id(("about " + message.body).substr(0, 64));
      added->set_source("source");
      if (!message.wants_words) continue;
      added->mutable_acknowledge()->set_queue("answers");
      added->mutable_acknowledge()->set_on_reached(true);
      added->mutable_acknowledge()->set_on_consumed(true);
    }
    auto answers = ask("p", frame);
    EXPECT_FALSE(answers.empty());
    if (!answers.empty() && answers[0].has_put_reply()) sequence_ += messages.size();
    return answers.empty() ? v1::QueueFrame() : answers[0];
  }
  v1::ReceiveReply receive(const std::string& queue = "events", const std::string& peer = "c",
                           int64_t max_count = 100) {
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue(queue);
    receive.set_max_count(max_count);
    receive.set_max_bytes(1 << 20);
    receive.set_lease_ms(10'000);
    auto answers = ask(peer, frame);
    return answers.empty() ? v1::ReceiveReply() : answers[0].receive_reply();
  }
  v1::QueueFrame commit(uint64_t lease_id, const std::string& queue = "events") {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue(queue);
    frame.mutable_commit()->set_lease_id(lease_id);
    auto answers = ask("c", frame);
    return answers.empty() ? v1::QueueFrame() : answers[0];
  }
  v1::QueueFrame abort(uint64_t lease_id, milliseconds delay = {}, bool is_untried = false) {
    v1::QueueFrame frame;
    frame.mutable_abort()->set_queue("events");
    frame.mutable_abort()->set_lease_id(lease_id);
    frame.mutable_abort()->set_delay_ms(delay.count());
    frame.mutable_abort()->set_is_untried(is_untried);
    auto answers = ask("c", frame);
    return answers.empty() ? v1::QueueFrame() : answers[0];
  }
  void configure(const v1::QueueSettings& settings) {
    v1::ConfigureQueueRequest request;
    request.set_queue("events");
    *request.mutable_settings() = settings;
    ASSERT_TRUE(core_->configure_queue(request).ok());
    flush();
  }
  Result<uint64_t> move_to_own(int64_t rate_max = 0) {
    v1::TransferRequest move;
    move.set_kind(v1::TransferRequest::KIND_MOVE);
    move.set_queue("events");
    move.set_to_queue("events;own");
    move.set_rate_max(rate_max);
    return core_->start_transfer(move);
  }
  auto delete_own() {
    v1::DeleteQueueRequest remove;
    remove.set_queue("events;own");
    remove.set_force(true);
    return core_->delete_queue(remove);
  }
  v1::QueueInfo info(const std::string& name) {
    const v1::ListQueuesResponse all = core_->list_queues();
    for (const auto& queue : all.queues()) {
      if (queue.name() == name) return queue;
    }
    return {};
  }
  bool has_alarm(const std::string& name) {
    for (const auto& alarm : core_->alarm_conditions()) {
      if (alarm.name == name) return true;
    }
    return false;
  }

  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(QueueSemanticsTest, AMessageIsTriedEighteenTimesInThreeCyclesAndTheRestIsNotDelayed) {
  put({{"poison", "bad"}, {"after it", "bad"}, {"other", "good"}});
  int tries = 0;
  std::vector<int> cycle_ends;
  for (int round = 0; round < 400 && info("events;poison").depth() == 0; ++round) {
    const auto lease = receive("events", "c", 1);
    if (lease.messages_size() == 0) {
      if (cycle_ends.empty() || cycle_ends.back() != tries) cycle_ends.push_back(tries);
      pass(seconds(60));
      continue;
    }
    if (lease.messages(0).body() == "other") {
      commit(lease.lease_id());
      EXPECT_LE(tries, 6) << "another order key waits for nobody";
      continue;
    }
    ASSERT_EQ(lease.messages(0).body(), "poison") << "nothing overtakes it";
    EXPECT_EQ(lease.messages(0).delivery_count(), ++tries);
    // The count is durable.
    if (tries == 9) {
      crash();
      continue;
    }
    abort(lease.lease_id());
  }
  EXPECT_EQ(tries, 18);
  EXPECT_THAT(cycle_ends, ElementsAre(6, 12));
  EXPECT_THAT(bodies(receive()), ElementsAre("after it"));
  const auto poison = receive("events;poison");
  ASSERT_EQ(poison.messages_size(), 1);
  EXPECT_EQ(poison.messages(0).hops(0).queue(), "events");
  EXPECT_EQ(poison.messages(0).hops(0).lookup_id(), 1u);
  EXPECT_EQ(poison.messages(0).hops(0).delivery_count(), 18);
  EXPECT_EQ(poison.messages(0).hops(0).reason(), v1::END_REASON_POISON);
  EXPECT_TRUE(has_alarm("poison"));
}

TEST_F(QueueSemanticsTest, ATryThatEndsWithTheServiceEndsItsCycleToo) {
  put({{"kills the consumer", "bad"}});
  for (int tries = 1; tries <= 6; ++tries) {
    const auto lease = receive("events", "c", 1);
    ASSERT_EQ(lease.messages_size(), 1);
    ASSERT_EQ(lease.messages(0).delivery_count(), tries);
    if (tries < 6) abort(lease.lease_id());
  }
  crash();
  EXPECT_EQ(receive("events", "c", 1).messages_size(), 0) << "the delay between two cycles";
  pass(seconds(601));
  const auto lease = receive("events", "c", 1);
  ASSERT_EQ(lease.messages_size(), 1);
  EXPECT_EQ(lease.messages(0).delivery_count(), 7);
}

TEST_F(QueueSemanticsTest, AnOperatorMovesToPoisonAndDeadLettersThatAreNotThereYet) {
  put({{"a"}});
  v1::TransferRequest move;
  move.set_queue("events");
  move.set_kind(v1::TransferRequest::KIND_MOVE);
  for (const char* name : {"events;poison", "events;dead-letters"}) {
    move.set_to_queue(name);
    ASSERT_TRUE(core_->start_transfer(move).has_value()) << name;
    pass(seconds(1));
    EXPECT_EQ(info(name).depth(), 1) << name;
    move.set_queue(name);
  }
  move.set_to_queue("nowhere;poison");
  EXPECT_EQ(core_->start_transfer(move).error().code(), StatusCode::kNotFound);
}

TEST_F(QueueSemanticsTest, ANameWithoutAQueueIsToldWhatThereIsInstead) {
  v1::SwitchQueueRequest hold;
  hold.set_action(v1::SwitchQueueRequest::ACTION_HOLD);
  hold.set_queue("events;retry");
  EXPECT_EQ(core_->switch_queue(hold).message(),
            "events;retry is a view of events: peek it, or name events");
  hold.set_queue("events;dead-letters");
  EXPECT_EQ(core_->switch_queue(hold).message(),
            "no such queue: events;dead-letters (it is made with its first message; a hold on "
            "events covers it)");
  v1::TransferRequest purge;
  purge.set_kind(v1::TransferRequest::KIND_PURGE);
  purge.set_queue("events;retry");
  EXPECT_EQ(core_->start_transfer(purge).error().message(),
            "events;retry is a view of events: peek it, or name events");
}

TEST_F(QueueSemanticsTest, WhatWasDestroyedIsCountedThoughItsQueueIsGone) {
  put({{"a"}});
  v1::TransferRequest purge;
  purge.set_queue("events");
  purge.set_kind(v1::TransferRequest::KIND_PURGE);
  ASSERT_TRUE(core_->start_transfer(purge).has_value());
  pass(seconds(1));
  v1::DestroyDeadLettersRequest destroy;
  destroy.set_queue("events");
  destroy.set_token(core_->destroy_dead_letters(destroy)->token());
  ASSERT_TRUE(core_->destroy_dead_letters(destroy).has_value());
  flush();
  v1::DeleteQueueRequest remove;
  remove.set_queue("events;dead-letters");
  ASSERT_TRUE(core_->delete_queue(remove).has_value());
  pass(seconds(1));
  crash();
  EXPECT_EQ(info("events;dead-letters").name(), "");
  EXPECT_EQ(core_->list_queues({}).service().destroyed_count(), 1);
}

TEST_F(QueueSemanticsTest, AnAbortWithDelayHoldsItsOrderKeyAcrossARestart) {
  put({{"a1", "a"}, {"a2", "a"}, {"b1", "b"}});
  abort(receive("events", "c", 1).lease_id(), seconds(30));
  EXPECT_THAT(bodies(receive()), ElementsAre("b1"));
  v1::PeekRequest view;
  view.set_queue("events;retry");
  view.set_max_count(10);
  EXPECT_EQ(core_->peek(view)->messages_size(), 1);
  crash();
  const auto other = receive();
  EXPECT_THAT(bodies(other), ElementsAre("b1"));
  commit(other.lease_id());
  pass(seconds(29));
  EXPECT_THAT(bodies(receive()), IsEmpty());
  pass(seconds(2));
  EXPECT_THAT(bodies(receive()), ElementsAre("a1", "a2"));
}

TEST_F(QueueSemanticsTest, AcknowledgementsTellThatAMessageReachedItsQueueAndWasConsumed) {
  put({{"a", "room", "label", true}});
  crash();
  const auto reached = receive("answers");
  ASSERT_EQ(reached.messages_size(), 1);
  v1::Acknowledgement word;
  ASSERT_TRUE(word.ParseFromString(reached.messages(0).body()));
  EXPECT_EQ(word.kind(), v1::Acknowledgement::KIND_REACHED);
  EXPECT_EQ(word.lookup_id(), 1u);
  EXPECT_EQ(word.label(), "label");
  EXPECT_EQ(reached.messages(0).correlation_id(), "about a");
  commit(reached.lease_id(), "answers");
  commit(receive().lease_id());
  crash();
  const auto consumed = receive("answers");
  ASSERT_EQ(consumed.messages_size(), 1);
  ASSERT_TRUE(word.ParseFromString(consumed.messages(0).body()));
  EXPECT_EQ(word.kind(), v1::Acknowledgement::KIND_CONSUMED);
}

TEST_F(QueueSemanticsTest, APutWhoseAdministrationQueueIsMissingIsRefused) {
  options_.queues = {"events"};
  v1::DeleteQueueRequest request;
  request.set_queue("answers");
  open();
  ASSERT_TRUE(core_->delete_queue(request).has_value());
  pass(seconds(1));
  EXPECT_EQ(put({{"a", "room", "", true}}).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_QUEUE);
  EXPECT_EQ(info("events").depth(), 0);
}

TEST_F(QueueSemanticsTest, AJournalAtItsQuotaMakesCommitsWaitUntilItIsTrimmed) {
  v1::QueueSettings settings;
  settings.set_has_journal(true);
  settings.set_journal_quota_bytes(1'500);
  configure(settings);
  std::vector<Message> three;
  for (const char c : {'a', 'b', 'c'}) three.push_back({.body = std::string(1'000, c)});
  ASSERT_TRUE(put(three).has_put_reply());
  const auto done = commit(receive("events", "c", 1).lease_id());
  EXPECT_TRUE(done.has_settle_reply()) << done.ShortDebugString() << core_->fatal().to_string();
  // The second fills the journal, the third is under lease before that.
  const auto lease = receive("events", "c", 2);
  ASSERT_EQ(lease.messages_size(), 2);
  EXPECT_FALSE(commit(lease.lease_id()).has_settle_reply()) << "the journal has no room for both";
  EXPECT_EQ(info("events").waiting_commit_count(), 1);
  EXPECT_TRUE(has_alarm("journal-full"));
  pass(seconds(20));
  EXPECT_EQ(info("events").leased_count(), 1) << "who waits for us keeps the lease";
  v1::TrimJournalRequest trim;
  trim.set_queue("events");
  trim.set_up_to_lookup_id(100);
  EXPECT_EQ(core_->trim_journal(trim)->trimmed_count(), 2);
  const auto answers = pass(seconds(2));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].settle_reply().settled_count(), 2);
  EXPECT_FALSE(has_alarm("journal-full"));
  EXPECT_EQ(info("events").committed_count(), 3);
  EXPECT_EQ(info("events;journal").depth(), 1);
}

// It was renewed for good, and its order key was never given out again.
TEST_F(QueueSemanticsTest, ALeaseWhosePartialCommitHadToWaitExpiresAfterIt) {
  v1::QueueSettings settings;
  settings.set_has_journal(true);
  settings.set_journal_quota_bytes(500);
  configure(settings);
  ASSERT_TRUE(
      put({{std::string(1'000, 'a'), "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}).has_put_reply());
  const auto lease = receive("events", "c", 4);
  ASSERT_EQ(lease.messages_size(), 4);
  const auto commit_part = [&](uint64_t lookup_id) {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue("events");
    frame.mutable_commit()->set_lease_id(lease.lease_id());
    frame.mutable_commit()->add_lookup_ids(lookup_id);
    return ask("c", frame);
  };
  ASSERT_EQ(commit_part(1).size(), 1u) << "it fills the journal";
  for (const uint64_t id : {uint64_t{2}, uint64_t{3}}) EXPECT_TRUE(commit_part(id).empty()) << id;
  pass(seconds(20));
  EXPECT_EQ(info("events").leased_count(), 3) << "who waits for us keeps the lease";
  v1::TrimJournalRequest trim;
  trim.set_queue("events");
  trim.set_up_to_lookup_id(100);
  ASSERT_TRUE(core_->trim_journal(trim).has_value());
  EXPECT_EQ(pass(milliseconds(100)).size(), 2u);
  EXPECT_EQ(info("events").leased_count(), 1);
  pass(seconds(400));
  EXPECT_EQ(info("events").leased_count(), 0);
  EXPECT_EQ(info("events").depth(), 1);
}

TEST_F(QueueSemanticsTest, OneConsumerOfAnExclusiveQueueIsActiveAndTheNextTakesOver) {
  v1::QueueSettings settings;
  settings.set_consumer_mode(v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE);
  configure(settings);
  put({{"a", "1"}, {"b", "2"}});
  const auto first = receive("events", "c", 1);
  EXPECT_THAT(bodies(first), ElementsAre("a"));
  EXPECT_THAT(bodies(receive("events", "d", 1)), IsEmpty());
  EXPECT_EQ(info("events").active_consumer(), "client-c");
  // The active one is silent for too long.
  for (int i = 0; i < 4; ++i) {
    clock_.advance(seconds(2));
    v1::QueueFrame beat;
    beat.mutable_heartbeat();
    core_->handle("d", base::encode_frame(beat));
    core_->tick();
    flush();
  }
  EXPECT_THAT(bodies(receive("events", "d")), ElementsAre("a", "b"));
}

TEST_F(QueueSemanticsTest, AQueuesQuotaRefusesPutsUntilBelowTheLowMark) {
  v1::QueueSettings settings;
  settings.set_quota_messages(4);
  settings.set_low_mark_percent(50);
  configure(settings);
  EXPECT_TRUE(put({{"1", "a"}, {"2", "b"}, {"3", "c"}, {"4", "d"}}).has_put_reply());
  const auto full = put({{"5"}});
  EXPECT_EQ(full.refused().reason(), v1::REFUSAL_REASON_FULL);
  EXPECT_GT(full.refused().retry_after_ms(), 0);
  pass(seconds(1));
  EXPECT_TRUE(has_alarm("queue-full"));
  EXPECT_TRUE(commit(receive("events", "c", 2).lease_id()).has_settle_reply());
  EXPECT_TRUE(put({{"5"}}).has_refused()) << "two of four: at the low mark, not below it";
  commit(receive("events", "c", 1).lease_id());
  EXPECT_TRUE(put({{"5"}}).has_put_reply());
  EXPECT_TRUE(put({{"x"}}, "answers").has_refused()) << "numbered for this queue from 1";
}

TEST_F(QueueSemanticsTest, APushGivesWhatTheCreditAllowsAndGoesOnWhenItIsSettled) {
  v1::QueueFrame frame;
  v1::Subscribe& subscribe = *frame.mutable_subscribe();
  subscribe.set_queue("events");
  subscribe.set_credit_messages(3);
  subscribe.set_credit_bytes(1 << 20);
  subscribe.set_lease_ms(10'000);
  subscribe.set_batch_max_messages(2);
  EXPECT_THAT(ask("c", frame), IsEmpty());
  frame.set_request_id(request_id_);
  put({{"1"}, {"2"}, {"3"}, {"4"}});
  // One order key belongs to one lease at a time.
  put({{"5", "other"}, {"6", "other"}});
  EXPECT_EQ(info("events").leased_count(), 3);
  EXPECT_EQ(info("events").lease_count(), 2);
  crash();
  EXPECT_EQ(info("events").leased_count(), 0) << "a subscription ends with its connection";
}

TEST_F(QueueSemanticsTest, AnAbandonedMessageIsPoisonWithTheConsumersWords) {
  put({{"bad"}});
  v1::QueueFrame frame;
  frame.mutable_abandon()->set_queue("events");
  frame.mutable_abandon()->set_lease_id(receive().lease_id());
  frame.mutable_abandon()->set_detail("no such schema");
  EXPECT_EQ(ask("c", frame)[0].settle_reply().settled_count(), 1);
  crash();
  const auto poison = receive("events;poison");
  ASSERT_EQ(poison.messages_size(), 1);
  EXPECT_EQ(poison.messages(0).hops(0).reason(), v1::END_REASON_ABANDONED);
  EXPECT_EQ(poison.messages(0).hops(0).detail(), "no such schema");
  EXPECT_EQ(poison.messages(0).body(), "bad");
}

TEST_F(QueueSemanticsTest, LookupIdsAreNotReusedByAQueueDeletedAndMadeAgain) {
  v1::CreateQueueRequest create;
  create.set_queue("events;own");
  ASSERT_TRUE(core_->create_queue(create).ok());
  flush();
  put({{"a"}});
  ASSERT_TRUE(move_to_own().has_value());
  pass(seconds(1));
  EXPECT_EQ(info("events;own").last_lookup_id(), 1u);
  v1::DeleteQueueRequest remove;
  remove.set_queue("events;own");
  EXPECT_EQ(core_->delete_queue(remove).error().code(), StatusCode::kFailedPrecondition);
  remove.set_force(true);
  ASSERT_TRUE(core_->delete_queue(remove).has_value());
  pass(seconds(1));
  EXPECT_EQ(info("events;own").name(), "");
  EXPECT_EQ(info("events;dead-letters").depth(), 1);
  crash();
  ASSERT_TRUE(core_->create_queue(create).ok());
  flush();
  EXPECT_EQ(info("events;own").last_lookup_id(), 1u) << "the next one is 2";
}

TEST_F(QueueSemanticsTest, ADeletionEndsAlsoWhenMessagesCameAfterItBegan) {
  v1::CreateQueueRequest create;
  create.set_queue("events;own");
  ASSERT_TRUE(core_->create_queue(create).ok());
  put({{"a"}, {"b"}, {"c"}, {"d"}});
  // One a second, so that it is under way when the queue goes.
  const auto move = move_to_own(1);
  ASSERT_TRUE(move.has_value());
  pass(seconds(1));
  ASSERT_EQ(info("events;own").depth(), 1);
  ASSERT_TRUE(delete_own().has_value());
  pass(seconds(2));
  EXPECT_EQ(info("events;own").last_lookup_id(), 2u) << "the move went on";
  pass(seconds(10));
  EXPECT_EQ(info("events;own").name(), "");
  EXPECT_TRUE(core_->transfer_progress(*move)->is_done());
  EXPECT_EQ(info("events;dead-letters").depth() + info("events").depth(), 4);
}

// Dead letters went round and round onto themselves; a consumed copy became a dead letter.
TEST_F(QueueSemanticsTest, ASubQueueOfTheServiceIsNotDeletedWhenMessagesComeMeanwhile) {
  v1::QueueSettings settings;
  settings.set_has_journal(true);
  configure(settings);
  ASSERT_TRUE(put({{"a"}, {"b"}, {"c"}}).has_put_reply());
  commit(receive("events", "c", 1).lease_id());
  v1::TrimJournalRequest trim;
  trim.set_queue("events");
  trim.set_up_to_lookup_id(100);
  ASSERT_TRUE(core_->trim_journal(trim).has_value());
  const auto remove = [this](const std::string& name) {
    v1::DeleteQueueRequest request;
    request.set_queue(name);
    request.set_force(true);
    const auto id = core_->delete_queue(request);
    EXPECT_TRUE(id.has_value()) << id.error().to_string();
    return id ? *id : 0;
  };
  const uint64_t of_journal = remove("events;journal");
  commit(receive("events", "c", 1).lease_id());
  pass(seconds(1));
  EXPECT_EQ(info("events;journal").depth(), 1);
  EXPECT_FALSE(info("events;journal").is_deleting());
  EXPECT_EQ(info("events;dead-letters").depth(), 0) << "it is consumed";
  EXPECT_THAT(core_->transfer_progress(of_journal)->error(),
              ::testing::HasSubstr("messages have come"));

  v1::TransferRequest purge;
  purge.set_kind(v1::TransferRequest::KIND_PURGE);
  purge.set_queue("events");
  ASSERT_TRUE(core_->start_transfer(purge).has_value());
  pass(seconds(1));
  ASSERT_EQ(info("events;dead-letters").depth(), 1);
  v1::TransferRequest redrive;
  redrive.set_kind(v1::TransferRequest::KIND_REDRIVE);
  redrive.set_queue("events;dead-letters");
  ASSERT_TRUE(core_->start_transfer(redrive).has_value());
  pass(seconds(1));
  ASSERT_EQ(info("events;dead-letters").depth(), 0);
  // The purge is first, so it is a step ahead of the deletion.
  ASSERT_TRUE(core_->start_transfer(purge).has_value());
  const uint64_t of_dead = remove("events;dead-letters");
  pass(seconds(1));
  EXPECT_TRUE(core_->transfer_progress(of_dead)->is_done());
  EXPECT_EQ(info("events;dead-letters").depth(), 1);
  EXPECT_EQ(info("events;dead-letters").last_lookup_id(), 2u) << "it did not move onto itself";
  EXPECT_FALSE(info("events;dead-letters").is_deleting());
}

TEST_F(QueueSemanticsTest, AMoveEndsWhenItsTargetIsGoneAndSaysSo) {
  v1::CreateQueueRequest create;
  create.set_queue("events;own");
  ASSERT_TRUE(core_->create_queue(create).ok());
  put({{"a"}, {"b"}});
  const auto move = move_to_own(1);
  ASSERT_TRUE(move.has_value());
  ASSERT_TRUE(delete_own().has_value());
  pass(milliseconds(100));
  ASSERT_EQ(info("events;own").name(), "") << "it was empty";
  pass(seconds(4));
  const auto progress = core_->transfer_progress(*move);
  ASSERT_TRUE(progress.has_value());
  EXPECT_TRUE(progress->is_done());
  EXPECT_EQ(progress->error(), "the queue to move to is gone");
  EXPECT_EQ(info("events").depth(), 2);
}

TEST_F(QueueSemanticsTest, AMoveIntoAQueueThatIsBeingDeletedIsRefused) {
  v1::CreateQueueRequest create;
  create.set_queue("events;own");
  ASSERT_TRUE(core_->create_queue(create).ok());
  put({{"a"}});
  ASSERT_TRUE(delete_own().has_value());
  const auto move = move_to_own();
  EXPECT_EQ(move.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(move.error().message().find("being deleted"), std::string::npos);
  pass(seconds(1));
  EXPECT_EQ(info("events").depth(), 1);
}

}  // namespace
}  // namespace verbatim::queue
