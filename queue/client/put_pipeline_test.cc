#include "queue/client/put_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

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
  PutPipelineTest() { pipeline_.on_opened(5); }

  void put(const std::string& name, nanoseconds deadline = kForever) {
    PutRequest request;
    request.source = "s";
    request.body = name;
    request.late = note("late " + name);
    pipeline_.add(std::move(request), deadline, note(name));
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
      std::string text = std::to_string(frame->put().first_sequence()) + ":";
      for (const auto& message : frame->put().messages()) text += message.body();
      sent.push_back(text);
      frames_.push_back(*frame);
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
    for (auto& ended : pipeline_.take_ended()) {
      if (ended.callback) ended.callback(std::move(ended.outcome));
    }
    return std::exchange(ends_, {});
  }

  PutPipeline pipeline_{{.queue = "q", .producer = "p", .batch_max_count = 4}};
  nanoseconds now_ = milliseconds(1'000);
  uint64_t next_id_ = 1;
  std::vector<v1::QueueFrame> frames_;
  std::vector<std::string> ends_;
};

TEST_F(PutPipelineTest, PutsTravelTogetherWhileOthersAreInFlight) {
  put("a");
  EXPECT_THAT(send(), ElementsAre("1:a"));
  put("b");
  EXPECT_THAT(send(), ElementsAre("2:b"));
  put("c");
  put("d");
  EXPECT_THAT(send(), IsEmpty()) << "two are in flight: wait for company";
  put("e");
  put("f");
  put("g");
  EXPECT_THAT(send(), ElementsAre("3:cdef")) << "a full batch goes at once";
  answer(0);
  answer(1);
  EXPECT_THAT(send(), ElementsAre("7:g"));
  EXPECT_THAT(ends(), ElementsAre("a=1", "b=2"));
}

TEST_F(PutPipelineTest, AFullQueueIsTriedAgainAfterTheDelayUnderTheSameNumbers) {
  put("a");
  send();
  put("b");
  send();
  refuse(0, v1::REFUSAL_REASON_FULL);
  EXPECT_THAT(send(), IsEmpty());
  refuse(1, v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
  EXPECT_THAT(send(), IsEmpty()) << "the delay is kept";
  now_ += milliseconds(100);
  EXPECT_THAT(send(), ElementsAre("1:ab"));
  answer(2);
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

TEST_F(PutPipelineTest, AfterALossStoredPutsAreAskedAgainAndLostOnesSentAnew) {
  for (const char* name : {"a", "b"}) {
    put(name);
    send();
  }
  pipeline_.on_disconnected();
  put("c");
  EXPECT_THAT(send(), IsEmpty());
  pipeline_.on_resumed(1);
  EXPECT_THAT(send(), ElementsAre("1:a", "2:bc"));
  answer(2);
  answer(3);
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

TEST_F(PutPipelineTest, OneBadMessageOfABatchIsFoundAndTheRestStored) {
  put("x");
  send();
  put("y");
  send();
  for (const char* name : {"a", "b", "c", "d"}) put(name);
  EXPECT_THAT(send(), ElementsAre("3:abcd"));
  answer(0);
  answer(1);
  refuse(2, v1::REFUSAL_REASON_INVALID);
  EXPECT_THAT(send(), ElementsAre("3:a", "4:b"));
  answer(3);
  refuse(4, v1::REFUSAL_REASON_INVALID);
  EXPECT_THAT(send(), ElementsAre("4:c", "5:d"));
  answer(5);
  answer(6);
  EXPECT_THAT(ends(), ElementsAre("x=1", "y=2", "a=3", "b=INVALID_ARGUMENT", "c=4", "d=5"));
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
  pipeline_.end_all(StatusCode::kFailedPrecondition);
  EXPECT_THAT(ends(), ElementsAre("a=FAILED_PRECONDITION?"));
}

TEST_F(PutPipelineTest, TheEndTellsWhatIsInDoubtFromWhatWasNeverSent) {
  put("a");
  send();
  pipeline_.on_disconnected();
  put("b");
  pipeline_.end_all(StatusCode::kCancelled);
  EXPECT_THAT(ends(), ElementsAre("a=CANCELLED?", "b=CANCELLED"));
}

}  // namespace
}  // namespace verbatim::queue
