#include "collector/outbox/outbox.h"

#include <gtest/gtest.h>

#include "queue/client/memory_queue_client.h"
#include "tests/support/answer_box.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using queue::MemoryQueue;
using testing::eventually;

v1::PutMessage message(const std::string& key, const std::string& body) {
  v1::PutMessage put;
  put.set_order_key(key);
  put.set_source_key(key + body);
  put.set_source("node");
  put.set_body(body);
  return put;
}

class OutboxTest : public ::testing::Test {
 protected:
  void TearDown() override { stop(); }

  void start() {
    client_ = queue::create_memory_queue_client(queue_);
    outbox_ = Outbox::open(disk_, options_, *client_).value();
    Outbox::Hooks hooks;
    hooks.released = [this](const std::string& key) { released_.add(key); };
    hooks.lost = [this](const v1::PutMessage& lost, const Status&) { lost_.add(lost.body()); };
    hooks.failed = [this](const Status& status) { failed_.add(status); };
    outbox_->start(std::move(hooks));
  }
  void stop() {
    if (client_) client_->stop();
    if (outbox_) outbox_->stop();
    outbox_.reset();
    client_.reset();
  }
  Status enqueue(const std::string& key, const std::string& body) {
    return outbox_->enqueue(message(key, body),
                            [this](const Status& status) { done_.add(status); });
  }
  std::vector<std::string> stored() {
    std::vector<std::string> bodies;
    for (const auto& stored : queue_.messages()) bodies.push_back(stored.body());
    return bodies;
  }

  testing::FaultFileSystem disk_;
  MemoryQueue queue_;
  Outbox::Options options_{
      .directory = "/outbox", .max_bytes = 1'000'000, .in_flight_max_count = 8};
  std::unique_ptr<queue::QueueClient> client_;
  std::unique_ptr<Outbox> outbox_;
  testing::AnswerBox<std::string> released_;
  testing::AnswerBox<std::string> lost_;
  testing::AnswerBox<Status> failed_;
  testing::AnswerBox<Status> done_;
};

TEST_F(OutboxTest, MessagesReachTheQueueInOrderAndLeave) {
  start();
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(std::to_string(i));
    ASSERT_TRUE(enqueue("key", sent.back()).ok());
  }
  EXPECT_EQ(done_.wait(100).size(), 100u);
  ASSERT_TRUE(eventually([this] { return outbox_->info().event_count() == 0; }));
  EXPECT_EQ(stored(), sent);
  EXPECT_EQ(outbox_->info().bytes(), 0);
}

TEST_F(OutboxTest, AKeyIsHeldUntilTheQueueHasItsLastMessage) {
  queue_.set_state(MemoryQueue::State::kSilent);
  start();
  ASSERT_TRUE(enqueue("key", "1").ok());
  EXPECT_TRUE(outbox_->holds("key"));
  EXPECT_FALSE(outbox_->holds("another"));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  EXPECT_TRUE(outbox_->holds("key"));
  queue_.set_state(MemoryQueue::State::kUp);
  EXPECT_EQ(released_.wait(1), std::vector<std::string>{"key"});
  EXPECT_FALSE(outbox_->holds("key"));
}

TEST_F(OutboxTest, DoneMeansSynced) {
  queue_.set_state(MemoryQueue::State::kDown);
  start();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(enqueue("key", std::to_string(i)).ok());
  done_.wait(10);
  stop();
  disk_.power_cut_dropping_all();
  start();
  EXPECT_EQ(outbox_->info().event_count(), 10);
  EXPECT_TRUE(outbox_->holds("key"));
}

TEST_F(OutboxTest, ARestartInTheMiddleOfDrainingStoresEverythingOnce) {
  start();
  std::vector<std::string> sent;
  for (int round = 0; round < 10; ++round) {
    queue_.set_state(MemoryQueue::State::kSilent);
    for (int i = 0; i < 20; ++i) {
      sent.push_back(std::to_string(sent.size()));
      ASSERT_TRUE(enqueue("key", sent.back()).ok());
    }
    done_.wait(sent.size());
    queue_.set_state(MemoryQueue::State::kUp);
    ASSERT_TRUE(eventually([&] { return stored().size() > sent.size() - 20; }));
    stop();
    disk_.power_cut(static_cast<uint64_t>(round));
    start();
  }
  ASSERT_TRUE(eventually([this] { return outbox_->info().event_count() == 0; }));
  EXPECT_EQ(stored(), sent);
}

TEST_F(OutboxTest, WhatTheQueueRefusesForGoodIsReportedAndDoesNotBlockTheRest) {
  start();
  queue_.refuse_next(invalid_argument("never"));
  ASSERT_TRUE(enqueue("key", "1").ok());
  ASSERT_TRUE(enqueue("key", "2").ok());
  ASSERT_TRUE(eventually([this] { return outbox_->info().event_count() == 0; }));
  EXPECT_EQ(stored(), std::vector<std::string>{"2"});
  EXPECT_EQ(lost_.wait(1), std::vector<std::string>{"1"});
}

TEST_F(OutboxTest, AQueueThatDoesNotExistYetGetsAllInOrderLater) {
  start();
  queue_.refuse_next(not_found("no such queue"));
  for (const char* body : {"1", "2", "3"}) ASSERT_TRUE(enqueue("key", body).ok());
  ASSERT_TRUE(eventually([this] { return outbox_->info().event_count() == 0; }));
  // What came back for the retry was put again behind those that had passed it; repeats are told
  // apart by their source keys, and nothing is lost.
  auto bodies = stored();
  std::sort(bodies.begin(), bodies.end());
  EXPECT_EQ(bodies, (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(OutboxTest, BeyondItsBoundItRefuses) {
  options_.max_bytes = 2'000;
  queue_.set_state(MemoryQueue::State::kDown);
  start();
  int taken = 0;
  while (enqueue("key", std::string(100, 'x')).ok()) ++taken;
  EXPECT_GT(taken, 5);
  EXPECT_LT(taken, 20);
  EXPECT_LE(outbox_->info().bytes(), 2'000);
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(eventually([this] { return outbox_->info().event_count() == 0; }));
  EXPECT_TRUE(enqueue("key", "again").ok());
}

TEST_F(OutboxTest, AfterAFailedSyncNothingIsTaken) {
  start();
  disk_.fail({.nth = 1, .error_number = 5, .is_sticky = true, .kinds = {testing::IoKind::kSync}});
  ASSERT_TRUE(enqueue("key", "1").ok());
  EXPECT_FALSE(done_.wait(1)[0].ok());
  EXPECT_EQ(failed_.wait(1).size(), 1u);
  EXPECT_EQ(enqueue("key", "2").code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace verbatim::collector
