#include "queue/client/put_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/frame.h"
#include "queue/client/put_frame.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kForever = nanoseconds::max();

// A pipeline and a service played by hand.
class PutPipelineTest : public ::testing::Test {
 protected:
  explicit PutPipelineTest(size_t batch_max_count = 4)
      : pipeline_({.queue = "q", .producer = "p", .batch_max_count = batch_max_count}) {
    pipeline_.on_opened(5);
  }

  void put(const std::string& name, nanoseconds deadline = kForever,
           const std::string& source_key = {}) {
    PutRequest request;
    request.source_key = source_key;
    request.source = "s";
    request.body = name;
    pipeline_.add(PipelinePut(request, deadline, note(name), note("late " + name)));
  }
  std::function<void(Result<PutOutcome>)> note(const std::string& name) {
    return [this, name](const Result<PutOutcome>& outcome) {
      ends_.push_back(name + "=" +
                      (outcome ? std::to_string(outcome->lookup_id)
                               : std::string(code_name(outcome.error().code())) +
                                     (is_in_doubt(outcome.error()) ? "?" : "")));
    };
  }
  // Sends all that may go: "first_sequence:bodies".
  std::vector<std::string> send() {
    std::vector<std::string> sent;
    while (auto frame = pipeline_.next_frame(now_, next_id_)) {
      v1::QueueFrame& decoded = frames_.emplace_back();
      EXPECT_TRUE(base::decode_frame(*frame, decoded).ok());
      std::string text = std::to_string(decoded.put().first_sequence()) + ":";
      for (const auto& message : decoded.put().messages()) text += message.body();
      sent.push_back(text);
    }
    return sent;
  }
  // Answers the frame: its messages are stored under their numbers.
  void answer(size_t index) {
    v1::QueueFrame reply;
    reply.set_request_id(frames_[index].request_id());
    const v1::Put& put = frames_[index].put();
    for (int i = 0; i < put.messages_size(); ++i) {
      reply.mutable_put_reply()->add_results()->set_lookup_id(put.first_sequence() +
                                                              static_cast<uint64_t>(i));
    }
    EXPECT_TRUE(pipeline_.on_reply(reply, now_));
  }
  void refuse(size_t index, v1::RefusalReason reason) {
    v1::QueueFrame reply;
    reply.set_request_id(frames_[index].request_id());
    reply.mutable_refused()->set_reason(reason);
    reply.mutable_refused()->set_retry_after_ms(100);
    EXPECT_TRUE(pipeline_.on_reply(reply, now_));
  }
  std::vector<std::string> ends() {
    std::vector<PutPipeline::Ended> all;
    pipeline_.take_ended(all);
    for (auto& ended : all) {
      if (ended.callback) ended.callback(std::move(ended.outcome));
    }
    return std::exchange(ends_, {});
  }

  PutPipeline pipeline_;
  nanoseconds now_ = milliseconds(1'000);
  uint64_t next_id_ = 1;
  std::vector<v1::QueueFrame> frames_;
  std::vector<std::string> ends_;
};

// Each put is a full batch.
class PutPipelineOfOnesTest : public PutPipelineTest {
 protected:
  PutPipelineOfOnesTest() : PutPipelineTest(1) {}
};

TEST_F(PutPipelineTest, AWithdrawnPutSaysWhatKeptItOut) {
  pipeline_.on_disconnected();
  const auto withdrawn = [this] {
    pipeline_.add(PipelinePut(PutRequest(), now_, {}, {}));
    pipeline_.expire(now_);
    std::vector<PutPipeline::Ended> all;
    pipeline_.take_ended(all);
    return all.at(0).outcome.error().message();
  };
  EXPECT_EQ(withdrawn(), "withdrawn: the queue service is away");
  pipeline_.set_obstacle("the queue service does not know our key");
  EXPECT_EQ(withdrawn(), "withdrawn: the queue service does not know our key");
}

TEST_F(PutPipelineTest, PutsTravelTogetherOnceTheyAreAsManyAsThoseInFlight) {
  put("a");
  EXPECT_THAT(send(), ElementsAre("1:a"));
  put("b");
  EXPECT_THAT(send(), ElementsAre("2:b")) << "as many as are in flight";
  put("c");
  EXPECT_THAT(send(), IsEmpty()) << "two are in flight: wait for company";
  put("d");
  EXPECT_THAT(send(), ElementsAre("3:cd"));
  put("e");
  answer(0);
  EXPECT_THAT(send(), IsEmpty()) << "three are in flight still";
  answer(1);
  answer(2);
  EXPECT_THAT(send(), ElementsAre("5:e")) << "nothing is in flight: nothing to wait for";
  answer(3);
  EXPECT_THAT(ends(), ElementsAre("a=1", "b=2", "c=3", "d=4", "e=5"));
}

TEST_F(PutPipelineTest, AFullBatchGoesAtOnceHoweverManyAreInFlight) {
  for (const char* text : {"a", "b", "c", "d"}) put(text);
  EXPECT_THAT(send(), ElementsAre("1:abcd"));
  for (const char* text : {"e", "f", "g", "h"}) put(text);
  EXPECT_THAT(send(), ElementsAre("5:efgh"));
  for (const char* text : {"i", "j", "k"}) put(text);
  EXPECT_THAT(send(), IsEmpty());
  put("l");
  EXPECT_THAT(send(), ElementsAre("9:ijkl"));
}

TEST_F(PutPipelineTest, ItSaysHowManyPutsMakeTheNextFrame) {
  EXPECT_EQ(pipeline_.wanted().count, 1U) << "nothing is in flight: any put goes at once";
  for (const char* text : {"a", "b", "c"}) put(text);
  EXPECT_THAT(send(), ElementsAre("1:abc"));
  EXPECT_EQ(pipeline_.wanted().count, 3U);
  put("d");
  EXPECT_THAT(send(), IsEmpty());
  EXPECT_EQ(pipeline_.wanted().count, 2U);
  for (const char* text : {"e", "f"}) put(text);
  EXPECT_THAT(send(), ElementsAre("4:def"));
  EXPECT_EQ(pipeline_.wanted().count, 4U) << "no more than a batch";
  pipeline_.set_credit(2, 1'000'000);
  EXPECT_EQ(pipeline_.wanted().count, SIZE_MAX) << "only an answer helps";
  answer(0);
  answer(1);
  EXPECT_EQ(pipeline_.wanted().count, 1U);
}

TEST_F(PutPipelineOfOnesTest, AFullQueueIsTriedAgainAfterTheDelayUnderTheSameNumbers) {
  put("a");
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b"));
  refuse(0, v1::REFUSAL_REASON_FULL);
  EXPECT_THAT(send(), IsEmpty());
  refuse(1, v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  EXPECT_THAT(send(), IsEmpty()) << "the delay is kept";
  now_ += milliseconds(100);
  EXPECT_THAT(send(), ElementsAre("1:a")) << "one finds out";
  answer(2);
  EXPECT_THAT(send(), ElementsAre("2:b"));
  answer(3);
  EXPECT_THAT(ends(), ElementsAre("a=1", "b=2"));
}

TEST_F(PutPipelineTest, APutRefusedAsFullIsWithdrawnAtItsDeadline) {
  put("a", now_ + milliseconds(50));
  send();
  refuse(0, v1::REFUSAL_REASON_FULL);
  now_ += milliseconds(60);
  pipeline_.expire(now_);
  EXPECT_THAT(ends(), ElementsAre("a=DEADLINE_EXCEEDED"));
  now_ += milliseconds(60);
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:b")) << "the withdrawn one used up no number";
}

TEST_F(PutPipelineTest, AnUnansweredPutIsInDoubtAndLaterKnown) {
  put("a", now_ + milliseconds(50));
  send();
  now_ += milliseconds(60);
  pipeline_.expire(now_);
  EXPECT_THAT(ends(), ElementsAre("a=DEADLINE_EXCEEDED?"));
  answer(0);
  EXPECT_THAT(ends(), ElementsAre("late a=1"));
}

TEST_F(PutPipelineOfOnesTest, AfterALossStoredPutsAreAskedAgainAndLostOnesSentAnew) {
  put("a");
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b"));
  pipeline_.on_disconnected();
  put("c");
  EXPECT_THAT(send(), IsEmpty());
  pipeline_.on_resumed(1);
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b", "3:c"));
  for (size_t index = 2; index < 5; ++index) answer(index);
  EXPECT_THAT(ends(), ElementsAre("a=1", "b=2", "c=3"));
}

TEST_F(PutPipelineTest, AnInDoubtPutThatWasNotStoredIsWithdrawnAfterTheLoss) {
  put("a", now_ + milliseconds(50));
  send();
  now_ += milliseconds(60);
  pipeline_.expire(now_);
  ends();
  pipeline_.on_disconnected();
  pipeline_.on_resumed(0);
  EXPECT_THAT(ends(), ElementsAre("late a=DEADLINE_EXCEEDED"));
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:b"));
}

// Its number is used up: under the next put it would be answered as the stored one's repeat.
TEST_F(PutPipelineOfOnesTest, AStoredPutThatIsRefusedAfterALossEndsInDoubtAndKeepsItsNumber) {
  for (const auto reason : {v1::REFUSAL_REASON_TOO_LARGE, v1::REFUSAL_REASON_UNKNOWN_QUEUE,
                            v1::REFUSAL_REASON_NOT_PERMITTED, v1::REFUSAL_REASON_OUT_OF_SEQUENCE}) {
    pipeline_.on_opened(5);
    frames_.clear();
    put("a");
    ASSERT_THAT(send(), ElementsAre("1:a"));
    pipeline_.on_disconnected();
    pipeline_.on_resumed(1);
    ASSERT_THAT(send(), ElementsAre("1:a"));
    refuse(1, reason);
    EXPECT_THAT(ends(), ElementsAre("a=UNAVAILABLE?")) << v1::RefusalReason_Name(reason);
    put("b");
    EXPECT_THAT(send(), ElementsAre("2:b")) << v1::RefusalReason_Name(reason);
    answer(2);
    EXPECT_THAT(ends(), ElementsAre("b=2"));
  }
}

// It would be stored twice, under a number of the new epoch.
TEST_F(PutPipelineOfOnesTest, WhatIsInDoubtWhenTheQueueForgetsTheProducerIsNotSentAsNew) {
  put("a");
  put("b", kForever, "key");
  put("c", now_ + milliseconds(50), "other key");
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b", "3:c"));
  pipeline_.expire(now_ + milliseconds(60));
  EXPECT_THAT(ends(), ElementsAre("c=DEADLINE_EXCEEDED?"));
  pipeline_.on_disconnected();
  put("d");
  pipeline_.on_opened(6);
  EXPECT_THAT(ends(), ElementsAre("a=UNAVAILABLE?", "late c=UNAVAILABLE?"));
  EXPECT_THAT(send(), ElementsAre("1:b", "2:d")) << "the queue knows b by its key";
  answer(3);
  answer(4);
  EXPECT_THAT(ends(), ElementsAre("b=1", "d=2"));
}

TEST_F(PutPipelineOfOnesTest, WhatAForgottenProducerWasRefusedIsSentAsNew) {
  put("a");
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b"));
  refuse(0, v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
  EXPECT_EQ(pipeline_.trouble(), PutPipeline::Trouble::kResync);
  pipeline_.on_disconnected();
  pipeline_.on_opened(6);
  EXPECT_THAT(ends(), IsEmpty());
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b"));
}

TEST_F(PutPipelineOfOnesTest, AStoredPutOfAForgottenProducerEndsInDoubt) {
  put("a");
  send();
  pipeline_.on_disconnected();
  pipeline_.on_resumed(1);
  ASSERT_THAT(send(), ElementsAre("1:a"));
  refuse(1, v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
  pipeline_.on_disconnected();
  pipeline_.on_opened(6);
  EXPECT_THAT(ends(), ElementsAre("a=UNAVAILABLE?"));
  EXPECT_THAT(send(), IsEmpty());
}

TEST_F(PutPipelineOfOnesTest, AStoredPutWhoseAnswerHasToWaitKeepsItsNumberPastItsDeadline) {
  put("a", now_ + milliseconds(500));
  send();
  pipeline_.on_disconnected();
  pipeline_.on_resumed(1);
  ASSERT_THAT(send(), ElementsAre("1:a"));
  refuse(1, v1::REFUSAL_REASON_STOPPING);
  EXPECT_THAT(send(), IsEmpty()) << "not at once";
  now_ += milliseconds(1'000);
  put("b");
  EXPECT_THAT(send(), ElementsAre("1:a", "2:b"));
  answer(2);
  answer(3);
  const auto all = ends();
  EXPECT_THAT(all, testing::Contains("b=2"));
  EXPECT_THAT(all, testing::Not(testing::Contains("a=DEADLINE_EXCEEDED"))) << "it is stored";
}

TEST_F(PutPipelineTest, OneBadMessageOfABatchIsFoundAndTheRestStored) {
  for (const char* name : {"a", "b", "c", "d"}) put(name);
  EXPECT_THAT(send(), ElementsAre("1:abcd"));
  refuse(0, v1::REFUSAL_REASON_INVALID);
  EXPECT_THAT(send(), ElementsAre("1:a"));
  answer(1);
  EXPECT_THAT(send(), ElementsAre("2:b"));
  refuse(2, v1::REFUSAL_REASON_INVALID);
  EXPECT_THAT(send(), ElementsAre("2:c"));
  answer(3);
  EXPECT_THAT(send(), ElementsAre("3:d"));
  answer(4);
  EXPECT_THAT(ends(), ElementsAre("a=1", "b=INVALID_ARGUMENT", "c=2", "d=3"));
}

TEST_F(PutPipelineTest, WrongNumbersAtTheFrontAskForAResync) {
  put("a");
  send();
  refuse(0, v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  EXPECT_EQ(pipeline_.trouble(), PutPipeline::Trouble::kResync);
  pipeline_.on_disconnected();
  pipeline_.on_resumed(0);
  EXPECT_THAT(send(), ElementsAre("1:a"));
}

TEST_F(PutPipelineTest, AFencedProducerSaysSo) {
  put("a");
  send();
  refuse(0, v1::REFUSAL_REASON_FENCED);
  EXPECT_EQ(pipeline_.trouble(), PutPipeline::Trouble::kFenced);
  pipeline_.end_all(StatusCode::kFailedPrecondition, "fenced");
  EXPECT_THAT(ends(), ElementsAre("a=FAILED_PRECONDITION?"));
}

TEST_F(PutPipelineTest, TheEndTellsWhatIsInDoubtFromWhatWasNeverSent) {
  put("a");
  send();
  pipeline_.on_disconnected();
  put("b");
  pipeline_.end_all(StatusCode::kCancelled, "stopped");
  EXPECT_THAT(ends(), ElementsAre("a=CANCELLED?", "b=CANCELLED"));
}

TEST_F(PutPipelineTest, AFullOrPausedQueueIsTriedWithOneFrameAtATime) {
  put("a");
  send();
  for (const auto reason : {v1::REFUSAL_REASON_FULL, v1::REFUSAL_REASON_PAUSED}) {
    refuse(frames_.size() - 1, reason);
    EXPECT_EQ(pipeline_.hold(), reason == v1::REFUSAL_REASON_FULL ? PutPipeline::Hold::kFull
                                                                  : PutPipeline::Hold::kPaused);
    EXPECT_EQ(pipeline_.next_due(), now_ + milliseconds(100));
    now_ += milliseconds(100);
    EXPECT_THAT(send(), ElementsAre("1:a"));
    put("b", now_);
    now_ += milliseconds(10);
    EXPECT_THAT(send(), IsEmpty()) << "the probe is not answered";
    EXPECT_THAT(ends(), ElementsAre("b=DEADLINE_EXCEEDED"));
  }
  answer(frames_.size() - 1);
  EXPECT_EQ(pipeline_.hold(), PutPipeline::Hold::kNone);
  EXPECT_THAT(ends(), ElementsAre("a=1"));
}

TEST_F(PutPipelineTest, ADelayBeyondReasonIsCut) {
  put("a");
  send();
  v1::QueueFrame reply;
  reply.set_request_id(frames_[0].request_id());
  reply.mutable_refused()->set_reason(v1::REFUSAL_REASON_FULL);
  reply.mutable_refused()->set_retry_after_ms(std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(pipeline_.on_reply(reply, now_));
  now_ += std::chrono::minutes(1);
  EXPECT_THAT(send(), ElementsAre("1:a"));
}

TEST_F(PutPipelineTest, EveryRefusalForGoodHasACodeOfItsOwn) {
  const std::pair<v1::RefusalReason, std::string> rows[] = {
      {v1::REFUSAL_REASON_INVALID, "INVALID_ARGUMENT"},
      {v1::REFUSAL_REASON_TOO_LARGE, "INVALID_ARGUMENT"},
      {v1::REFUSAL_REASON_UNKNOWN_QUEUE, "NOT_FOUND"},
      {v1::REFUSAL_REASON_NOT_PERMITTED, "PERMISSION_DENIED"}};
  for (const auto& [reason, code] : rows) {
    put("a");
    EXPECT_THAT(send(), ElementsAre("1:a"));
    refuse(frames_.size() - 1, reason);
    EXPECT_THAT(ends(), ElementsAre("a=" + code));
  }
}

TEST_F(PutPipelineOfOnesTest, ARepeatedAnswerOrOneToNothingChangesNothing) {
  put("a");
  send();
  put("b");
  send();
  answer(0);
  v1::QueueFrame reply;
  reply.mutable_put_reply()->add_results()->set_lookup_id(9);
  for (const uint64_t id : {frames_[0].request_id(), uint64_t{0}, uint64_t{99}}) {
    reply.set_request_id(id);
    EXPECT_FALSE(pipeline_.on_reply(reply, now_)) << id;
  }
  refuse(1, v1::REFUSAL_REASON_FULL);
  EXPECT_THAT(ends(), ElementsAre("a=1"));
  now_ += milliseconds(100);
  EXPECT_THAT(send(), ElementsAre("2:b"));
}

TEST_F(PutPipelineOfOnesTest, AnAcceptanceAfterARefusalOfTheSameFrameIsNotBelieved) {
  put("a");
  send();
  put("b");
  send();
  refuse(0, v1::REFUSAL_REASON_FULL);
  answer(0);
  EXPECT_THAT(ends(), IsEmpty());
  refuse(1, v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  now_ += milliseconds(100);
  EXPECT_THAT(send(), ElementsAre("1:a"));
}

TEST_F(PutPipelineTest, AnAnswerToALostConnectionChangesNothing) {
  put("a");
  send();
  pipeline_.on_disconnected();
  v1::QueueFrame late;
  late.set_request_id(frames_[0].request_id());
  late.mutable_put_reply()->add_results()->set_lookup_id(1);
  EXPECT_FALSE(pipeline_.on_reply(late, now_));
  pipeline_.on_resumed(1);
  EXPECT_FALSE(pipeline_.on_reply(late, now_));
  EXPECT_THAT(send(), ElementsAre("1:a"));
  EXPECT_FALSE(pipeline_.on_reply(late, now_));
  answer(1);
  EXPECT_THAT(ends(), ElementsAre("a=1"));
}

TEST_F(PutPipelineOfOnesTest, AnswersOutOfOrderEndTheirOwnPuts) {
  put("a");
  send();
  put("b");
  send();
  answer(1);
  EXPECT_THAT(ends(), ElementsAre("b=2"));
  answer(0);
  EXPECT_THAT(ends(), ElementsAre("a=1"));
}

TEST_F(PutPipelineTest, AnAnswerWithTooFewResultsAsksForAResync) {
  put("a");
  send();
  v1::QueueFrame reply;
  reply.set_request_id(frames_[0].request_id());
  reply.mutable_put_reply();
  EXPECT_TRUE(pipeline_.on_reply(reply, now_));
  EXPECT_EQ(pipeline_.trouble(), PutPipeline::Trouble::kResync);
  EXPECT_THAT(ends(), IsEmpty());
}

TEST_F(PutPipelineTest, EveryPutGivesItsMemoryBackOnce) {
  PutRequest request;
  request.source = "s";
  const size_t size = PipelinePut(request, kForever, {}, {}).size();
  size_t released = 0;
  std::vector<PutPipeline::Ended> all;
  const auto count = [&] {
    pipeline_.take_ended(all);
    for (const auto& one : all) released += one.bytes;
  };
  for (int i = 0; i < 3; ++i) {
    pipeline_.add(PipelinePut(request, now_ + milliseconds(50 * (i + 1)), {}, {}));
  }
  send();
  now_ += milliseconds(200);
  pipeline_.expire(now_);
  count();
  EXPECT_EQ(released, 0u) << "in doubt: still held for the late answer";
  pipeline_.on_disconnected();
  pipeline_.on_resumed(0);
  count();
  EXPECT_EQ(released, 3 * size);
}

// The bytes are those of protobuf.
TEST(PutFrameTest, AFrameIsWhatProtobufWouldWrite) {
  PutRequest request;
  request.order_key = "key";
  request.source_key = std::string("\0\xff", 2);
  request.source = "source";
  request.verdict = "v";
  request.envelope = std::string(200, 'e');
  request.body = std::string(70'000, 'b');
  request.label = "label";
  request.correlation_id = "c";
  request.acknowledge = {.queue = "answers", .on_reached = true, .on_consumed = true};
  PutRequest small;
  small.source = "s";
  v1::QueueFrame expected;
  expected.set_request_id(300);
  v1::Put& put = *expected.mutable_put();
  put.set_queue("events");
  put.set_producer("p");
  put.set_epoch(uint64_t{1} << 60);
  put.set_first_sequence(128);
  v1::PutMessage& message = *put.add_messages();
  message.set_order_key(request.order_key);
  message.set_source_key(request.source_key);
  message.set_source(request.source);
  message.set_verdict(request.verdict);
  message.set_envelope(request.envelope);
  message.set_body(request.body);
  message.set_label(request.label);
  message.set_correlation_id(request.correlation_id);
  message.mutable_acknowledge()->set_queue("answers");
  message.mutable_acknowledge()->set_on_reached(true);
  message.mutable_acknowledge()->set_on_consumed(true);
  put.add_messages()->set_source("s");
  const std::string first = encode_put_message(request);
  const std::string second = encode_put_message(small);
  PutFrameBuilder builder({.request_id = 300,
                           .queue = "events",
                           .producer = "p",
                           .epoch = uint64_t{1} << 60,
                           .first_sequence = 128},
                          first.size() + second.size());
  builder.append(first);
  builder.append(second);
  EXPECT_EQ(std::move(builder).finish(), base::encode_frame(expected));
}

}  // namespace
}  // namespace verbatim::queue
