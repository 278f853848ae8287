#include "processor/intake_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "queue/client/memory_queue_client.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::StagingFixture;
using testing::test_envelope;

class IntakeWorkerTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    producer_ = queue::create_memory_queue_client(queue_);
  }
  void TearDown() override {
    if (worker_ != nullptr) worker_->stop();
    producer_->stop();
  }
  void start(IntakeOptions options = {}) {
    options.queue = testing::kTestQueue;
    options.receive.wait = milliseconds(20);
    QueueDoor door;
    door.address = [] { return std::string("memory"); };
    door.connect = [this](const std::string&) -> Result<std::unique_ptr<queue::QueueClient>> {
      return queue::create_memory_queue_client(queue_);
    };
    marks_ = std::make_unique<StagingMarks>(*staging_, marks_options_);
    worker_ = std::make_unique<IntakeWorker>(*staging_, *marks_, options, door, [] {});
    worker_->start();
  }
  // Puts posts and waits until they are durable in the queue.
  void put(int count, size_t size = 10) {
    std::vector<std::future<void>> done;
    for (int i = 0; i < count; ++i) {
      queue::PutRequest request;
      request.order_key = "room@x";
      request.source_key = "key-" + std::to_string(++last_key_);
      request.source = "s";
      request.envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x").SerializeAsString();
      request.body = std::string(size, 'b');
      auto stored = std::make_shared<std::promise<void>>();
      done.push_back(stored->get_future());
      ASSERT_TRUE(producer_
                      ->put(std::move(request), std::chrono::nanoseconds::max(),
                            [stored](const auto& outcome) {
                              EXPECT_TRUE(outcome);
                              stored->set_value();
                            })
                      .ok());
    }
    for (auto& one : done) one.wait();
  }
  // Waits for a condition that the worker's thread brings about.
  template <class Condition>
  bool wait_for(Condition condition) {
    for (int i = 0; i < 1'000 && !condition(); ++i) {
      staging_->wait_for_events(UINT64_MAX, milliseconds(10));
    }
    return condition();
  }

  // What must not come about, over some looks at the disk.
  template <class Condition>
  bool wait_for_a_moment(Condition condition) {
    for (int i = 0; i < 30 && !condition(); ++i) {
      staging_->wait_for_events(UINT64_MAX, milliseconds(10));
    }
    return condition();
  }

  queue::MemoryQueue queue_;
  std::unique_ptr<queue::QueueClient> producer_;
  StagingMarksOptions marks_options_;
  std::unique_ptr<StagingMarks> marks_;
  std::unique_ptr<IntakeWorker> worker_;
  int last_key_ = 0;
};

TEST_F(IntakeWorkerTest, MessagesAreStagedAndThenLeaveTheQueue) {
  put(20);
  start();
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 20; }));
  EXPECT_EQ(staging_->last_sequence(), 20U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).accepted(), 20U);
}

TEST_F(IntakeWorkerTest, WhatWasStagedButNotCommittedComesAgainAndIsStoredOnce) {
  put(5);
  // As if the process had ended between staging and commit.
  std::vector<v1::QueueMessage> messages = queue_.messages();
  ASSERT_TRUE(staging_->stage(testing::kTestQueue, messages));
  start();
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 5; }));
  EXPECT_EQ(staging_->last_sequence(), 5U);
  check_accounting();
}

// Each lease is asked for while the one before it is staged, and is of the same order key.
TEST_F(IntakeWorkerTest, LeasesOfOneOrderKeyFollowEachOtherInOrder) {
  configure({{"xml", true}});
  put(60);
  IntakeOptions options;
  options.receive.max_count = 7;
  start(options);
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 60; }));
  const auto batch = seal("xml");
  ASSERT_EQ(batch->events.size(), 60U);
  for (size_t i = 0; i < batch->events.size(); ++i) {
    v1::StoredEvent stored;
    ASSERT_TRUE(stored.ParseFromString(batch->events[i]));
    EXPECT_EQ(stored.lookup_id(), i + 1);
  }
  check_accounting();
}

TEST_F(IntakeWorkerTest, WhatWasAskedForAheadIsGivenBackUntriedAboveTheHighMark) {
  configure({{"xml", true}});
  IntakeOptions options;
  marks_options_.high_bytes = 5'000;
  marks_options_.low_bytes = 2'000;
  options.receive.max_count = 1;
  put(10, 1'000);
  start(options);
  EXPECT_TRUE(wait_for([&] { return !worker_->notice().empty(); }));
  EXPECT_TRUE(wait_for([&] {
    const auto left = queue_.messages();
    return !left.empty() && left.front().delivery_count() == 0;
  }));
}

TEST_F(IntakeWorkerTest, AnEmptiedQueueFolderIsKnownByItsIdentity) {
  put(5);
  start();
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 5; }));
  worker_->stop();
  producer_->stop();
  queue::MemoryQueue emptied;
  queue_ = emptied;
  producer_ = queue::create_memory_queue_client(queue_);
  put(3);
  clock_.advance(10 * options_.source_key_window);  // they have waited for long
  start();
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 3; }));
  EXPECT_EQ(staging_->last_sequence(), 8U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).accepted(), 8U);
}

TEST_F(IntakeWorkerTest, AQueueThatIsAwayIsAskedAgainUntilItIsBack) {
  put(3);
  queue_.set_state(queue::MemoryQueue::State::kDown);
  start();
  EXPECT_TRUE(wait_for([&] { return !worker_->notice().empty(); }));
  EXPECT_EQ(staging_->last_sequence(), 0U);
  queue_.set_state(queue::MemoryQueue::State::kUp);
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 3; }));
  EXPECT_TRUE(wait_for([&] { return worker_->notice().empty(); }));
}

TEST_F(IntakeWorkerTest, AboveTheHighMarkNothingIsTakenUntilBelowTheLowMark) {
  configure({{"xml", true}});
  IntakeOptions options;
  marks_options_.high_bytes = 5'000;
  marks_options_.low_bytes = 2'000;
  options.receive.max_count = 1;
  put(10, 1'000);
  start(options);
  EXPECT_TRUE(wait_for([&] { return !worker_->notice().empty(); }));
  const uint64_t taken = staging_->last_sequence();
  EXPECT_LT(taken, 10U);
  EXPECT_GE(staging_->staged_bytes(), 5'000U);
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_TRUE(wait_for([&] { return staging_->last_sequence() > taken; }));
}

TEST_F(IntakeWorkerTest, WithTooLittleFreeDiskNothingIsTakenUntilThereIsRoomAgain) {
  // Beside what the store has in memory, which is not what is looked at here.
  constexpr uint64_t kMark = 1'000'000'000;
  const uint64_t unwritten = staging_->unwritten_bytes();
  std::atomic<uint64_t> free{kMark + unwritten - 1};
  marks_options_.free_disk_min_bytes = kMark;
  marks_options_.free_disk = [&free]() -> Result<uint64_t> { return free.load(); };
  put(3);
  start();
  EXPECT_TRUE(wait_for([&] { return !worker_->notice().empty(); }));
  free = kMark + unwritten + (32 << 20);  // above the mark, and not by 64 MiB
  EXPECT_FALSE(wait_for_a_moment([&] { return staging_->last_sequence() > 0; }));
  free = kMark + unwritten + (65 << 20);
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 3; }));
  EXPECT_TRUE(wait_for([&] { return worker_->notice().empty(); }));
  worker_->stop();
}

TEST_F(IntakeWorkerTest, WhatTheStoreHasInMemoryOnlyCountsAsTakenFromTheDisk) {
  constexpr uint64_t kMark = 1'000'000'000;
  const uint64_t unwritten = staging_->unwritten_bytes();
  marks_options_.free_disk_min_bytes = kMark;
  marks_options_.free_disk = [=]() -> Result<uint64_t> { return kMark + unwritten + (1 << 20); };
  StagingMarks marks(*staging_, marks_options_, clock_);
  EXPECT_EQ(marks.look(), StagingMarks::State::kTakes);
  testing::TestQueue queue;
  stage({queue.post("room@x", std::string(3 << 20, 'b'))});
  clock_.advance(milliseconds(200));
  EXPECT_EQ(marks.look(), StagingMarks::State::kDiskFull);
  EXPECT_TRUE(marks.has_room());
}

TEST_F(IntakeWorkerTest, WithoutAMarkTheDiskIsStillLeftRoomForWhatIsStaged) {
  marks_options_.free_disk = []() -> Result<uint64_t> { return 1'000'000; };
  put(3);
  start();
  EXPECT_TRUE(wait_for([&] { return !worker_->notice().empty(); }));
  EXPECT_FALSE(marks_->has_room());
  EXPECT_EQ(staging_->last_sequence(), 0U);
  worker_->stop();
}

// Between two looks at the store what it takes counts at once, for it has to be written out, too.
TEST_F(IntakeWorkerTest, WhatIsTakenSinceTheLastLookCountsAsTakenFromTheDisk) {
  constexpr uint64_t kMark = 1'000'000'000;
  const uint64_t unwritten = staging_->unwritten_bytes();
  marks_options_.free_disk_min_bytes = kMark;
  marks_options_.free_disk = [=]() -> Result<uint64_t> { return kMark + unwritten + (1 << 20); };
  StagingMarks marks(*staging_, marks_options_, clock_);
  EXPECT_EQ(marks.look(), StagingMarks::State::kTakes);
  testing::TestQueue queue;
  stage({queue.post("room@x", std::string(2 << 20, 'b'))});
  EXPECT_EQ(marks.look(), StagingMarks::State::kDiskFull);
}

TEST_F(IntakeWorkerTest, WhatIsReceivedWhenTheDiskFillsUpGoesBackUntried) {
  constexpr uint64_t kMark = 1'000'000'000;
  std::atomic<int> looks = 0;
  std::atomic<bool> is_full = true;
  marks_options_.free_disk_min_bytes = kMark;
  // Somebody fills it after the first look of each turn, while the worker waits for messages.
  marks_options_.free_disk = [&]() -> Result<uint64_t> {
    return ++looks % 2 == 0 && is_full ? 0 : 2 * kMark;
  };
  put(3);
  start();
  EXPECT_TRUE(wait_for([&] { return looks > 6; }));
  EXPECT_EQ(staging_->last_sequence(), 0U);
  EXPECT_TRUE(queue_.dead_letters().empty());
  is_full = false;
  EXPECT_TRUE(wait_for([&] { return queue_.committed_count() == 3; }));
  worker_->stop();
}

TEST_F(IntakeWorkerTest, TheLeastMarkHasRoomForWritesAndTwoDeliveriesOfEachQueue) {
  EXPECT_EQ(StagingMarks::least_free_bytes(1, 4 << 20), uint64_t{64} << 20);
  EXPECT_EQ(StagingMarks::least_free_bytes(2, 4 << 20), uint64_t{72} << 20);
}

TEST_F(IntakeWorkerTest, StopEndsAWaitingWorkerAndIsSafeTwice) {
  start();
  worker_->stop();
  worker_->stop();
}

}  // namespace
}  // namespace verbatim::processor
