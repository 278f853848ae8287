// A disk that takes no more segments: what has ended leaves at once, in its share of the reserve;
// commits, aborts and starts have theirs whatever the burst.
#include <gmock/gmock.h>

#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr const char* kPoisonQueue = "events;poison";
// A message with what surrounds it takes eight blocks of a segment.
constexpr int64_t kPerSegment = 32;

class QueueFullDiskTest : public testing::EventsQueueFixture {
 protected:
  QueueFullDiskTest() {
    v1::ConfigureQueueRequest once;
    once.set_queue("events");
    once.mutable_settings()->set_retries(0);
    once.mutable_settings()->set_retry_cycles(0);
    EXPECT_TRUE(core_->configure_queue(once).ok());
    pass();
  }
  void pass() {
    for (int i = 0; i < 3; ++i) {
      clock_.advance(milliseconds(10));
      core_->tick();
      flush();
    }
  }
  // Somebody else's files take what is left.
  void fill_disk() { disk_.set_capacity(core_->log().disk_bytes()); }
  bool can_grow() { return core_->log().can_grow(); }
  // Each message under a key of its own; false: full.
  bool put_next() {
    if (next_ == 1) open_producer(5);
    const std::string key = "room-" + std::to_string(next_);
    if (!put(5, next_, {{std::string(30'000, 'x'), key}}).has_put_reply()) return false;
    ++next_;
    core_->tick();
    flush();
    return true;
  }
  void put_until_full() {
    while (put_next()) ASSERT_LT(next_, 1'000u);
    ASSERT_FALSE(can_grow());
  }
  v1::ReceiveReply take(int64_t count) {
    auto frame = receive_frame(count);
    frame.mutable_receive()->set_max_bytes(64 << 20);
    frame.mutable_receive()->set_lease_ms(300'000);
    return ask_one("c", frame).receive_reply();
  }
  v1::QueueFrame abandon(uint64_t lease_id, uint64_t lookup_id = 0) {
    v1::QueueFrame frame;
    frame.mutable_abandon()->set_queue("events");
    frame.mutable_abandon()->set_lease_id(lease_id);
    if (lookup_id != 0) frame.mutable_abandon()->add_lookup_ids(lookup_id);
    return ask_one("c", frame);
  }
  int64_t depth(const std::string& name) {
    const v1::ListQueuesResponse all = core_->list_queues();
    for (const auto& queue : all.queues()) {
      if (queue.name() == name) return queue.depth();
    }
    return 0;
  }
  std::string disk_alarm() {
    for (const auto& alarm : core_->alarm_conditions()) {
      if (alarm.name == "disk-full" && alarm.subject == "segments") return alarm.text;
    }
    return {};
  }

  uint64_t next_ = 1;
};

// By how much of the log there was when the disk became full: nearly nothing, less and more than
// half a segment, several segments.
class QueueNewlyFullDiskTest : public QueueFullDiskTest,
                               public ::testing::WithParamInterface<int> {};

TEST_P(QueueNewlyFullDiskTest, WhatIsAbandonedOrPoisonLeavesAtOnce) {
  for (int i = 0; i < GetParam(); ++i) ASSERT_TRUE(put_next());
  fill_disk();
  ASSERT_NO_FATAL_FAILURE(put_until_full());
  EXPECT_TRUE(abandon(take(1).lease_id()).has_settle_reply());
  EXPECT_EQ(depth(kPoisonQueue), 1);
  EXPECT_TRUE(abort(take(1).lease_id()).has_settle_reply());
  EXPECT_EQ(depth(kPoisonQueue), 2);
  EXPECT_FALSE(can_grow());
  crash();
  EXPECT_EQ(depth(kPoisonQueue), 2);
  EXPECT_EQ(depth("events"), static_cast<int64_t>(next_) - 3);
}

INSTANTIATE_TEST_SUITE_P(Stored, QueueNewlyFullDiskTest, ::testing::Values(2, 12, 25, 35, 100));

TEST_F(QueueFullDiskTest, ABurstGoesAsFarAsItsShareAndOnAsSegmentsAreGivenUp) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(put_next());
  fill_disk();
  ASSERT_NO_FATAL_FAILURE(put_until_full());
  EXPECT_THAT(disk_alarm(), ::testing::Not(HasSubstr("poison")));
  // From the newest on, so that no segment comes free by it.
  const auto all = take(1'000);
  ASSERT_EQ(all.messages_size(), static_cast<int>(next_) - 1);
  uint64_t newest = next_ - 1;
  v1::QueueFrame answer;
  do {
    answer = abandon(all.lease_id(), newest--);
  } while (answer.has_settle_reply());
  EXPECT_EQ(answer.refused().reason(), v1::REFUSAL_REASON_FULL) << answer.ShortDebugString();
  EXPECT_GT(answer.refused().retry_after_ms(), 0);
  EXPECT_THAT(disk_alarm(), HasSubstr("poison"));
  const int64_t moved = depth(kPoisonQueue);
  EXPECT_GE(moved, kPerSegment / 2 - 1);
  // What is poison now waits for room, and nothing gives it out.
  const auto fails = newest - 1;
  v1::QueueFrame last;
  last.mutable_abort()->set_queue("events");
  last.mutable_abort()->set_lease_id(all.lease_id());
  last.mutable_abort()->add_lookup_ids(fails);
  EXPECT_TRUE(ask_one("c", last).has_settle_reply());
  pass();
  EXPECT_EQ(depth(kPoisonQueue), moved);
  EXPECT_EQ(take(10).messages_size(), 0);
  // Commits fit, one after the other, and make room for it.
  for (uint64_t id = 1; id <= 40; ++id) {
    ASSERT_TRUE(commit(all.lease_id(), {id}).has_settle_reply()) << id;
  }
  pass();
  EXPECT_EQ(depth(kPoisonQueue), moved + 1);
  EXPECT_TRUE(abandon(all.lease_id(), newest).has_settle_reply());
}

TEST_F(QueueFullDiskTest, TheAlarmNamesTheCommitsThatWait) {
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(put_next());
  const auto lease = take(2);
  fill_disk();
  ASSERT_NO_FATAL_FAILURE(put_until_full());
  EXPECT_THAT(disk_alarm(), ::testing::Not(HasSubstr("commit"))) << "without a journal none waits";
  v1::ConfigureQueueRequest journal;
  journal.set_queue("events");
  journal.mutable_settings()->set_has_journal(true);
  ASSERT_TRUE(core_->configure_queue(journal).ok());
  flush();
  v1::QueueFrame frame;
  frame.mutable_commit()->set_queue("events");
  frame.mutable_commit()->set_lease_id(lease.lease_id());
  EXPECT_TRUE(ask("c", frame).empty());
  EXPECT_THAT(disk_alarm(), HasSubstr("commits wait waiting_commit_count=1"));
}

TEST_F(QueueFullDiskTest, AStartFitsAfterABurst) {
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(put_next());
  fill_disk();
  ASSERT_NO_FATAL_FAILURE(put_until_full());
  for (int life = 0; life < 5; ++life) {
    const auto all = take(1'000);
    for (int at = all.messages_size() - 1; at > 0; --at) {
      if (!abandon(all.lease_id(), all.messages(at).lookup_id()).has_settle_reply()) break;
    }
    EXPECT_EQ(std::as_const(core_->store()).log().spare_count(), 1u) << "the start's";
    for (int at = 0; at < 20 && at < all.messages_size(); ++at) {
      commit(all.lease_id(), {all.messages(at).lookup_id()});
    }
    ASSERT_NO_FATAL_FAILURE(crash()) << "life " << life;
  }
}

}  // namespace
}  // namespace verbatim::queue
