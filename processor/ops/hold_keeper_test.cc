#include "processor/ops/hold_keeper.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::StagingFixture;

class HoldKeeperTest : public StagingFixture {
 protected:
  // The queue's side.
  struct World {
    std::atomic<bool> is_up{true};
    std::atomic<bool> is_held{false};
    std::atomic<int> asked_count{0};
  };

  void TearDown() override { keeper_.reset(); }
  void start() {
    QueueFlag flag;
    flag.queue = testing::kTestQueue;
    flag.is_held = [this]() -> Result<bool> {
      ++world_.asked_count;
      if (!world_.is_up) return unavailable("the queue is away");
      return world_.is_held.load();
    };
    flag.set = [this](bool is_wanted) -> Status {
      if (!world_.is_up) return unavailable("the queue is away");
      world_.is_held = is_wanted;
      return {};
    };
    HoldKeeperOptions options;
    options.retry_min = options.retry_max = milliseconds(1);
    options.look_interval = std::chrono::hours(1);
    keeper_ = std::make_unique<HoldKeeper>(*staging_, std::vector<QueueFlag>{flag}, options);
    keeper_->start();
  }
  void reopen() {
    keeper_.reset();
    open();
    start();
  }
  void hold() {
    v1::AddHoldRequest request;
    request.mutable_filter()->set_all(true);
    request.set_reason("case 1");
    ASSERT_TRUE(staging_->add_hold(request, {}));
    look();
  }
  void release_all() {
    const auto holds = staging_->holds();
    ASSERT_TRUE(holds);
    for (const auto& hold : holds->holds()) {
      v1::ReleaseHoldRequest request;
      request.set_number(hold.number());
      request.set_reason("closed");
      ASSERT_TRUE(staging_->release_hold(request, {}));
    }
    look();
  }
  void look() { keeper_->look_now(milliseconds(10'000)); }
  v1::QueueHold state() {
    const auto states = keeper_->queues();
    return states.empty() ? v1::QueueHold() : states.front();
  }

  World world_;
  std::unique_ptr<HoldKeeper> keeper_;
};

TEST_F(HoldKeeperTest, TheFlagStandsFromTheFirstHoldToTheLast) {
  start();
  look();
  EXPECT_EQ(world_.asked_count, 0) << "a queue is left alone without holds";
  hold();
  EXPECT_TRUE(world_.is_held);
  hold();
  EXPECT_TRUE(state().is_own());
  release_all();
  EXPECT_FALSE(world_.is_held);
  EXPECT_FALSE(state().is_own());
}

TEST_F(HoldKeeperTest, AFlagThatSomebodyElseHasSetIsNotTakenBack) {
  world_.is_held = true;
  start();
  hold();
  EXPECT_FALSE(state().is_own());
  release_all();
  EXPECT_TRUE(world_.is_held);
}

TEST_F(HoldKeeperTest, AQueueThatIsAwayIsPendingAndGetsItsFlagLater) {
  world_.is_up = false;
  start();
  hold();
  EXPECT_EQ(state().pending_reason(), "the queue is away");
  EXPECT_FALSE(world_.is_held);
  world_.is_up = true;
  look();
  EXPECT_TRUE(world_.is_held);
  EXPECT_EQ(state().pending_reason(), "");
}

TEST_F(HoldKeeperTest, AfterARestartAFlagThatIsGoneIsSetAgainAndAnOldOneTakenBack) {
  start();
  hold();
  world_.is_held = false;  // the queue's folder was emptied
  reopen();
  look();
  EXPECT_TRUE(world_.is_held);
  world_.is_up = false;
  release_all();
  EXPECT_TRUE(world_.is_held);
  world_.is_up = true;
  reopen();
  look();
  EXPECT_FALSE(world_.is_held);
}

}  // namespace
}  // namespace verbatim::processor
