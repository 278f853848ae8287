#include "collector/broker/queue_broker.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "queue/client/memory_queue_client.h"
#include "tests/support/answer_box.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using queue::MemoryQueue;
using testing::eventually;

v1::Event post(const std::string& room, const std::string& text) {
  v1::Event event;
  event.mutable_source()->set_name("node");
  event.mutable_source()->set_protocol("xcp");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address(room);
  event.mutable_actor()->set_address("Alice@Example.com/phone");
  event.set_phase(v1::PHASE_CONFIRMED);
  event.mutable_original_text()->set_plain(text);
  event.mutable_message_posted();
  v1::SourceKey::Link& link = *event.mutable_source_key()->mutable_link();
  link.set_component("op");
  link.set_id(text);
  return event;
}

v1::Event stored_event(const v1::QueueMessage& message) {
  v1::Event event;
  EXPECT_TRUE(event.ParseFromString(message.body()));
  return event;
}

class QueueBrokerTest : public ::testing::Test {
 protected:
  void TearDown() override { stop(); }

  void start() {
    client_ = queue::create_memory_queue_client(queue_, client_options_);
    QueueBrokerOptions options;
    options.profile = Profile::create("all").value();
    options.data_dir = "/data";
    options.completer.clock = &clock_;
    options.completer.internal_domains = {"example.com"};
    options.completer.message_max_bytes = 100'000;
    options.outbox_max_bytes = outbox_max_bytes_;
    options.sources = {{"node", "xcp"}, {"grpc", "grpc"}};
    options.on_fatal = [this](const Status& status) { fatal_.add(status); };
    broker_ = QueueBroker::create(disk_, *client_, std::move(options)).value();
    broker_->start();
  }
  void stop() {
    if (client_) client_->stop();
    if (broker_) broker_->stop();
    broker_.reset();
    client_.reset();
  }
  void restart() {
    stop();
    start();
  }

  void submit(v1::Event event, std::optional<std::chrono::milliseconds> patience = {}) {
    PendingEvent pending;
    pending.event = std::move(event);
    if (patience) pending.deadline = clock_.monotonic() + *patience;
    pending.done = [this](const Answer& answer) { answers_.add(answer); };
    broker_->submit(std::move(pending));
  }
  void submit_unawaited(v1::Event event) {
    PendingEvent pending;
    pending.event = std::move(event);
    pending.is_awaited = false;
    pending.done = [this](const Answer& answer) { unawaited_answers_.add(answer); };
    broker_->submit(std::move(pending));
  }
  std::vector<v1::Event> stored() {
    std::vector<v1::Event> events;
    for (const auto& message : queue_.messages()) events.push_back(stored_event(message));
    return events;
  }
  std::vector<std::string> stored_texts() {
    std::vector<std::string> texts;
    for (const auto& event : stored()) {
      if (event.has_message_posted()) texts.push_back(event.original_text().plain());
    }
    return texts;
  }
  std::vector<v1::Event> stored_gaps(v1::CaptureGap::Reason reason) {
    std::vector<v1::Event> gaps;
    for (const auto& event : stored()) {
      if (event.has_capture_gap() && event.capture_gap().reason() == reason) gaps.push_back(event);
    }
    return gaps;
  }

  testing::FakeClock clock_;
  testing::FaultFileSystem disk_;
  MemoryQueue queue_{clock_};
  queue::MemoryClientOptions client_options_;
  uint64_t outbox_max_bytes_ = 1'000'000;
  std::unique_ptr<queue::QueueClient> client_;
  std::unique_ptr<QueueBroker> broker_;
  testing::AnswerBox<Answer> answers_;
  testing::AnswerBox<Answer> unawaited_answers_;
  testing::AnswerBox<Status> fatal_;
};

TEST_F(QueueBrokerTest, AnEventIsAcceptedOnlyAfterTheQueueHasConfirmedIt) {
  start();
  queue_.set_state(MemoryQueue::State::kSilent);
  submit(post("Room@Conference.example", "a"));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  EXPECT_EQ(answers_.count(), 0u);
  EXPECT_EQ(broker_->in_flight_count(), 1);
  queue_.set_state(MemoryQueue::State::kUp);
  const auto answers = answers_.wait(1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].kind, Answer::Kind::kAccepted);
  EXPECT_FALSE(answers[0].is_repeat);
  EXPECT_EQ(answers[0].verdict.decision(), v1::DECISION_PASS);
  EXPECT_EQ(broker_->in_flight_count(), 0);
}

TEST_F(QueueBrokerTest, EventAndEnvelopeAreComplete) {
  start();
  submit(post("Room@Conference.example", "a"));
  answers_.wait(1);
  const v1::QueueMessage message = queue_.messages().at(0);
  EXPECT_EQ(message.order_key(), "room@conference.example");
  EXPECT_EQ(message.source(), "node");
  const v1::Event event = stored_event(message);
  EXPECT_EQ(event.id().size(), 36u);
  EXPECT_EQ(event.schema_revision(), v1::SCHEMA_REVISION_CURRENT);
  EXPECT_EQ(event.accept_time_unix_ns(), clock_.unix_now_ns());
  EXPECT_EQ(event.actor().normalised(), "alice@example.com");
  EXPECT_EQ(event.actor().session(), "phone");
  EXPECT_EQ(event.actor().affinity(), v1::AFFINITY_INTERNAL);
  EXPECT_EQ(event.role(), v1::ROLE_RECORD);
  EXPECT_EQ(event.profile(), "all");
  v1::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(message.envelope()));
  EXPECT_EQ(envelope.event_id(), event.id());
  EXPECT_EQ(envelope.kind(), v1::EVENT_KIND_MESSAGE_POSTED);
  EXPECT_EQ(envelope.source_key(), message.source_key());
  EXPECT_EQ(envelope.addresses(0), "alice@example.com");
}

TEST_F(QueueBrokerTest, WhoAsksFindsTheVerdictInTheStoredEvent) {
  start();
  submit(post("r@c", "asked"));
  answers_.wait(1);
  submit_unawaited(post("r@c", "told"));
  PendingEvent streamed;
  streamed.event = post("r@c", "streamed");
  streamed.is_resent_after_error = true;
  streamed.done = [this](const Answer& answer) { answers_.add(answer); };
  broker_->submit(std::move(streamed));
  answers_.wait(2);
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 3; }));
  for (const v1::QueueMessage& message : queue_.messages()) {
    const v1::Event event = stored_event(message);
    if (event.original_text().plain() != "asked") {
      EXPECT_EQ(event.verdicts_size(), 0) << event.original_text().plain();
      continue;
    }
    ASSERT_EQ(event.verdicts_size(), 1);
    EXPECT_EQ(event.verdicts(0).policy(), "");
    EXPECT_EQ(event.verdicts(0).instance(), "collector");
    EXPECT_EQ(event.verdicts(0).decision(), v1::DECISION_PASS);
    EXPECT_EQ(event.verdicts(0).reason(), "no policy is assigned");
    EXPECT_EQ(event.verdicts(0).SerializeAsString(), message.verdict());
  }
}

TEST_F(QueueBrokerTest, AnotherCollectorOfTheSameNameEndsThisOne) {
  start();
  const Status fenced = failed_precondition("another client uses this producer name");
  queue_.refuse_next(fenced);
  submit(post("r@c", "a"));
  EXPECT_EQ(answers_.wait(1).at(0).kind, Answer::Kind::kError);
  const auto told = fatal_.wait(1);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].message().find("another collector uses this name"), std::string::npos);
}

TEST_F(QueueBrokerTest, TheOutboxAloneNoticesAnotherCollectorToo) {
  start();
  queue_.refuse_next(failed_precondition("another client uses this producer name"));
  submit_unawaited(post("r@c", "a"));
  EXPECT_EQ(fatal_.wait(1).size(), 1u);
}

TEST_F(QueueBrokerTest, AnAliveMarkThatCannotBeSyncedEndsTheCollector) {
  start();
  disk_.fail({.nth = 1, .is_sticky = true, .kinds = {testing::IoKind::kSync}});
  clock_.advance(std::chrono::seconds(2));
  EXPECT_GE(fatal_.wait(1).size(), 1u);
  disk_.clear_faults();
}

TEST_F(QueueBrokerTest, ARepeatIsAnsweredAsTheFirstTimeAndStoredOnce) {
  start();
  submit(post("r@c", "a"));
  answers_.wait(1);
  restart();
  submit(post("r@c", "a"));
  const auto answers = answers_.wait(2);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].kind, Answer::Kind::kAccepted);
  EXPECT_TRUE(answers[1].is_repeat);
  EXPECT_EQ(answers[1].verdict.decision(), v1::DECISION_PASS);
  EXPECT_EQ(stored_texts(), std::vector<std::string>{"a"});
}

TEST_F(QueueBrokerTest, AWrongEventIsRefusedWithItsReason) {
  start();
  v1::Event event = post("r@c", "a");
  event.clear_message_posted();
  submit(event);
  submit(post("r@c", std::string(100'000, 'x')));
  const auto answers = answers_.wait(2);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].kind, Answer::Kind::kRefused);
  EXPECT_EQ(answers[0].reason, "body: not set");
  EXPECT_EQ(answers[1].kind, Answer::Kind::kRefused);
  EXPECT_EQ(answers[1].cause, Answer::Cause::kTooLarge);
  EXPECT_EQ(queue_.depth(), 0u);
}

TEST_F(QueueBrokerTest, WithoutTheQueueAnAwaitedEventGetsAnErrorByItsDeadlineAndTheTimeIsAGap) {
  start();
  queue_.set_state(MemoryQueue::State::kDown);
  const int64_t begin = clock_.unix_now_ns();
  submit(post("r@c", "a"), std::chrono::milliseconds(100));
  submit(post("r@c", "b"), std::chrono::milliseconds(100));
  clock_.advance(std::chrono::milliseconds(101));
  auto answers = answers_.wait(2);
  ASSERT_EQ(answers.size(), 2u);
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.kind, Answer::Kind::kError);
    EXPECT_EQ(answer.cause, Answer::Cause::kUnavailable);
  }
  queue_.set_state(MemoryQueue::State::kUp);
  submit(post("r@c", "c"));
  EXPECT_EQ(answers_.wait(3).back().kind, Answer::Kind::kAccepted);
  ASSERT_TRUE(eventually(
      [this] { return stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE).size() == 1; }));
  const v1::Event gap = stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE)[0];
  EXPECT_EQ(gap.capture_gap().missing_count(), 2);
  EXPECT_EQ(gap.capture_gap().start_unix_ns(), begin);
  EXPECT_EQ(gap.capture_gap().end_unix_ns(), clock_.unix_now_ns());
  EXPECT_EQ(gap.conversation().kind(), v1::CONVERSATION_KIND_SOURCE);
  EXPECT_EQ(gap.conversation().key(), "node");
  EXPECT_EQ(stored_texts(), std::vector<std::string>{"c"});
}

TEST_F(QueueBrokerTest, AnEventThatBecomesDurableAfterItsErrorIsNamedByAnOutcome) {
  start();
  queue_.set_state(MemoryQueue::State::kSilent);
  submit(post("r@c", "a"), std::chrono::milliseconds(100));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  clock_.advance(std::chrono::milliseconds(101));
  EXPECT_EQ(answers_.wait(1)[0].kind, Answer::Kind::kError);
  queue_.set_state(MemoryQueue::State::kUp);
  const auto outcome = [this]() -> std::optional<v1::Event> {
    for (const auto& event : stored()) {
      if (event.has_verdict_outcome()) return event;
    }
    return std::nullopt;
  };
  ASSERT_TRUE(eventually([&] { return outcome().has_value(); }));
  EXPECT_EQ(outcome()->verdict_outcome().outcome(), v1::VerdictOutcome::OUTCOME_ANSWERED_ERROR);
  EXPECT_EQ(outcome()->references().event_id(), stored()[0].id());
  EXPECT_EQ(outcome()->conversation().key(), "r@c");
  EXPECT_EQ(answers_.count(), 1u);
}

TEST_F(QueueBrokerTest, AStopWhileInDoubtIsRecordedAsUnknown) {
  start();
  queue_.set_state(MemoryQueue::State::kSilent);
  submit(post("r@c", "a"));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  restart();
  EXPECT_EQ(answers_.wait(1)[0].kind, Answer::Kind::kError);
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually([this] {
    for (const auto& event : stored()) {
      if (event.verdict_outcome().outcome() == v1::VerdictOutcome::OUTCOME_UNKNOWN) return true;
    }
    return false;
  }));
}

TEST_F(QueueBrokerTest, WhatNoOneWaitsForSurvivesARestartWithoutTheQueue) {
  queue_.set_state(MemoryQueue::State::kDown);
  start();
  for (const char* text : {"a", "b", "c"}) submit_unawaited(post("r@c", text));
  for (const Answer& answer : unawaited_answers_.wait(3)) {
    EXPECT_EQ(answer.kind, Answer::Kind::kAccepted);
  }
  EXPECT_EQ(broker_->outbox_info().event_count(), 3);
  EXPECT_EQ(queue_.depth(), 0u);
  stop();
  disk_.power_cut_dropping_all();
  start();
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually([this] { return broker_->outbox_info().event_count() == 0; }));
  EXPECT_EQ(stored_texts(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(QueueBrokerTest, AwaitedEventsWaitBehindTheOutboxOfTheirConversationOnly) {
  start();
  queue_.set_state(MemoryQueue::State::kSilent);
  submit_unawaited(post("first@c", "1"));
  submit(post("first@c", "2"));
  submit(post("other@c", "3"));
  submit(post("first@c", "4"));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 2; }));
  queue_.set_state(MemoryQueue::State::kUp);
  EXPECT_EQ(answers_.wait(3).size(), 3u);
  std::vector<std::string> first;
  for (const auto& event : stored()) {
    if (event.conversation().key() == "first@c") first.push_back(event.original_text().plain());
  }
  EXPECT_EQ(first, (std::vector<std::string>{"1", "2", "4"}));
}

TEST_F(QueueBrokerTest, WhoWaitsBehindTheOutboxGetsAnErrorByTheDeadline) {
  start();
  queue_.set_state(MemoryQueue::State::kDown);
  submit_unawaited(post("r@c", "1"));
  submit(post("r@c", "2"), std::chrono::milliseconds(100));
  clock_.advance(std::chrono::milliseconds(101));
  const auto answers = answers_.wait(1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].kind, Answer::Kind::kError);
  EXPECT_EQ(answers[0].cause, Answer::Cause::kDeadline);
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually([this] { return broker_->outbox_info().event_count() == 0; }));
  EXPECT_EQ(stored_texts(), std::vector<std::string>{"1"});
}

TEST_F(QueueBrokerTest, TheTimeWithoutACollectorIsAGapOfEachSource) {
  start();
  EXPECT_TRUE(stored_gaps(v1::CaptureGap::REASON_COLLECTOR_DOWN).empty());
  stop();
  const int64_t last = clock_.unix_now_ns();
  clock_.advance(std::chrono::seconds(30));
  start();
  ASSERT_TRUE(eventually(
      [this] { return stored_gaps(v1::CaptureGap::REASON_COLLECTOR_DOWN).size() == 2; }));
  const auto gaps = stored_gaps(v1::CaptureGap::REASON_COLLECTOR_DOWN);
  EXPECT_EQ(gaps[0].source().name(), "node");
  EXPECT_EQ(gaps[1].source().name(), "grpc");
  for (const auto& gap : gaps) {
    EXPECT_EQ(gap.capture_gap().start_unix_ns(), last);
    EXPECT_EQ(gap.capture_gap().end_unix_ns(), clock_.unix_now_ns());
    EXPECT_EQ(gap.capture_gap().missing_count(), -1);
  }
}

TEST_F(QueueBrokerTest, AGapThatWasOpenWhenTheCollectorStoppedIsReportedByTheNext) {
  start();
  queue_.set_state(MemoryQueue::State::kDown);
  submit(post("r@c", "a"), std::chrono::milliseconds(100));
  clock_.advance(std::chrono::milliseconds(101));
  EXPECT_EQ(answers_.wait(1)[0].kind, Answer::Kind::kError);
  restart();
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually(
      [this] { return stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE).size() == 1; }));
  EXPECT_EQ(stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE)[0].capture_gap().missing_count(),
            1);
}

TEST_F(QueueBrokerTest, AFullOutboxDropsLoudlyAndTheLossIsAGap) {
  outbox_max_bytes_ = 4'000;
  queue_.set_state(MemoryQueue::State::kDown);
  start();
  for (int i = 0; i < 20; ++i) submit_unawaited(post("r@c", "text " + std::to_string(i)));
  const auto answers = unawaited_answers_.wait(20);
  ASSERT_EQ(answers.size(), 20u);
  int64_t kept = 0;
  for (const Answer& answer : answers) {
    if (answer.kind == Answer::Kind::kAccepted) {
      ++kept;
    } else {
      EXPECT_EQ(answer.cause, Answer::Cause::kFull);
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 20);
  EXPECT_LE(broker_->outbox_info().bytes(), 4'000);
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually([this] {
    clock_.advance(std::chrono::milliseconds(100));
    return stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE).size() == 1;
  }));
  EXPECT_EQ(stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE)[0].capture_gap().missing_count(),
            20 - kept);
  EXPECT_EQ(stored_texts().size(), static_cast<size_t>(kept));
}

TEST_F(QueueBrokerTest, AFailedSyncOfTheOutboxIsFatalAndNothingIsAcceptedAfterIt) {
  queue_.set_state(MemoryQueue::State::kDown);
  start();
  submit_unawaited(post("r@c", "a"));
  unawaited_answers_.wait(1);
  disk_.fail({.nth = 1, .is_sticky = true, .kinds = {testing::IoKind::kSync}});
  submit_unawaited(post("r@c", "b"));
  auto answers = unawaited_answers_.wait(2);
  EXPECT_EQ(answers[1].kind, Answer::Kind::kError);
  // The alive mark may fail, too, before anybody ends the process.
  EXPECT_GE(fatal_.wait(1).size(), 1u);
  disk_.clear_faults();
  submit_unawaited(post("r@c", "c"));
  answers = unawaited_answers_.wait(3);
  EXPECT_EQ(answers[2].kind, Answer::Kind::kError);
}

TEST_F(QueueBrokerTest, WhatNoOneWaitsForAndTheQueueRefusesForGoodIsAGap) {
  start();
  queue_.refuse_next(invalid_argument("too large"));
  submit_unawaited(post("r@c", "a"));
  ASSERT_TRUE(eventually(
      [this] { return stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE).size() == 1; }));
  EXPECT_EQ(stored_gaps(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE)[0].capture_gap().missing_count(),
            1);
}

TEST_F(QueueBrokerTest, FullMemoryIsAnsweredAtOnce) {
  client_options_.memory_max_bytes = 3'000;
  start();
  queue_.set_state(MemoryQueue::State::kDown);
  for (int i = 0; i < 10; ++i) submit(post("r@c", "text " + std::to_string(i)));
  ASSERT_TRUE(eventually([this] { return answers_.count() > 0; }));
  EXPECT_EQ(answers_.wait(1)[0].cause, Answer::Cause::kFull);
  EXPECT_GT(answers_.wait(1)[0].retry_after.count(), 0);
}

TEST_F(QueueBrokerTest, DurableJoinsAreInTheRosterAndUnansweredOnesAreNot) {
  start();
  v1::Event joined = post("r@c", "join");
  joined.mutable_joined();
  submit(joined);
  answers_.wait(1);
  v1::Conversation room;
  room.set_kind(v1::CONVERSATION_KIND_ROOM);
  room.set_address("r@c");
  EXPECT_EQ(broker_->roster().diff_room("node", room, {}, "snapshot").size(), 1u);
  restart();
  EXPECT_EQ(broker_->roster().diff_room("node", room, {}, "snapshot").size(), 1u);
}

v1::Event named(v1::Event event, const std::string& name) {
  event.mutable_source()->set_raw_event(name);
  event.mutable_references()->set_message_id("m1");
  event.mutable_source_key()->mutable_link()->set_from(name);
  return event;
}

TEST_F(QueueBrokerTest, AnAttemptWithoutConfirmationIsRecordedAsUnconfirmedAlsoAfterARestart_C100) {
  start();
  submit(named(post("r@c", "a"), "onBeforeSend"));
  answers_.wait(1);
  EXPECT_EQ(broker_->open_attempt_count(), 1);
  restart();
  clock_.advance(std::chrono::milliseconds(60'000));
  const auto outcomes = [this] {
    std::vector<v1::Event> found;
    for (const auto& event : stored()) {
      if (event.has_verdict_outcome()) found.push_back(event);
    }
    return found;
  };
  ASSERT_TRUE(eventually([&] { return outcomes().size() == 1; }));
  const v1::Event outcome = outcomes()[0];
  EXPECT_EQ(outcome.verdict_outcome().outcome(), v1::VerdictOutcome::OUTCOME_UNCONFIRMED);
  EXPECT_EQ(outcome.references().event_id(), stored()[0].id());
  EXPECT_EQ(outcome.conversation().key(), "r@c");
  EXPECT_TRUE(eventually([this] { return broker_->unconfirmed_count() == 1; }));
  // The outcome bears the attempt's name, and is none.
  EXPECT_EQ(broker_->open_attempt_count(), 0);
}

TEST_F(QueueBrokerTest, AnAttemptThatIsConfirmedAwaitedOrNotHasNoOutcome) {
  start();
  submit(named(post("r@c", "a"), "onBeforeSend"));
  submit(named(post("r@c", "b"), "onBeforeBroadcast"));
  submit(named(post("r2@c", "c"), "onBeforeSend"));
  answers_.wait(3);
  submit_unawaited(named(post("r2@c", "d"), "onBeforeBroadcast"));
  unawaited_answers_.wait(1);
  EXPECT_EQ(broker_->open_attempt_count(), 0);
}

TEST_F(QueueBrokerTest, AnAttemptThatWasAnsweredWithAnErrorIsNotAwaited) {
  start();
  queue_.set_state(MemoryQueue::State::kSilent);
  submit(named(post("r@c", "a"), "onBeforeSend"), std::chrono::milliseconds(100));
  clock_.advance(std::chrono::milliseconds(200));
  EXPECT_EQ(answers_.wait(1).at(0).kind, Answer::Kind::kError);
  EXPECT_EQ(broker_->open_attempt_count(), 0);
}

}  // namespace
}  // namespace verbatim::collector
