#include "processor/hub/adapter_channel.h"

#include <gtest/gtest.h>

#include "processor/hub/batch_frames.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::StagingFixture;
using testing::TestQueue;

class AdapterChannelTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
    make_channel();
  }
  void make_channel() {
    channel_.reset();
    ChannelOptions options;
    options.adapter = "xml";
    options.settings = {{"key", "value"}};
    options.batch_events_max_count = 4;
    options.interval = milliseconds(1'000);
    options.heartbeat = milliseconds(2'000);
    options.silence_max = milliseconds(5'000);
    options.retry_max = milliseconds(400);
    options.has_room = [this] { return has_room_; };
    channel_ = std::make_unique<AdapterChannel>(*staging_, options, clock_);
  }
  std::shared_ptr<Session> attach(const std::string& instance, int32_t revision = 1) {
    v1::AdapterHello hello;
    hello.set_adapter("xml");
    hello.set_instance(instance);
    hello.set_schema_revision(revision);
    auto session = std::make_shared<Session>(hello);
    channel_->attach(session);
    channel_->step();
    return session;
  }
  // What the session was given so far, heartbeats left out: "welcome active batch:1".
  std::string taken(Session& session) {
    std::string text;
    while (auto outgoing = session.try_next()) {
      if (outgoing->batch != nullptr) {
        last_batch_ = outgoing->batch;
        text += "batch:" + std::to_string(outgoing->batch->seal.batch) + " ";
      } else if (outgoing->message.has_welcome()) {
        text += "welcome ";
      } else if (outgoing->message.has_activity()) {
        text += outgoing->message.activity().is_active() ? "active " : "standby ";
      } else if (outgoing->message.has_batch_state()) {
        text += "state? ";
      }
    }
    return text;
  }
  void say(const std::shared_ptr<Session>& session, const v1::FromAdapter& message) {
    channel_->receive(session, message);
    channel_->step();
  }
  void acknowledge(const std::shared_ptr<Session>& session, const LoadedBatch& batch,
                   uint64_t epoch = 0) {
    v1::FromAdapter message;
    message.mutable_ack()->set_batch(batch.seal.batch);
    message.mutable_ack()->set_digest(batch.seal.row.digest());
    message.mutable_ack()->set_store_epoch(epoch == 0 ? staging_->epoch() : epoch);
    say(session, message);
  }
  void reject(const std::shared_ptr<Session>& session, const std::vector<uint64_t>& culprits) {
    v1::FromAdapter message;
    message.mutable_reject()->set_batch(last_batch_->seal.batch);
    message.mutable_reject()->set_store_epoch(staging_->epoch());
    message.mutable_reject()->set_reason("why");
    for (const uint64_t one : culprits) {
      message.mutable_reject()->add_events()->set_sequence(one);
    }
    say(session, message);
  }
  void tell_state(const std::shared_ptr<Session>& session, v1::BatchStateAnswer::State state) {
    v1::FromAdapter message;
    message.mutable_batch_state()->set_batch(last_batch_->seal.batch);
    message.mutable_batch_state()->set_digest(last_batch_->seal.row.digest());
    message.mutable_batch_state()->set_state(state);
    say(session, message);
  }
  void retry(const std::shared_ptr<Session>& session, int64_t after_ms) {
    v1::FromAdapter message;
    message.mutable_retry()->set_batch(last_batch_->seal.batch);
    message.mutable_retry()->set_store_epoch(staging_->epoch());
    message.mutable_retry()->set_retry_after_ms(after_ms);
    say(session, message);
  }
  void beat(const std::shared_ptr<Session>& session) {
    v1::FromAdapter message;
    message.mutable_heartbeat();
    channel_->receive(session, message);
  }

  TestQueue queue_;
  std::unique_ptr<AdapterChannel> channel_;
  std::shared_ptr<const LoadedBatch> last_batch_;
  bool has_room_ = true;
};

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

TEST_F(AdapterChannelTest, ABatchGoesOutByCountAndByIntervalNotBefore) {
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

TEST_F(AdapterChannelTest, WhileItDrainsWhatWaitsGoesOutAtOnce) {
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

TEST_F(AdapterChannelTest, AReplayGoesOutWhileNothingNewIsDue) {
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

TEST_F(AdapterChannelTest, TheNextBatchWaitsForTheAcknowledgement) {
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

TEST_F(AdapterChannelTest, WithoutCreditNothingIsSent) {
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

TEST_F(AdapterChannelTest, RetryIsHonouredWithAGrowingDelay) {
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

TEST_F(AdapterChannelTest, ARejectedBatchIsReplacedOnlyAfterNotApplied) {
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

TEST_F(AdapterChannelTest, AReleasedEventIsSentAtOnceAndStaysWhenItIsRejectedAgain) {
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
    ASSERT_TRUE(staging_->release(release, "somebody"));
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

TEST_F(AdapterChannelTest, APausedAdapterMayStillAnswerAndGetsNothingMore) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  v1::UpdateAdapterRequest change;
  change.set_adapter("xml");
  change.set_action(v1::UpdateAdapterRequest::ACTION_PAUSE);
  ASSERT_TRUE(staging_->update_adapter(change, "somebody").ok());
  acknowledge(session, *last_batch_);
  EXPECT_EQ(stored_count(), 0U);
  stage(queue_.posts(4));
  channel_->step();
  EXPECT_EQ(taken(*session), "");
  EXPECT_EQ(channel_->status().state, "paused");
  change.set_action(v1::UpdateAdapterRequest::ACTION_RESUME);
  ASSERT_TRUE(staging_->update_adapter(change, "somebody").ok());
  channel_->step();
  EXPECT_EQ(taken(*session), "batch:2 ");
  EXPECT_EQ(channel_->status().state, "active");
}

TEST_F(AdapterChannelTest, ARejectedBatchThatWasAppliedCountsAsAcknowledged) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  tell_state(session, v1::BatchStateAnswer::STATE_APPLIED);
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
  EXPECT_EQ(check_accounting().adapters(0).acknowledged(), 4U);
}

TEST_F(AdapterChannelTest, WithoutAClearStateTheBatchIsSentAgain) {
  stage(queue_.posts(4));
  const auto session = attach("a");
  taken(*session);
  reject(session, {2});
  tell_state(session, v1::BatchStateAnswer::STATE_UNSPECIFIED);
  clock_.advance(milliseconds(100));
  channel_->step();
  EXPECT_EQ(taken(*session), "state? batch:1 ");
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

TEST_F(AdapterChannelTest, EventsNewerThanTheAdapterAreHeldAndTheStateSaysWhy) {
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
  ASSERT_TRUE(staging_->update_adapter(request, "test").ok());
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

TEST_F(AdapterChannelTest, WithoutRoomOnTheDiskAnswersWaitAndNothingIsSealed) {
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
