#include "adapters/sdk/batch_worker.h"

#include <gtest/gtest.h>

#include <map>

#include "adapters/sdk/backoff.h"
#include "tests/support/batch_builder.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::room_post;

// An adapter whose effects are a map.
class FakeAdapter final : public Adapter {
 public:
  Result<AppliedBatch> last_applied() override {
    RETURN_IF_ERROR(state_error);
    if (applied.empty()) return AppliedBatch{};
    return AppliedBatch{applied.rbegin()->first, applied.rbegin()->second};
  }
  Status configure(const std::map<std::string, std::string>& given) override {
    settings = given;
    return configured;
  }
  Result<Outcome> translate(const Batch& batch) override {
    ++translations;
    if (!next) return next.error();
    if (next->kind == Outcome::Kind::kApplied) applied[batch.number()] = batch.digest();
    return next;
  }
  Result<BatchState> batch_state(uint64_t number, std::string_view digest) override {
    RETURN_IF_ERROR(state_error);
    const auto found = applied.find(number);
    if (found == applied.end()) return BatchState::kNotApplied;
    return found->second == digest ? BatchState::kApplied : BatchState::kOtherApplied;
  }

  std::map<uint64_t, std::string> applied;
  std::map<std::string, std::string> settings;
  Result<Outcome> next = Outcome::applied();
  Status configured;
  Status state_error;
  int translations = 0;
};

class BatchWorkerTest : public ::testing::Test {
 protected:
  Status welcome(uint64_t acked = 0, std::string digest = {}) {
    const auto last = worker_.load_last_applied();
    EXPECT_TRUE(last);
    v1::AdapterWelcome message;
    message.set_store_epoch(3);
    message.set_last_acked_batch(acked);
    message.set_last_acked_digest(std::move(digest));
    (*message.mutable_settings())["a"] = "b";
    return worker_.take_welcome(message);
  }
  Status become_active(uint64_t acked = 0, std::string digest = {}) {
    v1::Activity message;
    message.set_is_active(true);
    message.set_last_acked_batch(acked);
    message.set_last_acked_digest(std::move(digest));
    return worker_.take_activity(message);
  }
  Batch make_batch() {
    builder_.add(room_post("a@x", "text"));
    return builder_.seal();
  }
  v1::FromAdapter apply(const Batch& batch) { return worker_.apply({batch.number(), 3, batch}); }
  v1::BatchStateAnswer ask(const Batch& batch) {
    v1::BatchStateQuestion question;
    question.set_batch(batch.number());
    question.set_digest(batch.digest());
    return worker_.answer(question).batch_state();
  }

  FakeAdapter adapter_;
  BatchWorker worker_{adapter_, {"xml"}};
  BatchBuilder builder_{"xml"};
};

TEST_F(BatchWorkerTest, AcknowledgesWhatWasAppliedWithDigestAndEpoch) {
  ASSERT_TRUE(welcome().ok());
  EXPECT_EQ(adapter_.settings.at("a"), "b");
  for (int i = 1; i <= 3; ++i) {
    const Batch batch = make_batch();
    const v1::FromAdapter answer = apply(batch);
    ASSERT_TRUE(answer.has_ack());
    EXPECT_EQ(answer.ack().batch(), static_cast<uint64_t>(i));
    EXPECT_EQ(answer.ack().digest(), batch.digest());
    EXPECT_EQ(answer.ack().store_epoch(), 3U);
  }
}

TEST_F(BatchWorkerTest, ARepeatIsAcknowledgedAgain) {
  ASSERT_TRUE(welcome().ok());
  const Batch batch = make_batch();
  ASSERT_TRUE(apply(batch).has_ack());
  EXPECT_TRUE(apply(batch).has_ack());
  // Also after a restart of the adapter, whose hub has not heard the acknowledgement.
  BatchWorker restarted(adapter_, {"xml"});
  ASSERT_TRUE(restarted.load_last_applied());
  v1::AdapterWelcome message;
  message.set_store_epoch(4);
  ASSERT_TRUE(restarted.take_welcome(message).ok());
  EXPECT_TRUE(restarted.apply({batch.number(), 4, batch}).has_ack());
}

TEST_F(BatchWorkerTest, ABatchThatDoesNotFitItsBytesNeverReachesTheAdapter) {
  ASSERT_TRUE(welcome().ok());
  const v1::FromAdapter answer = worker_.apply({1, 3, data_loss("digest")});
  ASSERT_TRUE(answer.has_retry());
  EXPECT_EQ(answer.retry().reason(), "digest");
  EXPECT_EQ(answer.retry().batch(), 1U);
  EXPECT_GT(answer.retry().retry_after_ms(), 0);
  EXPECT_EQ(adapter_.translations, 0);
}

TEST_F(BatchWorkerTest, ABatchBeyondTheBoundsIsRejectedSoThatTheHubHalvesIt) {
  ASSERT_TRUE(welcome().ok());
  ASSERT_TRUE(apply(make_batch()).has_ack());
  const Batch large = make_batch();
  BatchAssembler assembler({.header_max_bytes = 10});
  v1::BatchBegin begin;
  begin.set_batch(large.number());
  begin.set_store_epoch(3);
  begin.set_header(large.header().SerializeAsString());
  begin.set_event_count(1);
  assembler.begin(begin);
  v1::BatchEnd end;
  end.set_batch(large.number());
  const auto assembled = assembler.end(end);
  ASSERT_TRUE(assembled);
  const v1::FromAdapter answer = worker_.apply(*assembled);
  ASSERT_TRUE(answer.has_reject());
  EXPECT_EQ(answer.reject().batch(), large.number());
  EXPECT_EQ(answer.reject().store_epoch(), 3U);
  EXPECT_EQ(answer.reject().events_size(), 0);
  EXPECT_EQ(adapter_.translations, 1);
  // An applied one may come again under tighter bounds: it must not be replaced.
  EXPECT_TRUE(worker_.apply({1, 3, resource_exhausted("too large")}).has_retry());
}

TEST_F(BatchWorkerTest, ABatchThatDoesNotFollowTheLastAppliedNeverReachesTheAdapter) {
  ASSERT_TRUE(welcome().ok());
  ASSERT_TRUE(apply(make_batch()).has_ack());
  const Batch left_out = make_batch();
  const v1::FromAdapter answer = apply(make_batch());
  EXPECT_TRUE(answer.has_retry());
  EXPECT_EQ(adapter_.translations, 1);
  EXPECT_TRUE(apply(left_out).has_ack());
}

TEST_F(BatchWorkerTest, AReplacementMayJumpOverTheNumberThatItReplaces) {
  ASSERT_TRUE(welcome().ok());
  const Batch first = make_batch();
  ASSERT_TRUE(apply(first).has_ack());
  v1::BatchHeader header = first.header();
  header.set_batch(3);
  header.set_replaces(2);
  header.set_previous_digest(first.digest());
  header.set_event_count(0);
  Batch::Parts parts{header, header.SerializeAsString(), {}, {}, {}};
  parts.body_digest = body_digest({});
  parts.digest = batch_digest(parts.header_bytes, parts.body_digest);
  EXPECT_TRUE(apply(Batch(parts)).has_ack());
}

TEST_F(BatchWorkerTest, AnotherBatchUnderAnAppliedNumberIsRefused) {
  ASSERT_TRUE(welcome().ok());
  ASSERT_TRUE(apply(make_batch()).has_ack());
  BatchBuilder other("xml");
  other.add(room_post("b@x", "other"));
  EXPECT_TRUE(apply(other.seal()).has_retry());
  EXPECT_EQ(adapter_.translations, 1);
}

TEST_F(BatchWorkerTest, ABatchOfAnotherAdapterOrEpochIsRefused) {
  ASSERT_TRUE(welcome().ok());
  BatchBuilder other("csv");
  other.add(room_post("b@x", "other"));
  EXPECT_TRUE(apply(other.seal()).has_retry());
  const Batch batch = make_batch();
  EXPECT_TRUE(worker_.apply({batch.number(), 2, batch}).has_retry());
  EXPECT_EQ(adapter_.translations, 0);
}

TEST_F(BatchWorkerTest, AFolderOfAnotherChainIsAPersonsMatter) {
  adapter_.applied[4] = std::string(32, 'a');
  EXPECT_EQ(welcome(4, std::string(32, 'b')).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(welcome(4, std::string(32, 'a')).ok());
  // One ahead: applied, and its acknowledgement got lost.
  EXPECT_TRUE(welcome(3, std::string(32, 'c')).ok());
  // Behind: what was written has been taken away; the hub knows better.
  EXPECT_TRUE(welcome(9, std::string(32, 'd')).ok());
}

// Two instances over one output: the other one has gone on while this one stood by, and its last
// acknowledgement got lost.
TEST_F(BatchWorkerTest, WhatAnotherInstanceAppliedIsFoundWhenThisOneTakesOver) {
  ASSERT_TRUE(welcome().ok());
  const Batch first = make_batch();
  const Batch second = make_batch();
  adapter_.applied = {{1, first.digest()}, {2, second.digest()}};
  ASSERT_TRUE(become_active(1, first.digest()).ok());
  EXPECT_TRUE(apply(second).has_ack());
  EXPECT_TRUE(apply(make_batch()).has_ack());
}

TEST_F(BatchWorkerTest, WhereInstancesShareNothingTheHubTellsWhatTheNextBatchFollows) {
  const Batch first = make_batch();
  adapter_.applied = {{1, first.digest()}};
  ASSERT_TRUE(welcome(1, first.digest()).ok());
  make_batch();
  const Batch third = make_batch();
  ASSERT_TRUE(become_active(3, third.digest()).ok());
  EXPECT_TRUE(apply(make_batch()).has_ack());
}

TEST_F(BatchWorkerTest, AHubThatSaysNothingNewIsBelievedWhatItSaidFirst) {
  const Batch first = make_batch();
  ASSERT_TRUE(welcome(1, first.digest()).ok());
  ASSERT_TRUE(become_active().ok());
  EXPECT_TRUE(apply(make_batch()).has_ack());
}

TEST_F(BatchWorkerTest, WhoTakesOverChecksTheChainAsAtAStart) {
  ASSERT_TRUE(welcome().ok());
  adapter_.applied[4] = std::string(32, 'a');
  EXPECT_EQ(become_active(4, std::string(32, 'b')).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(become_active(4, std::string(32, 'a')).ok());
  adapter_.state_error = unavailable("disk");
  EXPECT_EQ(become_active(4, std::string(32, 'a')).code(), StatusCode::kUnavailable);
}

TEST_F(BatchWorkerTest, TransientErrorsRetryEverLaterAndPermanentOnesReject) {
  ASSERT_TRUE(welcome().ok());
  const Batch batch = make_batch();
  adapter_.next = resource_exhausted("disk full");
  int64_t before = 0;
  for (int i = 0; i < 5; ++i) {
    const v1::FromAdapter answer = apply(batch);
    ASSERT_TRUE(answer.has_retry());
    EXPECT_GT(answer.retry().retry_after_ms(), before);
    before = answer.retry().retry_after_ms();
  }
  adapter_.next = invalid_argument("cannot say that");
  const v1::FromAdapter answer = apply(batch);
  ASSERT_TRUE(answer.has_reject());
  EXPECT_EQ(answer.reject().events_size(), 0);
  EXPECT_EQ(answer.reject().store_epoch(), 3U);
}

TEST_F(BatchWorkerTest, NamedCulpritsTravel) {
  ASSERT_TRUE(welcome().ok());
  v1::RejectedEvent culprit;
  culprit.set_sequence(1);
  adapter_.next = Outcome::reject("no", {culprit});
  const v1::FromAdapter answer = apply(make_batch());
  ASSERT_EQ(answer.reject().events_size(), 1);
  EXPECT_EQ(answer.reject().events(0).sequence(), 1U);
}

TEST_F(BatchWorkerTest, TellsTheStateOfABatch) {
  ASSERT_TRUE(welcome().ok());
  const Batch batch = make_batch();
  EXPECT_EQ(ask(batch).state(), v1::BatchStateAnswer::STATE_NOT_APPLIED);
  ASSERT_TRUE(apply(batch).has_ack());
  EXPECT_EQ(ask(batch).state(), v1::BatchStateAnswer::STATE_APPLIED);
  EXPECT_EQ(ask(batch).digest(), batch.digest());
}

TEST_F(BatchWorkerTest, SaysNothingOfABatchWhoseStateIsNotKnown) {
  ASSERT_TRUE(welcome().ok());
  adapter_.state_error = unavailable("disk");
  EXPECT_EQ(ask(make_batch()).state(), v1::BatchStateAnswer::STATE_UNSPECIFIED);
}

TEST_F(BatchWorkerTest, WrongSettingsAreNoOtherChain) {
  adapter_.configured = failed_precondition("no such setting");
  EXPECT_EQ(welcome().code(), StatusCode::kInvalidArgument);
}

TEST(Backoff, GrowsToItsMaximumWithJitterAndStartsAgain) {
  using std::chrono::milliseconds;
  Backoff backoff(milliseconds(100), milliseconds(1'000), 1);
  milliseconds upper(100);
  for (int i = 0; i < 20; ++i) {
    const milliseconds delay = backoff.next();
    EXPECT_LE(delay, upper);
    EXPECT_GE(delay, upper / 2);
    upper = std::min(upper * 2, milliseconds(1'000));
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(100));
}

}  // namespace
}  // namespace verbatim::adapters
