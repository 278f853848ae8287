// What bounds the core whatever clients and operators do, and what it tells of trouble.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/frame.h"
#include "queue/log/segment_files.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class QueueBoundsTest : public testing::QueueCoreFixture {
 protected:
  QueueBoundsTest() { options_.queues = {"events", "answers"}; }
  void use_segments(uint64_t bytes) {
    options_.log.segment_bytes = bytes;
    options_.message_max_bytes = static_cast<int64_t>(bytes / 32);
  }
  void open() { open_for({"peer"}, "1"); }
  void crash() {
    cut();
    open();
  }
  v1::QueueFrame ask(v1::QueueFrame frame) {
    for (v1::QueueFrame& answer : QueueCoreFixture::ask("peer", std::move(frame))) {
      if (answer.request_id() == request_id_) return std::move(answer);
    }
    return {};
  }
  // Time passes in steps of 10 ms.
  void pass(milliseconds time) {
    for (milliseconds left = time; left.count() > 0; left -= milliseconds(10)) {
      clock_.advance(milliseconds(10));
      v1::QueueFrame beat;
      beat.mutable_heartbeat();
      core_->handle("peer", base::encode_frame(beat));
      core_->tick();
      ASSERT_TRUE(core_->commit_group().ok());
      core_->take_outgoing();
    }
  }

  struct Put {
    std::string queue = "events";
    std::string producer = "producer";
    uint64_t sequence = 1;
    std::string source = "source";
    std::string body = "body";
    std::string source_key = {};
    bool wants_words = false;
  };
  v1::QueueFrame put(const Put& wanted) {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue(wanted.queue);
    put.set_producer(wanted.producer);
    put.set_epoch(5);
    put.set_first_sequence(wanted.sequence);
    v1::PutMessage& message = *put.add_messages();
    message.set_source(wanted.source);
    message.set_body(wanted.body);
    message.set_source_key(wanted.source_key);
    message.set_label("label");
    message.set_correlation_id("about it");
    if (wanted.wants_words) {
      message.mutable_acknowledge()->set_queue("answers");
      message.mutable_acknowledge()->set_on_consumed(true);
    }
    return ask(frame);
  }
  v1::QueueFrame open_producer(const std::string& name) {
    v1::QueueFrame frame;
    frame.mutable_open_producer()->set_queue("events");
    frame.mutable_open_producer()->set_producer(name);
    frame.mutable_open_producer()->set_epoch(5);
    return ask(frame);
  }
  v1::ReceiveReply receive(const std::string& queue = "events", int64_t max_count = 100) {
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue(queue);
    receive.set_max_count(max_count);
    receive.set_max_bytes(1 << 20);
    receive.set_lease_ms(10'000);
    return ask(frame).receive_reply();
  }
  v1::QueueFrame commit(uint64_t lease_id) {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue("events");
    frame.mutable_commit()->set_lease_id(lease_id);
    return ask(frame);
  }
  v1::QueueFrame abort(uint64_t lease_id) {
    v1::QueueFrame frame;
    frame.mutable_abort()->set_queue("events");
    frame.mutable_abort()->set_lease_id(lease_id);
    return ask(frame);
  }
  Status create(const std::string& name) {
    v1::CreateQueueRequest request;
    request.set_queue(name);
    RETURN_IF_ERROR(core_->create_queue(request));
    return core_->commit_group();
  }
  Result<uint64_t> remove(const std::string& name) {
    v1::DeleteQueueRequest request;
    request.set_queue(name);
    request.set_force(true);
    return core_->delete_queue(request);
  }
  void transfer(v1::TransferRequest::Kind kind, const std::string& from, const std::string& to = {},
                int64_t rate_max = 0) {
    v1::TransferRequest request;
    request.set_kind(kind);
    request.set_queue(from);
    request.set_to_queue(to);
    request.set_rate_max(rate_max);
    ASSERT_TRUE(core_->start_transfer(request).has_value());
  }
  v1::QueueInfo info(const std::string& name) {
    const v1::ListQueuesResponse all = core_->list_queues();
    for (const auto& queue : all.queues()) {
      if (queue.name() == name) return queue;
    }
    return {};
  }
  std::vector<v1::MessageInfo> peek(const std::string& name) {
    v1::PeekRequest request;
    request.set_queue(name);
    request.set_max_count(100);
    const auto answer = core_->peek(request);
    if (!answer) return {};
    return {answer->messages().begin(), answer->messages().end()};
  }
  bool has_alarm(const std::string& name, const std::string& subject = {}) {
    for (const auto& alarm : core_->alarm_conditions()) {
      if (alarm.name == name && alarm.subject == subject) return true;
    }
    return false;
  }
  // What the control state of all queues really takes, without the answers of producers.
  int64_t snapshot_bytes() {
    v1::LogSnapshot snapshot;
    for (const auto& [id, queue] : core_->store().queues()) {
      v1::LogQueue& saved = *snapshot.add_queues();
      queue->save(saved);
      for (auto& producer : *saved.mutable_producers()) producer.clear_puts();
    }
    return static_cast<int64_t>(snapshot.ByteSizeLong());
  }
  size_t run_count() {
    size_t count = 0;
    for (const auto& [id, queue] : core_->store().queues()) count += queue->producers.run_count();
    return count;
  }
  uint64_t generation() { return std::as_const(core_->store()).log().newest_generation(); }
  // Puts until new segments have been begun, each with a snapshot.
  void begin_segments(uint64_t count, Put filler) {
    const uint64_t wanted = generation() + count;
    filler.body = std::string(static_cast<size_t>(options_.message_max_bytes) - 100, 'x');
    for (; generation() < wanted; ++filler.sequence) {
      ASSERT_TRUE(put(filler).has_put_reply()) << filler.sequence;
    }
  }
};

// --- the control state and a segment ---

std::string long_name(int number) {
  std::string name = std::to_string(number);
  return name + std::string(128 - name.size(), 's');
}

TEST_F(QueueBoundsTest, SourcesProducersAndQueuesStayWithinTheirShareOfASegment) {
  open();
  Put next;
  v1::QueueFrame answer;
  for (;; ++next.sequence) {
    next.source = long_name(static_cast<int>(next.sequence));
    answer = put(next);
    if (!answer.has_put_reply() || next.sequence > 5'000) break;
  }
  EXPECT_EQ(answer.refused().reason(), v1::REFUSAL_REASON_FULL) << answer.ShortDebugString();
  EXPECT_THAT(answer.refused().detail(), HasSubstr("queue.segment_bytes"));
  EXPECT_GT(answer.refused().retry_after_ms(), 0);
  const auto source_count = static_cast<int>(next.sequence - 1);
  EXPECT_GT(source_count, 1'000);
  EXPECT_GE(core_->store().control_bytes(), snapshot_bytes());
  EXPECT_LE(core_->store().control_bytes(), 256 * 1024);
  EXPECT_TRUE(has_alarm("control-full"));
  for (const bool is_restarted : {false, true}) {
    if (is_restarted) crash();
    EXPECT_EQ(open_producer(long_name(2)).refused().reason(), v1::REFUSAL_REASON_FULL);
    EXPECT_EQ(put({.producer = long_name(3)}).refused().reason(), v1::REFUSAL_REASON_FULL);
    EXPECT_EQ(create("imports").code(), StatusCode::kResourceExhausted);
    next.source = long_name(1);
    EXPECT_TRUE(put(next).has_put_reply()) << "a known source goes on";
    ++next.sequence;
  }
  ASSERT_NO_FATAL_FAILURE(begin_segments(3, next));
  crash();
  EXPECT_EQ(info("events").accepted_by_source_size(), source_count);
}

TEST_F(QueueBoundsTest, APutOfManyNewSourcesDoesNotPassTheirNumber) {
  use_segments(16 * 1024 * 1024);
  options_.message_max_bytes = 32 * 1024;
  open();
  v1::QueueFrame frame;
  v1::Put& put = *frame.mutable_put();
  put.set_queue("events");
  put.set_producer("producer");
  put.set_epoch(5);
  for (int round = 0; round < 17; ++round) {
    put.clear_messages();
    put.set_first_sequence(static_cast<uint64_t>(round) * 1'000 + 1);
    for (int i = 0; i < 1'000; ++i)
      put.add_messages()->set_source(std::to_string(round * 1'000 + i));
    const v1::QueueFrame answer = ask(frame);
    EXPECT_EQ(answer.has_put_reply(), round < 16) << answer.ShortDebugString();
    if (round == 16) {
      EXPECT_THAT(answer.refused().detail(), HasSubstr("too many sources"));
    }
  }
  EXPECT_EQ(info("events").accepted_by_source_size(), 16'000);
}

TEST_F(QueueBoundsTest, NamesOfDeletedQueuesAreKeptAndCount) {
  use_segments(64 * 1024);
  open();
  ASSERT_TRUE(put({}).has_put_reply());
  const std::string tail(55, 'q');
  Status status;
  int number = 100'000;
  for (; status.ok() && number < 101'000; ++number) {
    const std::string name = std::to_string(number) + tail;
    status = create(name);
    if (!status.ok()) break;
    ASSERT_TRUE(remove(name).has_value());
    pass(milliseconds(10));
    ASSERT_EQ(info(name).name(), "");
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("names of deleted queues"));
  EXPECT_GT(number, 100'050);
  // What counts also counts after a restart, and segments are begun as ever.
  const int64_t bytes = core_->store().control_bytes();
  EXPECT_LE(bytes, 16 * 1024);
  ASSERT_NO_FATAL_FAILURE(begin_segments(2, {.sequence = 2}));
  crash();
  EXPECT_EQ(create("another" + tail).code(), StatusCode::kResourceExhausted);
}

TEST_F(QueueBoundsTest, TheEstimateIsTheSameAfterARestartAndNeverTooSmall) {
  open();
  ASSERT_TRUE(create("events;own").ok());
  v1::ConfigureQueueRequest configure;
  configure.set_queue("events;own");
  v1::QueueSettings& settings = *configure.mutable_settings();
  settings.set_quota_messages(int64_t{1} << 50);
  settings.set_quota_bytes(int64_t{1} << 50);
  settings.set_journal_quota_bytes(int64_t{1} << 50);
  settings.set_low_mark_percent(99);
  settings.set_retries(1'000);
  settings.set_retry_cycles(50);
  settings.set_retry_cycle_delay_ms(86'400'000);
  ASSERT_TRUE(core_->configure_queue(configure).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(put({.producer = "p" + std::to_string(i), .source = "s" + std::to_string(i)})
                    .has_put_reply());
  }
  ASSERT_TRUE(create("gone").ok());
  ASSERT_TRUE(remove("gone").has_value());
  pass(milliseconds(50));
  const int64_t bytes = core_->store().control_bytes();
  EXPECT_GE(bytes, snapshot_bytes());
  crash();
  EXPECT_EQ(core_->store().control_bytes(), bytes);
  ASSERT_NO_FATAL_FAILURE(begin_segments(2, {.producer = "p0", .sequence = 2, .source = "s0"}));
  crash();
  EXPECT_EQ(core_->store().control_bytes(), bytes);
}

TEST_F(QueueBoundsTest, ALogWithLargerSegmentsOpensUnderSmallerSettings) {
  open();
  Put next;
  // More than a segment of the new size.
  for (; core_->store().control_bytes() < 100 * 1024; ++next.sequence) {
    next.source = long_name(static_cast<int>(next.sequence));
    ASSERT_TRUE(put(next).has_put_reply());
  }
  next.body = std::string(30'000, 'x');
  ASSERT_TRUE(put(next).has_put_reply());
  use_segments(64 * 1024);
  crash();
  EXPECT_EQ(info("events").depth(), static_cast<int64_t>(next.sequence));
  EXPECT_EQ(std::as_const(core_->store()).log().segment_bytes(), 1024u * 1024);
  ++next.sequence;
  next.source = long_name(1);
  ASSERT_NO_FATAL_FAILURE(begin_segments(3, next));
  crash();
  EXPECT_EQ(std::as_const(core_->store()).log().segment_bytes(), 1024u * 1024);
}

TEST_F(QueueBoundsTest, ConfiguredQueuesThatDoNotFitStopTheStart) {
  use_segments(64 * 1024);
  for (int i = 0; i < 30; ++i) options_.queues.push_back("queue-" + std::to_string(i));
  const auto core = QueueCore::open(disk_, clock_, options_);
  EXPECT_EQ(core.error().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(core.error().message(), HasSubstr("queue.segment_bytes"));
}

TEST_F(QueueBoundsTest, AnswersOfAllQueuesTogetherAreBoundedAndTheNewestIsKept) {
  use_segments(64 * 1024);
  options_.queues = {"events", "answers", "third", "fourth"};
  open();
  // Two producers in turn: each put is a run of its own.
  for (uint64_t sequence = 1; sequence <= 40; ++sequence) {
    for (const std::string& queue : options_.queues) {
      for (const char* producer : {"a", "b"}) {
        ASSERT_TRUE(
            put({.queue = queue, .producer = producer, .sequence = sequence}).has_put_reply());
        clock_.advance(milliseconds(1));
      }
    }
  }
  EXPECT_LE(run_count(), 64u);
  EXPECT_GT(run_count(), 60u);
  const size_t kept = run_count();
  for (const bool is_restarted : {false, true}) {
    if (is_restarted) crash();
    EXPECT_EQ(run_count(), kept);
    for (const std::string& queue : options_.queues) {
      const auto answer = put({.queue = queue, .producer = "b", .sequence = 40});
      EXPECT_EQ(answer.put_reply().results(0).lookup_id(), 80u) << answer.ShortDebugString();
    }
  }
  EXPECT_EQ(put({.producer = "a", .sequence = 1}).refused().reason(),
            v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
}

TEST_F(QueueBoundsTest, OfProducersWithoutAKeyTheOneSilentForLongestIsForgotten) {
  open();
  for (int i = 0; i < 1'025; ++i) {
    ASSERT_TRUE(open_producer("p" + std::to_string(i)).has_open_producer_reply()) << i;
    clock_.advance(milliseconds(1));
  }
  const Producers& producers = core_->store().find("events")->producers;
  EXPECT_EQ(producers.find("p0"), nullptr);
  EXPECT_NE(producers.find("p1"), nullptr);
  EXPECT_NE(producers.find("p1024"), nullptr);
}

// --- how messages end ---

TEST_F(QueueBoundsTest, PoisonGoesToTheDeadLettersWhereTheSettingsSaySo) {
  open();
  v1::ConfigureQueueRequest configure;
  configure.set_queue("events");
  configure.mutable_settings()->set_retries(0);
  configure.mutable_settings()->set_retry_cycles(0);
  configure.mutable_settings()->set_poison_target(v1::QueueSettings::POISON_TARGET_DEAD_LETTERS);
  ASSERT_TRUE(core_->configure_queue(configure).ok());
  ASSERT_TRUE(put({.wants_words = true}).has_put_reply());
  ASSERT_TRUE(abort(receive().lease_id()).has_settle_reply());
  crash();
  pass(milliseconds(50));
  const auto dead = peek("events;dead-letters");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].hops(0).reason(), v1::END_REASON_POISON);
  EXPECT_EQ(info("events;poison").name(), "");
  EXPECT_EQ(info("events").depth(), 0);
  const auto words = receive("answers");
  ASSERT_EQ(words.messages_size(), 1);
  v1::Acknowledgement word;
  ASSERT_TRUE(word.ParseFromString(words.messages(0).body()));
  EXPECT_EQ(word.kind(), v1::Acknowledgement::KIND_ENDED);
  EXPECT_EQ(word.reason(), v1::END_REASON_POISON);
}

TEST_F(QueueBoundsTest, AMessageThatIsPurgedTellsItsEndWithItsLabelAndCorrelation) {
  open();
  ASSERT_TRUE(put({.wants_words = true}).has_put_reply());
  ASSERT_NO_FATAL_FAILURE(transfer(v1::TransferRequest::KIND_PURGE, "events"));
  pass(milliseconds(50));
  crash();
  const auto words = receive("answers");
  ASSERT_EQ(words.messages_size(), 1);
  EXPECT_EQ(words.messages(0).correlation_id(), "about it");
  v1::Acknowledgement word;
  ASSERT_TRUE(word.ParseFromString(words.messages(0).body()));
  EXPECT_EQ(word.kind(), v1::Acknowledgement::KIND_ENDED);
  EXPECT_EQ(word.reason(), v1::END_REASON_PURGED);
  EXPECT_EQ(word.queue(), "events");
  EXPECT_EQ(word.lookup_id(), 1u);
  EXPECT_EQ(word.label(), "label");
}

TEST_F(QueueBoundsTest, OfManyHopsTheFirstAndTheNewestAreKept) {
  open();
  ASSERT_TRUE(create("events;own").ok());
  ASSERT_TRUE(put({}).has_put_reply());
  for (int i = 0; i < 20; ++i) {
    const bool is_back = i % 2 == 1;
    ASSERT_NO_FATAL_FAILURE(transfer(v1::TransferRequest::KIND_MOVE,
                                     is_back ? "events;own" : "events",
                                     is_back ? "events" : "events;own"));
    pass(milliseconds(20));
  }
  crash();
  const auto messages = peek("events");
  ASSERT_EQ(messages.size(), 1u);
  ASSERT_EQ(messages[0].hops_size(), 16);
  EXPECT_EQ(messages[0].hops(0).queue(), "events");
  EXPECT_EQ(messages[0].hops(0).lookup_id(), 1u);
  EXPECT_EQ(messages[0].hops(1).lookup_id(), 3u) << "hops 2 to 5 are left out";
  EXPECT_EQ(messages[0].hops(15).queue(), "events;own");
  EXPECT_EQ(messages[0].hops(15).lookup_id(), 10u);
}

TEST_F(QueueBoundsTest, AQueueOfTheConfigurationIsNotDeleted) {
  open();
  const auto removed = remove("events");
  EXPECT_EQ(removed.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(removed.error().message(), HasSubstr("queue.queues"));
  pass(milliseconds(50));
  EXPECT_EQ(info("events").name(), "events");
  EXPECT_FALSE(info("events").is_deleting());
  EXPECT_TRUE(put({}).has_put_reply());
}

TEST_F(QueueBoundsTest, AMoveKeepsToTheRateThatItWasGiven) {
  open();
  ASSERT_TRUE(create("events;own").ok());
  for (uint64_t i = 1; i <= 500; ++i) ASSERT_TRUE(put({.sequence = i}).has_put_reply());
  ASSERT_NO_FATAL_FAILURE(transfer(v1::TransferRequest::KIND_MOVE, "events", "events;own", 100));
  for (int64_t second = 1; second <= 4; ++second) {
    pass(seconds(1));
    EXPECT_NEAR(static_cast<double>(info("events;own").depth()),
                100.0 * static_cast<double>(second), 12.0);
  }
}

// --- alarms ---

TEST_F(QueueBoundsTest, AnOldMessageIsAnAlarmInAQueueAndInAnOwnSubQueue) {
  options_.alarm_age = seconds(60);
  open();
  ASSERT_TRUE(create("events;own").ok());
  ASSERT_TRUE(put({}).has_put_reply());
  ASSERT_TRUE(put({.queue = "events;own"}).has_put_reply());
  ASSERT_TRUE(put({.queue = "answers"}).has_put_reply());
  ASSERT_NO_FATAL_FAILURE(transfer(v1::TransferRequest::KIND_PURGE, "answers"));
  pass(milliseconds(100));
  clock_.advance(seconds(59));
  EXPECT_FALSE(has_alarm("oldest-age", "events"));
  clock_.advance(seconds(2));
  EXPECT_TRUE(has_alarm("oldest-age", "events"));
  EXPECT_TRUE(has_alarm("oldest-age", "events;own"));
  EXPECT_EQ(info("answers;dead-letters").depth(), 1);
  EXPECT_FALSE(has_alarm("oldest-age", "answers;dead-letters")) << "these wait for a person";
  open();
  ASSERT_TRUE(commit(receive().lease_id()).has_settle_reply());
  EXPECT_FALSE(has_alarm("oldest-age", "events"));
}

TEST_F(QueueBoundsTest, DamageThatTheCheckOfOldSegmentsFindsIsAnAlarm) {
  open();
  const uint64_t damaged = generation();
  ASSERT_NO_FATAL_FAILURE(begin_segments(2, {}));
  crash();
  ASSERT_GT(std::as_const(core_->store()).log().stats().summarised_segment_count, 0u);
  // In the middle of a body.
  disk_.flip_byte("/queue/" + segment_name(damaged), 512 * 1024);
  EXPECT_FALSE(has_alarm("log-damaged"));
  for (int i = 0; i < 100; ++i) core_->verify_some();
  EXPECT_TRUE(has_alarm("log-damaged"));
  const auto whole = receive("events", 1);
  ASSERT_EQ(whole.messages_size(), 1) << "what is whole goes on being delivered";
  EXPECT_EQ(whole.messages(0).lookup_id(), 1u);
  EXPECT_TRUE(core_->fatal().ok());
}

}  // namespace
}  // namespace verbatim::queue
