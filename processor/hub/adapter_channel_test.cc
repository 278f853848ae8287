// Who is served: sessions, standbys, and which answers count.
#include "processor/hub/adapter_channel.h"

#include <gtest/gtest.h>

#include "tests/support/adapter_channel_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::AdapterChannelFixture;

class AdapterChannelTest : public AdapterChannelFixture {};

TEST_F(AdapterChannelTest, TheWelcomeTellsEpochSettingsAndTheLastAcknowledgedBatch) {
  v1::AdapterHello hello;
  hello.set_instance("a");
  auto session = std::make_shared<Session>(hello);
  channel_->attach(session);
  channel_->step();
  const auto outgoing = session->try_next();
  ASSERT_TRUE(outgoing);
  const auto& welcome = outgoing->message.welcome();
  EXPECT_EQ(welcome.store_epoch(), staging_->epoch());
  EXPECT_EQ(welcome.settings().at("key"), "value");
  EXPECT_EQ(welcome.heartbeat_ms(), 2'000);
  EXPECT_EQ(welcome.last_acked_batch(), 0U);
}

TEST_F(AdapterChannelTest, AStandbyTakesOverWithTheSameBytes) {
  const auto first = attach("a");
  const auto second = attach("b");
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*first), "welcome active batch:1 ");
  EXPECT_EQ(taken(*second), "welcome standby ");
  const auto sent = last_batch_;
  channel_->detach(first);
  channel_->step();
  EXPECT_EQ(taken(*second), "active batch:1 ");
  EXPECT_EQ(last_batch_->seal.row.header(), sent->seal.row.header());
  EXPECT_EQ(last_batch_->events, sent->events);
  EXPECT_EQ(channel_->status().instance, "b");
}

TEST_F(AdapterChannelTest, WhoTakesOverIsToldWhatWasAcknowledgedSinceItsWelcome) {
  const auto first = attach("a");
  const auto second = attach("b");
  EXPECT_EQ(taken(*second), "welcome standby ");
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*first), "welcome active batch:1 ");
  acknowledge(first, *last_batch_);
  channel_->detach(first);
  channel_->step();
  const auto outgoing = second->try_next();
  ASSERT_TRUE(outgoing && outgoing->message.has_activity());
  EXPECT_TRUE(outgoing->message.activity().is_active());
  EXPECT_EQ(outgoing->message.activity().last_acked_batch(), 1U);
  EXPECT_EQ(outgoing->message.activity().last_acked_digest(), last_batch_->seal.row.digest());
}

TEST_F(AdapterChannelTest, ASilentInstanceIsReplaced) {
  const auto first = attach("a");
  const auto second = attach("b");
  clock_.advance(milliseconds(4'999));
  beat(second);
  channel_->step();
  EXPECT_FALSE(first->is_closed());
  clock_.advance(milliseconds(1));
  channel_->step();
  EXPECT_TRUE(first->is_closed());
  EXPECT_EQ(taken(*second), "welcome standby active ");
}

TEST_F(AdapterChannelTest, TheSameInstanceOnANewStreamReplacesItsOldOne) {
  const auto old = attach("a");
  const auto fresh = attach("a");
  EXPECT_TRUE(old->is_closed());
  EXPECT_EQ(taken(*fresh), "welcome active ");
}

TEST_F(AdapterChannelTest, AnAcknowledgementOfAnOlderEpochIsRefused) {
  stage(queue_.posts(4));
  auto session = attach("a");
  taken(*session);
  const auto sent = last_batch_;
  const uint64_t old_epoch = staging_->epoch();
  channel_.reset();
  open();
  make_channel();
  session = attach("a");
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  acknowledge(session, *sent, old_epoch);
  EXPECT_TRUE(session->is_closed());
  EXPECT_EQ(session->close_reason().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(stored_count(), 4U);
  session = attach("a");
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  acknowledge(session, *last_batch_);
  EXPECT_EQ(stored_count(), 0U);
}

TEST_F(AdapterChannelTest, AnAcknowledgementWithAnotherDigestIsRefused) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  LoadedBatch forged = *last_batch_;
  forged.seal.row.set_digest(std::string(32, 'x'));
  acknowledge(session, forged);
  EXPECT_TRUE(session->is_closed());
  EXPECT_EQ(stored_count(), 4U);
}

TEST_F(AdapterChannelTest, AStandbyCannotAcknowledge) {
  stage(queue_.posts(4));
  const auto first = attach("a");
  const auto second = attach("b");
  taken(*first);
  acknowledge(second, *last_batch_);
  EXPECT_EQ(stored_count(), 4U);
  EXPECT_FALSE(second->is_closed());
}

TEST_F(AdapterChannelTest, AnAdapterThatIsGoneBeforeItsAnswerGetsTheBatchAgain) {
  stage(queue_.posts(4));
  auto session = attach("a");
  taken(*session);
  reject(session, {2});
  channel_->detach(session);
  channel_->step();
  session = attach("b");
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
}

TEST_F(AdapterChannelTest, AStateThatNobodyAskedForEndsTheSession) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  tell_state(session, v1::BatchStateAnswer::STATE_APPLIED);
  EXPECT_TRUE(session->is_closed());
  EXPECT_EQ(stored_count(), 4U);
}

TEST_F(AdapterChannelTest, AFloodOfMessagesEndsTheSession) {
  const auto session = attach("a");
  v1::FromAdapter credit;
  credit.mutable_credit()->set_batches(1);
  for (int i = 0; i < 2'000; ++i) channel_->receive(session, credit);
  EXPECT_TRUE(session->is_closed());
}

TEST_F(AdapterChannelTest, ARemovedAdapterIsSentAway) {
  const auto session = attach("a");
  v1::UpdateAdapterRequest request;
  request.set_adapter("xml");
  request.set_action(v1::UpdateAdapterRequest::ACTION_REMOVE);
  ASSERT_TRUE(staging_->update_adapter(request, {"test", "user"}).ok());
  channel_->step();
  EXPECT_TRUE(session->is_closed());
}

TEST(BatchFrames, ChunksStayUnderOneMegabyteUnlessOneEventIsLarger) {
  LoadedBatch batch;
  batch.seal.batch = 7;
  batch.seal.row.set_header("header");
  batch.events = {std::string(600'000, 'a'), std::string(600'000, 'b'), std::string(3'000'000, 'c'),
                  "d"};
  batch.seal.row.set_digest(batch_digest("header", body_digest(batch.events)));
  std::vector<std::string> events;
  std::vector<size_t> chunk_sizes;
  std::string digest;
  EXPECT_TRUE(write_batch(batch, 3, [&](const v1::ToAdapter& message) {
    if (message.has_begin()) {
      EXPECT_EQ(message.begin().store_epoch(), 3U);
    }
    if (message.has_chunk()) {
      chunk_sizes.push_back(static_cast<size_t>(message.chunk().events_size()));
      events.insert(events.end(), message.chunk().events().begin(), message.chunk().events().end());
    }
    if (message.has_end()) digest = message.end().digest();
    return true;
  }));
  EXPECT_EQ(chunk_sizes, (std::vector<size_t>{1, 1, 1, 1}));
  EXPECT_EQ(events, batch.events);
  EXPECT_EQ(digest, batch_digest("header", body_digest(events)));
}

}  // namespace
}  // namespace verbatim::processor
