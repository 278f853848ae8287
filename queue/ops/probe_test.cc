#include "queue/ops/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "queue/client/memory_queue_client.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProbeTest : public ::testing::Test {
 protected:
  void start(milliseconds interval) {
    ProbeOptions options;
    options.interval = interval;
    options.connect = [this]() -> Result<std::unique_ptr<QueueClient>> {
      return create_memory_queue_client(queue_);
    };
    probe_ = Probe::start(base::system_clock(), std::move(options));
  }
  void wait_until(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::yield();
    }
  }

  MemoryQueue queue_;
  std::unique_ptr<Probe> probe_;
};

TEST_F(ProbeTest, AMessageGoesInAndOutAgain) {
  // A round trip has no longer than the interval: enough of it on a busy machine.
  start(milliseconds(500));
  wait_until([this] { return probe_->state().success_count >= 2; });
  EXPECT_TRUE(probe_->state().is_on);
  EXPECT_GT(probe_->state().latency.count(), 0);
  probe_->stop();
  EXPECT_EQ(queue_.depth(), 0U);
  EXPECT_GE(queue_.committed_count(), 2U);
}

TEST_F(ProbeTest, AQueueThatDoesNotAnswerIsAnAlarmUntilItDoes) {
  queue_.set_state(MemoryQueue::State::kDown);
  start(milliseconds(20));
  wait_until([this] { return probe_->state().failure_count >= 1; });
  wait_until([this] { return !probe_->alarm_conditions().empty(); });
  const auto alarms = probe_->alarm_conditions();
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].name, "probe-late");
  EXPECT_EQ(alarms[0].subject, "verbatim.probe");
  queue_.set_state(MemoryQueue::State::kUp);
  wait_until([this] { return probe_->alarm_conditions().empty(); });
  EXPECT_GE(probe_->state().success_count, 1);
}

TEST_F(ProbeTest, WhatAnEarlierProbeHasLeftIsTakenOnTheWay) {
  queue_.set_state(MemoryQueue::State::kSilent);
  start(milliseconds(20));
  wait_until([this] { return queue_.depth() >= 1; });
  probe_->stop();
  queue_.set_state(MemoryQueue::State::kUp);
  start(milliseconds(1'000));
  wait_until([this] { return probe_->state().success_count >= 1; });
  EXPECT_EQ(queue_.depth(), 0U);
}

TEST_F(ProbeTest, WhatIsNotTheProbesStaysAndIsSaid) {
  const auto client = create_memory_queue_client(queue_);
  PutRequest request;
  request.source = "somebody";
  request.body = "not a probe";
  ASSERT_TRUE(client->put(std::move(request), std::chrono::minutes(1), [](const auto&) {}).ok());
  start(milliseconds(500));
  wait_until(
      [this] { return probe_->state().last_error.find("not the probe's") != std::string::npos; });
  wait_until([this] { return probe_->state().failure_count >= 3; });
  probe_->stop();
  ASSERT_GE(queue_.messages().size(), 1U);
  EXPECT_EQ(queue_.messages()[0].source(), "somebody");
  EXPECT_THAT(queue_.dead_letters(), IsEmpty());
}

TEST_F(ProbeTest, StoppingDoesNotWaitForAQueueThatIsDown) {
  queue_.set_state(MemoryQueue::State::kDown);
  start(milliseconds(60'000));
  const auto begin = std::chrono::steady_clock::now();
  probe_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(ProbeTest, AnIntervalOfZeroIsNoProbe) {
  start(milliseconds(0));
  EXPECT_FALSE(probe_->state().is_on);
  EXPECT_THAT(probe_->alarm_conditions(), IsEmpty());
}

}  // namespace
}  // namespace verbatim::queue
