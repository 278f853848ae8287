// What lives on while old segments are given up.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "queue/queue_core.h"
#include "tests/support/queue_core_fixture.h"

namespace verbatim::queue {
namespace {

class QueueRecyclingTest : public testing::EventsQueueFixture {
 protected:
  // Fills and drains the queue so that the log rolls on.
  void roll(int rounds) {
    const std::string big(20'000, 'x');
    for (int i = 0; i < rounds; ++i) {
      store({{big, "roll"}, {big, "roll"}, {big, "roll"}, {big, "roll"}});
      const auto lease = receive(4);
      ASSERT_EQ(lease.messages_size(), 4);
      commit(lease.lease_id());
      core_->tick();
      flush();
    }
  }
};

TEST_F(QueueRecyclingTest, ADrainedLogDoesNotGrow) {
  roll(200);
  EXPECT_LE(core_->list_queues().log().segment_count(), 3);
  EXPECT_GT(core_->log().newest_generation(), 10u);
}

TEST_F(QueueRecyclingTest, LiveMessagesKeysAndCountsSurviveRecycling) {
  store(
      {{"old", "quiet", "old-key", "old-verdict"}, {"gone", "quiet2", "gone-key", "gone-verdict"}});
  const auto lease = receive();
  commit(lease.lease_id(), {2});
  const uint64_t first = core_->log().oldest_generation();
  // The first message stays leased, so that the rounds below do not get it.
  for (int i = 0; i < 300 && core_->log().oldest_generation() <= first + 2; ++i) roll(1);
  ASSERT_GT(core_->log().oldest_generation(), first + 2) << "the oldest segments were recycled";
  crash();
  const auto again = receive();
  ASSERT_EQ(again.messages_size(), 1);
  EXPECT_EQ(again.messages(0).body(), "old");
  EXPECT_EQ(again.messages(0).lookup_id(), 1u);
  EXPECT_EQ(again.messages(0).delivery_count(), 2);
  open_producer(9);
  const auto reply = put(9, 1, {{"x", "q", "old-key", ""}, {"x", "q", "gone-key", ""}}).put_reply();
  EXPECT_EQ(reply.results(0).first_verdict(), "old-verdict");
  EXPECT_EQ(reply.results(1).first_verdict(), "gone-verdict");
  EXPECT_EQ(reply.results(1).lookup_id(), 2u);
}

TEST_F(QueueRecyclingTest, BodiesAreReadFromTheDiskWhenTheCacheIsSmall) {
  options_.log.cache_bytes = 1;
  open();
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(std::string(1'000, static_cast<char>('a' + i % 26)));
    store({{expected.back()}});
  }
  EXPECT_EQ(bodies(receive()), expected);
}

}  // namespace
}  // namespace verbatim::queue
