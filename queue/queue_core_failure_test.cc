// What must not take the queue down, and what becomes of it when its disk does.
#include <gmock/gmock.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kEmptyMessage("\x2a\x00", 2);

class QueueFailureTest : public testing::EventsQueueFixture {
 protected:
  static std::string framed(const std::string& body) {
    std::string frame(base::kFrameMagic);
    base::put_le32(frame, base::crc32c(body));
    return frame + body;
  }
  // Of `put` and so many messages without a byte in them.
  static std::string frame_of_empty(const v1::Put& put, size_t count) {
    std::string bytes = put.SerializeAsString();
    for (size_t i = 0; i < count; ++i) bytes += kEmptyMessage;
    v1::QueueFrame frame;
    frame.set_request_id(7);
    frame.GetReflection()->MutableUnknownFields(&frame)->AddLengthDelimited(
        v1::QueueFrame::kPutFieldNumber, bytes);
    return framed(frame.SerializeAsString());
  }
  v1::QueueFrame answer_to(const std::string& peer, const std::string& bytes) {
    core_->handle(peer, bytes);
    const auto answers = flush();
    EXPECT_THAT(answers, SizeIs(1));
    return answers.empty() ? v1::QueueFrame() : answers[0];
  }
};

// --- frames ---

TEST_F(QueueFailureTest, APutOfMoreMessagesThanAUnitHoldsIsRefusedWithBothNumbers) {
  open_producer(5);
  const v1::Put put = put_frame(5, 1, {{"a"}}).put();
  const auto refused = answer_to("p", frame_of_empty(put, 1'000'000)).refused();
  EXPECT_EQ(refused.reason(), v1::REFUSAL_REASON_TOO_LARGE);
  EXPECT_THAT(refused.detail(), HasSubstr("message_count=1000001 message_max_count=1"));
  EXPECT_EQ(answer_to("stranger", frame_of_empty(put, 1'000'000)).refused().reason(),
            v1::REFUSAL_REASON_HELLO_WANTED);
  EXPECT_TRUE(ask_one("p", put_frame(5, 1, {{"a"}})).has_put_reply()) << "its number is not used";
}

TEST_F(QueueFailureTest, APutThatCannotBeReadIsNotReadInAnotherWay) {
  v1::Put put;
  put.set_queue("events");
  std::string bytes = frame_of_empty(put, 1'000);
  std::string body = bytes.substr(base::kFrameHeaderSize);
  body.replace(body.find("events"), 2, "\xff\xfe");
  EXPECT_EQ(answer_to("p", framed(body)).refused().reason(), v1::REFUSAL_REASON_INVALID);
  body = bytes.substr(base::kFrameHeaderSize);
  EXPECT_EQ(answer_to("p", framed(body + body)).refused().reason(), v1::REFUSAL_REASON_INVALID);
  EXPECT_EQ(core_->garbage_count(), 2u);
}

TEST_F(QueueFailureTest, ALargeRequestThatIsNoPutIsNotRead) {
  v1::QueueFrame frame;
  frame.set_request_id(7);
  frame.mutable_commit()->set_queue("events");
  for (uint64_t id = 1; id <= 65'536; ++id) frame.mutable_commit()->add_lookup_ids(~uint64_t{0});
  EXPECT_EQ(answer_to("c", base::encode_frame(frame)).refused().reason(),
            v1::REFUSAL_REASON_LEASE_LOST)
      << "the largest lease is named";
  for (int i = 0; i < 65'536; ++i) frame.mutable_commit()->add_lookup_ids(~uint64_t{0});
  const auto refused = answer_to("c", base::encode_frame(frame)).refused();
  EXPECT_EQ(refused.reason(), v1::REFUSAL_REASON_TOO_LARGE);
  EXPECT_THAT(refused.detail(), HasSubstr("max_bytes=1048576"));
}

// --- reads that fail ---

// The first of two messages was in the log, and its producer's number was not: after a restart it
// would have been stored once more.
TEST_F(QueueFailureTest, AReadThatFailsInAUnitLeavesNothingOfIt) {
  store({{"first", "room", "key", "verdict"}});
  crash();
  disk_.fail({.nth = 1, .is_sticky = true, .kinds = {testing::IoKind::kRead}});
  v1::QueueFrame frame = put_frame(5, 2, {{"m1"}, {"m2", "room", "key"}});
  frame.set_request_id(7);
  core_->handle("p", base::encode_frame(frame));
  ASSERT_FALSE(core_->fatal().ok()) << "the verdict of the first is not in memory";
  // As the service goes on until it looks.
  frame = put_frame(5, 2, {{"m1"}});
  frame.set_request_id(8);
  core_->handle("p", base::encode_frame(frame));
  clock_.advance(std::chrono::milliseconds(10));
  core_->tick();
  EXPECT_EQ(core_->seal(), nullptr);
  EXPECT_FALSE(core_->commit_group().ok());
  EXPECT_THAT(core_->take_outgoing(), IsEmpty());
  disk_.clear_faults();
  crash();
  EXPECT_EQ(open_producer(0).open_producer_reply().last_sequence(), 1u);
  EXPECT_EQ(info().depth(), 1);
  EXPECT_TRUE(put(5, 2, {{"m1"}, {"m2", "room", "key"}}).has_put_reply());
  EXPECT_THAT(bodies(receive()), ElementsAre("first", "m1"));
}

}  // namespace
}  // namespace verbatim::queue
