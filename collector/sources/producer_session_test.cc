#include "collector/sources/producer_session.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

// Takes everything and answers when told to.
class FakeBroker final : public Broker {
 public:
  explicit FakeBroker(const base::Clock& clock) : clock_(clock) {}

  void submit(PendingEvent pending) override {
    if (room_count_ == 0) {
      Answer answer;
      answer.kind = Answer::Kind::kError;
      answer.cause = Answer::Cause::kFull;
      return pending.done(answer);
    }
    --room_count_;
    pending_.push_back(std::move(pending));
  }
  void submit_gap(const GapReport& report) override { gaps_.push_back(report); }
  void submit_outcome(const v1::Event&, const std::string&, v1::VerdictOutcome::Outcome,
                      const std::string&) override {}
  const Profile& profile() const override { return profile_; }
  Roster& roster() override { return *roster_; }
  std::chrono::nanoseconds default_deadline() const override { return clock_.monotonic(); }
  const base::Clock& clock() const override { return clock_; }
  const std::string& collector_name() const override { return name_; }

  void answer(size_t index, Answer::Kind kind = Answer::Kind::kAccepted) {
    Answer answer;
    answer.kind = kind;
    pending_[index].done(answer);
  }

  size_t room_count_ = 1'000;  // of the outbox
  std::vector<PendingEvent> pending_;
  std::vector<GapReport> gaps_;

 private:
  testing::FaultFileSystem disk_;
  const std::unique_ptr<Roster> roster_ = Roster::open(disk_, "/roster").value();
  const base::Clock& clock_;
  const Profile profile_;
  const std::string name_ = "collector";
};

v1::Event joined_in_epoch_6(const std::string& session) {
  v1::Event joined;
  joined.mutable_source()->set_name("p");
  joined.mutable_source_key()->mutable_numbered()->set_epoch(6);
  joined.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  joined.mutable_conversation()->set_address("room@x");
  joined.mutable_conversation()->set_key("room@x");
  joined.mutable_actor()->set_normalised("ayu@x");
  joined.mutable_actor()->set_session(session);
  joined.mutable_joined();
  return joined;
}

class ProducerSessionTest : public ::testing::Test {
 protected:
  ProducerSessionTest() { session_ = make(); }

  std::shared_ptr<ProducerSession> make() {
    ProducerSession::Options options;
    options.broker = &broker_;
    options.book = &book_;
    options.protocol = "grpc";
    options.credit_events = 10;
    options.event_deadline = std::chrono::seconds(20);
    return std::make_shared<ProducerSession>(options, [this] { ++notified_; });
  }
  void say_hello(uint64_t epoch = 7) {
    v1::SendRequest request;
    request.mutable_hello()->set_producer("p");
    request.mutable_hello()->set_epoch(epoch);
    ASSERT_TRUE(session_->on_request(request).ok());
    ASSERT_TRUE(session_->next_reply()->has_welcome());
  }
  Status send(uint64_t first, int count) {
    v1::SendRequest request;
    request.mutable_batch()->set_first_sequence(first);
    for (int i = 0; i < count; ++i) {
      request.mutable_batch()->add_events()->mutable_message_posted();
    }
    return session_->on_request(request);
  }
  v1::ReceiptBatch receipts() {
    const auto reply = session_->next_reply();
    return reply ? reply->receipts() : v1::ReceiptBatch();
  }

  testing::FakeClock clock_;
  FakeBroker broker_{clock_};
  ProducerBook book_{clock_};
  int notified_ = 0;
  std::shared_ptr<ProducerSession> session_;
};

TEST_F(ProducerSessionTest, EventsCarryTheirOriginWhateverTheProducerWrote) {
  say_hello();
  v1::SendRequest request;
  request.mutable_batch()->set_first_sequence(5);
  v1::Event& event = *request.mutable_batch()->add_events();
  event.mutable_source()->set_name("another");
  event.mutable_source()->set_raw_event("es_OUT");
  event.mutable_source_key()->mutable_link()->set_id("forged");
  ASSERT_TRUE(session_->on_request(request).ok());
  const v1::Event& submitted = broker_.pending_.at(0).event;
  EXPECT_EQ(submitted.source().name(), "p");
  EXPECT_EQ(submitted.source().protocol(), "grpc");
  EXPECT_EQ(submitted.source().raw_event(), "es_OUT");
  EXPECT_EQ(submitted.source_key().numbered().producer(), "p");
  EXPECT_EQ(submitted.source_key().numbered().epoch(), 7u);
  EXPECT_EQ(submitted.source_key().numbered().sequence(), 5u);
  EXPECT_TRUE(broker_.pending_[0].is_awaited);
  EXPECT_TRUE(broker_.pending_[0].is_resent_after_error);
}

TEST_F(ProducerSessionTest, ReceiptsWaitForTheFrontAndThenComeAsOne) {
  say_hello();
  ASSERT_TRUE(send(1, 4).ok());
  const int before = notified_;
  broker_.answer(2);
  broker_.answer(1, Answer::Kind::kRefused);
  EXPECT_EQ(notified_, before);
  EXPECT_FALSE(session_->next_reply().has_value());
  broker_.answer(0);
  EXPECT_GT(notified_, before);
  const v1::ReceiptBatch first = receipts();
  EXPECT_EQ(first.first_sequence(), 1u);
  EXPECT_EQ(first.count(), 3u);
  ASSERT_EQ(first.refusals_size(), 1);
  EXPECT_EQ(first.refusals(0).sequence(), 2u);
  EXPECT_EQ(first.refusals(0).reason(), v1::Refusal::REASON_INVALID);
  broker_.answer(3);
  EXPECT_EQ(receipts().first_sequence(), 4u);
  EXPECT_TRUE(session_->is_idle());
}

TEST_F(ProducerSessionTest, ReceiptsOfNumbersThatJumpComeApart) {
  say_hello();
  ASSERT_TRUE(send(1, 2).ok());
  ASSERT_TRUE(send(8, 1).ok());
  EXPECT_EQ(broker_.gaps_.size(), 1u);
  for (size_t i = 0; i < 3; ++i) broker_.answer(i);
  EXPECT_EQ(receipts().count(), 2u);
  EXPECT_EQ(receipts().first_sequence(), 8u);
}

TEST_F(ProducerSessionTest, TheCreditCountsWhatIsNotFetchedYet) {
  say_hello();
  ASSERT_TRUE(send(1, 10).ok());
  for (size_t i = 0; i < 10; ++i) broker_.answer(i);
  EXPECT_EQ(send(11, 1).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(receipts().count(), 10u);
  EXPECT_TRUE(send(11, 1).ok());
}

TEST_F(ProducerSessionTest, WhatWaitsTooLongIsAnsweredUnavailableAndStaysUnderWay) {
  say_hello();
  ASSERT_TRUE(send(1, 2).ok());
  session_->tick();
  EXPECT_FALSE(session_->next_reply().has_value());
  clock_.advance(std::chrono::seconds(20));
  session_->tick();
  const v1::ReceiptBatch late = receipts();
  ASSERT_EQ(late.refusals_size(), 2);
  EXPECT_EQ(late.refusals(0).reason(), v1::Refusal::REASON_UNAVAILABLE);
  ASSERT_TRUE(send(1, 2).ok());
  EXPECT_EQ(broker_.pending_.size(), 2u);  // not submitted again
  broker_.answer(0);
  broker_.answer(1);
  EXPECT_EQ(receipts().count(), 2u);
}

TEST_F(ProducerSessionTest, WithoutAHelloItEnds) {
  session_->tick();
  EXPECT_FALSE(session_->end_status().has_value());
  clock_.advance(kHelloPatience + std::chrono::seconds(1));
  session_->tick();
  EXPECT_EQ(session_->end_status()->code(), StatusCode::kDeadlineExceeded);
}

TEST_F(ProducerSessionTest, ASecondHelloIsAnError) {
  say_hello();
  v1::SendRequest request;
  request.mutable_hello()->set_producer("p");
  request.mutable_hello()->set_epoch(8);
  EXPECT_EQ(session_->on_request(request).code(), StatusCode::kInvalidArgument);
}

TEST_F(ProducerSessionTest, AHalfClosedSessionEndsWhenAllIsAnswered) {
  say_hello();
  ASSERT_TRUE(send(1, 1).ok());
  session_->end_when_idle(Status());
  EXPECT_FALSE(session_->end_status().has_value());
  broker_.answer(0);
  EXPECT_FALSE(session_->end_status().has_value());
  receipts();
  EXPECT_TRUE(session_->end_status()->ok());
}

TEST_F(ProducerSessionTest, AnAnswerAfterTheSessionIsGoneTouchesNothing) {
  say_hello();
  ASSERT_TRUE(send(1, 1).ok());
  session_->on_gone("closed");
  session_.reset();
  broker_.answer(0);
  EXPECT_EQ(book_.info().at(0).accepted_count(), 1);
  EXPECT_EQ(book_.info().at(0).state(), v1::SourceInfo::LINK_STATE_GONE);
}

TEST_F(ProducerSessionTest, ANewerConnectionWaitsForTheSameAnswer) {
  say_hello();
  ASSERT_TRUE(send(1, 1).ok());
  const auto older = session_;
  session_ = make();
  say_hello();
  EXPECT_EQ(older->end_status()->code(), StatusCode::kAborted);
  EXPECT_EQ(older->on_request({}).code(), StatusCode::kAborted);
  ASSERT_TRUE(send(1, 1).ok());
  EXPECT_EQ(broker_.pending_.size(), 1u);
  broker_.answer(0);
  EXPECT_EQ(receipts().count(), 1u);
  EXPECT_EQ(book_.info().at(0).state(), v1::SourceInfo::LINK_STATE_ACTIVE);
}

TEST_F(ProducerSessionTest, AHelloIsRefusedWhileTheLeavesOfTheLastEpochFindNoRoom) {
  broker_.roster().apply(joined_in_epoch_6("desk"));
  broker_.roster().apply(joined_in_epoch_6("phone"));
  broker_.room_count_ = 1;
  v1::SendRequest hello;
  hello.mutable_hello()->set_producer("p");
  hello.mutable_hello()->set_epoch(7);
  EXPECT_EQ(session_->on_request(hello).code(), StatusCode::kUnavailable);
  EXPECT_FALSE(session_->next_reply()) << "no welcome, so no event of the new epoch";
  session_->on_gone("refused");
  broker_.pending_.clear();
  broker_.room_count_ = 10;
  session_ = make();
  say_hello(7);
  EXPECT_EQ(broker_.pending_.size(), 2U);
  session_ = make();
  say_hello(7);
  EXPECT_EQ(broker_.pending_.size(), 2U);
}

TEST_F(ProducerSessionTest, ARestartClosesWhatTheProducerHadToldOf) {
  broker_.roster().apply(joined_in_epoch_6("phone"));
  say_hello(6);  // the same epoch: only the connection is new
  EXPECT_TRUE(broker_.pending_.empty());
  session_ = make();
  say_hello(7);
  ASSERT_EQ(broker_.pending_.size(), 1U);
  const PendingEvent& left = broker_.pending_[0];
  EXPECT_EQ(left.event.left().synthetic().reason(), "restart");
  EXPECT_EQ(left.event.actor().session(), "phone");
  EXPECT_EQ(left.event.source().name(), "p");
  EXPECT_FALSE(left.is_awaited);
  session_ = make();
  say_hello(7);  // once is enough
  EXPECT_EQ(broker_.pending_.size(), 1U);
}

}  // namespace
}  // namespace verbatim::collector
