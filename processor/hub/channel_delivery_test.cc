// What is sent and when, and what becomes of the answers.
#include <gtest/gtest.h>

#include "processor/hub/adapter_channel.h"
#include "tests/support/adapter_channel_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::AdapterChannelFixture;

class ChannelDeliveryTest : public AdapterChannelFixture {};

TEST_F(ChannelDeliveryTest, ABatchGoesOutByCountAndByIntervalNotBefore) {
  const auto session = attach("a");
  EXPECT_EQ(taken(*session), "welcome active ");
  stage(queue_.posts(3));
  EXPECT_EQ(channel_->step(), milliseconds(1'000));
  EXPECT_EQ(taken(*session), "");
  clock_.advance(milliseconds(999));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
  clock_.advance(milliseconds(1));
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:1 ");
  acknowledge(session, *last_batch_);
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(header_of(*last_batch_).reason(), "count");
}

TEST_F(ChannelDeliveryTest, WhileItDrainsWhatWaitsGoesOutAtOnce) {
  const auto session = attach("a");
  stage(queue_.posts(3));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active ");
  channel_->set_draining(true);
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:1 ");
  EXPECT_EQ(header_of(*last_batch_).reason(), "drain");
  acknowledge(session, *last_batch_);
  channel_->set_draining(false);
  stage(queue_.posts(1));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
}

TEST_F(ChannelDeliveryTest, AReplayGoesOutWhileNothingNewIsDue) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_all(true);
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  const auto session = attach("a");
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  acknowledge(session, *last_batch_);
  v1::ReplayAdapterRequest request;
  request.set_adapter("xml");
  request.set_from_sequence(1);
  request.set_reason("ticket 1");
  ASSERT_TRUE(staging_->replay(request, {}));
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(header_of(*last_batch_).reason(), "count") << "what is new goes first";
  acknowledge(session, *last_batch_);
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:3 ");
  EXPECT_EQ(header_of(*last_batch_).reason(), "replay");
  EXPECT_EQ(last_batch_->events.size(), 4U);
  acknowledge(session, *last_batch_);
  EXPECT_FALSE(staging_->pending("xml")->has_replay);
}

TEST_F(ChannelDeliveryTest, TheNextBatchWaitsForTheAcknowledgement) {
  const auto session = attach("a");
  stage(queue_.posts(8));
  channel_->step();
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  EXPECT_EQ(stored_count(), 8U);
  acknowledge(session, *last_batch_);
  EXPECT_EQ(stored_count(), 4U);
  EXPECT_EQ(taken(*session), "batch:2 ");
}

TEST_F(ChannelDeliveryTest, AnAcknowledgementThatComesTwiceLeavesTheNextBatchUnderWay) {
  const auto session = attach("a");
  stage(queue_.posts(8));
  channel_->step();
  taken(*session);
  const auto first = last_batch_;
  acknowledge(session, *first);
  EXPECT_EQ(taken(*session), "batch:2 ");
  acknowledge(session, *first);
  channel_->step();
  EXPECT_EQ(taken(*session), "") << "it is not sent again";
  // Also while the state of the next one is asked.
  reject(session, {});
  EXPECT_EQ(taken(*session), "state? ");
  acknowledge(session, *first);
  EXPECT_FALSE(session->is_closed());
  tell_state(session, v1::BatchStateAnswer::STATE_APPLIED);
  EXPECT_EQ(stored_count(), 0U);
}

TEST_F(ChannelDeliveryTest, WithoutCreditNothingIsSent) {
  const auto session = attach("a");
  v1::FromAdapter credit;
  credit.mutable_credit()->set_batches(0);
  say(session, credit);
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active ");
  credit.mutable_credit()->set_batches(1);
  say(session, credit);
  EXPECT_EQ(taken(*session), "batch:1 ");
}

TEST_F(ChannelDeliveryTest, RetryIsHonouredWithAGrowingDelay) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  const auto sent = last_batch_;
  retry(session, 300);
  EXPECT_EQ(channel_->status().state, "retrying");
  clock_.advance(milliseconds(299));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
  clock_.advance(milliseconds(300 / 4 + 1));
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:1 ");
  EXPECT_EQ(last_batch_->events, sent->events);
  EXPECT_EQ(last_batch_->seal.row.header(), sent->seal.row.header());
  // Without a wish the delay grows: after some turns 100 ms are not enough.
  for (int i = 0; i < 6; ++i) {
    retry(session, 0);
    clock_.advance(milliseconds(500));
    beat(session);
    channel_->step();
    EXPECT_EQ(taken(*session), "batch:1 ");
  }
  retry(session, 0);
  clock_.advance(milliseconds(100));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
  EXPECT_EQ(channel_->status().retry_count, 8);
}

TEST_F(ChannelDeliveryTest, ARejectedBatchIsReplacedOnlyAfterNotApplied) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  EXPECT_EQ(taken(*session), "state? ");
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
  tell_state(session, v1::BatchStateAnswer::STATE_NOT_APPLIED);
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(last_batch_->events.size(), 3U);
  EXPECT_EQ(header_of(*last_batch_).replaces(), 1U);
  EXPECT_EQ(staging_->quarantined("xml")->size(), 1U);
  acknowledge(session, *last_batch_);
  EXPECT_EQ(stored_count(), 0U);
  check_accounting();
}

TEST_F(ChannelDeliveryTest, AReleasedEventIsSentAtOnceAndStaysWhenItIsRejectedAgain) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  tell_state(session, v1::BatchStateAnswer::STATE_NOT_APPLIED);
  EXPECT_EQ(taken(*session), "state? batch:2 ");
  acknowledge(session, *last_batch_);
  v1::ReleaseQuarantineRequest release;
  release.set_adapter("xml");
  release.set_all(true);
  for (const char* expected : {"batch:3 ", "batch:4 "}) {
    taken(*session);
    ASSERT_TRUE(staging_->release(release, {"somebody", "user"}));
    channel_->step();
    EXPECT_EQ(taken(*session), expected);
    EXPECT_EQ(header_of(*last_batch_).reason(), "released");
    if (last_batch_->seal.batch == 4) break;
    reject(session, {2});
    tell_state(session, v1::BatchStateAnswer::STATE_NOT_APPLIED);
    EXPECT_EQ(staging_->quarantined("xml")->size(), 1U);
  }
  acknowledge(session, *last_batch_);
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
  EXPECT_EQ(check_accounting().adapters(0).acknowledged(), 4U);
}

TEST_F(ChannelDeliveryTest, APausedAdapterMayStillAnswerAndGetsNothingMore) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  v1::UpdateAdapterRequest change;
  change.set_adapter("xml");
  change.set_action(v1::UpdateAdapterRequest::ACTION_PAUSE);
  ASSERT_TRUE(staging_->update_adapter(change, {"somebody", "user"}).ok());
  acknowledge(session, *last_batch_);
  EXPECT_EQ(stored_count(), 0U);
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
  EXPECT_EQ(channel_->status().state, "paused");
  change.set_action(v1::UpdateAdapterRequest::ACTION_RESUME);
  ASSERT_TRUE(staging_->update_adapter(change, {"somebody", "user"}).ok());
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(channel_->status().state, "active");
}

TEST_F(ChannelDeliveryTest, ARejectedBatchThatWasAppliedCountsAsAcknowledged) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  tell_state(session, v1::BatchStateAnswer::STATE_APPLIED);
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
  EXPECT_EQ(check_accounting().adapters(0).acknowledged(), 4U);
}

// An optional adapter: deletion overtakes its batch while it has it. There is nothing to replace.
TEST_F(ChannelDeliveryTest, AfterTheRejectOfAnOvertakenBatchTheNextOneGoesOut) {
  channel_.reset();
  options_.optional_lag_max_bytes = 0;
  open();
  configure({{"xml", true}, {"csv", true}});
  v1::UpdateAdapterRequest change;
  change.set_adapter("xml");
  change.set_action(v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL);
  ASSERT_TRUE(staging_->update_adapter(change, {"somebody", "user"}).ok());
  make_channel();
  const auto session = attach("a");
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  ASSERT_TRUE(StagingFixture::acknowledge("csv", *seal("csv")).ok());
  EXPECT_EQ(stored_count(), 0U);
  reject(session, {2});
  EXPECT_EQ(taken(*session), "state? ");
  tell_state(session, v1::BatchStateAnswer::STATE_NOT_APPLIED);
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(header_of(*last_batch_).replaces(), 1U);
  EXPECT_EQ(header_of(*last_batch_).first_sequence(), 5U);
  acknowledge(session, *last_batch_);
  check_accounting();
}

TEST_F(ChannelDeliveryTest, WithoutAClearStateTheBatchIsSentAgain) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  tell_state(session, v1::BatchStateAnswer::STATE_UNSPECIFIED);
  clock_.advance(milliseconds(100));
  channel_->step();
  EXPECT_EQ(taken(*session), "state? batch:1 ");
}

TEST_F(ChannelDeliveryTest, EventsNewerThanTheAdapterAreHeldAndTheStateSaysWhy) {
  auto newer = testing::test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  newer.set_schema_revision(2);
  stage({queue_.make(newer)});
  auto session = attach("old");
  clock_.advance(milliseconds(1'000));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active ");
  EXPECT_EQ(channel_->status().state, "adapter too old");
  channel_->detach(session);
  session = attach("new", 2);
  clock_.advance(milliseconds(1'000));
  channel_->step();
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  // Sealed for a newer adapter, held from an older one.
  channel_->detach(session);
  session = attach("old");
  EXPECT_EQ(taken(*session), "welcome active ");
  EXPECT_EQ(channel_->status().state, "adapter too old");
}

TEST_F(ChannelDeliveryTest, WithoutRoomOnTheDiskAnswersWaitAndNothingIsSealed) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  EXPECT_EQ(taken(*session), "welcome active batch:1 ");
  has_room_ = false;
  acknowledge(session, *last_batch_);
  stage(queue_.posts(4));
  channel_->poke();
  EXPECT_LE(channel_->step(), milliseconds(200));
  EXPECT_EQ(taken(*session), "");
  EXPECT_EQ(staging_->last_acked("xml")->first, 0U);
  EXPECT_NE(channel_->status().last_reason.find("disk"), std::string::npos);
  has_room_ = true;
  channel_->step();
  EXPECT_EQ(staging_->last_acked("xml")->first, 1U);
  EXPECT_EQ(taken(*session), "batch:2 ");
}

}  // namespace
}  // namespace verbatim::processor
