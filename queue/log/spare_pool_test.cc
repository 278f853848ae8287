#include "queue/log/spare_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>

#include "queue/log/log_format.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

constexpr uint64_t kSegmentBytes = 32 * 1024;

class SparePoolTest : public ::testing::TestWithParam<bool> {
 protected:
  SparePoolTest() { EXPECT_TRUE(disk_.create_directories("/log").ok()); }

  void start() {
    pool_ = std::make_unique<SparePool>(
        disk_, "/log", SpareOptions{.segment_bytes = kSegmentBytes, .in_background = GetParam()});
    pool_->set_log_id(7);
    pool_->start();
  }
  // Waits for the background thread; there is nothing to wait for without.
  template <class Condition>
  void wait_until(Condition condition) {
    while (GetParam() && !condition()) std::this_thread::yield();
    ASSERT_TRUE(condition());
  }

  testing::FaultFileSystem disk_;
  std::unique_ptr<SparePool> pool_;
};

TEST_P(SparePoolTest, TheReserveIsThereAndTheNextOneWhenItIsSoonNeeded) {
  start();
  wait_until([&] { return pool_->count() == 1; });
  pool_->prepare_next();
  wait_until([&] { return pool_->count() == 2; });
  const auto name = pool_->take(true);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(pool_->count(), 1u);
  const std::string bytes = disk_.contents("/log/" + *name);
  EXPECT_EQ(bytes.size(), kSegmentBytes);
  EXPECT_EQ(decode_segment_header(bytes.substr(0, kLogHeaderSize))->log_id, 7u);
}

TEST_P(SparePoolTest, TakingMoreThanIsAheadKeepsTheReserve) {
  start();
  std::set<std::string> names;
  for (int i = 0; i < 5; ++i) {
    const auto name = pool_->take(true);
    ASSERT_TRUE(name.has_value());
    EXPECT_TRUE(names.insert(*name).second) << "one spare is given once";
    EXPECT_TRUE(pool_->can_grow());
  }
  wait_until([&] { return pool_->count() == 1; });
}

TEST_P(SparePoolTest, AFullDiskLeavesTheReserveAndThenNothing) {
  start();
  wait_until([&] { return pool_->count() == 1; });
  disk_.set_capacity(kSegmentBytes + kSegmentBytes / 2);
  pool_->prepare_next();
  wait_until([&] { return !pool_->can_grow(); });
  EXPECT_TRUE(pool_->take(true).has_value());
  EXPECT_EQ(pool_->take(true).error().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(pool_->can_grow());
  pool_->add("given-up.tmp");
  EXPECT_TRUE(pool_->can_grow());
}

TEST_P(SparePoolTest, OneMoreOfThoseGivenUpIsKeptWhereItIsAllowed) {
  start();
  wait_until([&] { return pool_->count() == 1; });
  EXPECT_TRUE(pool_->wants_more());
  pool_->add("a.tmp");
  EXPECT_TRUE(pool_->wants_more());
  pool_->keep_one_more(false);
  EXPECT_FALSE(pool_->wants_more());
  pool_->keep_one_more(true);
  pool_->add("b.tmp");
  EXPECT_FALSE(pool_->wants_more());
}

TEST_P(SparePoolTest, ASecondReserveIsLeftTooAndOneMoreIsRemovedOnDemand) {
  start();
  wait_until([&] { return pool_->count() == 1; });
  pool_->keep_second_reserve(true);
  wait_until([&] { return pool_->count() == 2; });
  EXPECT_TRUE(pool_->drop_surplus().ok());
  EXPECT_EQ(pool_->count(), 2u) << "two are no surplus";
  disk_.set_capacity(2 * kSegmentBytes + kSegmentBytes / 2);
  pool_->prepare_next();
  wait_until([&] { return !pool_->can_grow(); });
  EXPECT_TRUE(pool_->take(false).has_value());
  EXPECT_FALSE(pool_->can_grow());
  EXPECT_EQ(pool_->take(false).error().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(pool_->count(), 1u) << "the start's";
  disk_.set_capacity(4 * kSegmentBytes);
  pool_->prepare_next();
  wait_until([&] { return pool_->count() == 3; });
  EXPECT_TRUE(pool_->drop_surplus().ok());
  EXPECT_EQ(pool_->count(), 2u);
}

TEST_P(SparePoolTest, AShortageEndsWhenNothingIsMissingAnyMore) {
  start();
  wait_until([&] { return pool_->count() == 1; });
  disk_.set_capacity(kSegmentBytes + kSegmentBytes / 2);
  pool_->keep_second_reserve(true);
  wait_until([&] { return !pool_->can_grow(); });
  pool_->keep_second_reserve(false);
  wait_until([&] { return pool_->can_grow(); });
}

INSTANTIATE_TEST_SUITE_P(Threads, SparePoolTest, ::testing::Bool(),
                         [](const auto& suite) { return suite.param ? "background" : "inline"; });

}  // namespace
}  // namespace verbatim::queue
