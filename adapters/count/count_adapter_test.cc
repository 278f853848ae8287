#include "adapters/count/count_adapter.h"

#include <gtest/gtest.h>

#include "tests/support/batch_builder.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::FaultFileSystem;
using ::verbatim::testing::room_post;

class CountAdapterTest : public ::testing::Test {
 protected:
  CountAdapterTest() { EXPECT_TRUE(disk_.create_directories("/count").ok()); }

  Batch make_batch(int count) {
    for (int i = 0; i < count; ++i) builder_.add(room_post("a@x", "text"));
    return builder_.seal();
  }
  // As a restarted process would read it.
  uint64_t count() { return CountAdapter(disk_, "/count").load_count()->events; }

  FaultFileSystem disk_;
  BatchBuilder builder_{"count"};
  CountAdapter adapter_{disk_, "/count"};
};

TEST_F(CountAdapterTest, CountsDurably) {
  EXPECT_EQ(adapter_.last_applied()->number, 0U);
  ASSERT_TRUE(adapter_.translate(make_batch(3)));
  const Batch second = make_batch(4);
  ASSERT_TRUE(adapter_.translate(second));
  disk_.power_cut_dropping_all();
  EXPECT_EQ(count(), 7U);
  CountAdapter restarted(disk_, "/count");
  EXPECT_EQ(*restarted.last_applied(), (AppliedBatch{2, second.digest()}));
}

TEST_F(CountAdapterTest, ARepeatIsNotCountedTwice) {
  const Batch batch = make_batch(3);
  ASSERT_TRUE(adapter_.translate(batch));
  ASSERT_TRUE(adapter_.translate(batch));
  CountAdapter restarted(disk_, "/count");
  ASSERT_TRUE(restarted.translate(batch));
  EXPECT_EQ(count(), 3U);
  EXPECT_EQ(*restarted.batch_state(1, batch.digest()), BatchState::kApplied);
  EXPECT_EQ(*restarted.batch_state(1, std::string(32, 'x')), BatchState::kOtherApplied);
  EXPECT_EQ(*restarted.batch_state(2, batch.digest()), BatchState::kNotApplied);
}

TEST_F(CountAdapterTest, ADamagedCountIsNoNewBeginning) {
  ASSERT_TRUE(adapter_.translate(make_batch(3)));
  const std::string good = disk_.contents("/count/count.txt");
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(base::write_file_atomically(disk_, "/count/count.txt", good.substr(0, size)).ok());
    EXPECT_EQ(CountAdapter(disk_, "/count").last_applied().error().code(), StatusCode::kDataLoss)
        << size;
  }
}

TEST_F(CountAdapterTest, EveryFailingOperationIsToldAndTheRepeatCountsOnce) {
  bool has_failed = true;
  for (uint64_t nth = 1; has_failed; ++nth) {
    const uint64_t before = count();
    const Batch batch = make_batch(3);
    CountAdapter adapter(disk_, "/count");
    disk_.fail({.nth = nth});
    const auto outcome = adapter.translate(batch);
    has_failed = disk_.has_failed();
    disk_.clear_faults();
    const bool is_retry =
        outcome ? outcome->kind == Outcome::Kind::kRetry : is_transient(outcome.error().code());
    EXPECT_EQ(is_retry, has_failed) << nth;
    ASSERT_TRUE(adapter.translate(batch)) << nth;
    EXPECT_EQ(count(), before + 3) << nth;
  }
}

TEST_F(CountAdapterTest, WhoTakesOverCountsOnFromWhereTheOtherInstanceWas) {
  ASSERT_TRUE(adapter_.last_applied());
  CountAdapter other(disk_, "/count");
  const Batch first = make_batch(3);
  ASSERT_TRUE(other.translate(first));
  ASSERT_TRUE(adapter_.activate().ok());
  EXPECT_EQ(*adapter_.last_applied(), (AppliedBatch{1, first.digest()}));
  ASSERT_TRUE(adapter_.translate(make_batch(4)));
  EXPECT_EQ(count(), 7U);
}

// What it finds when it becomes active may not be on disk yet.
TEST_F(CountAdapterTest, WhatAFailedAttemptLeftIsDurableBeforeItIsAcknowledged) {
  bool has_failed = true;
  for (uint64_t nth = 1; has_failed; ++nth) {
    const uint64_t before = count();
    const Batch batch = make_batch(3);
    CountAdapter adapter(disk_, "/count");
    disk_.fail({.nth = nth});
    ignore_error(adapter.translate(batch).error(), "the repeat counts");
    has_failed = disk_.has_failed();
    disk_.clear_faults();
    ASSERT_TRUE(adapter.activate().ok());
    ASSERT_TRUE(adapter.translate(batch)) << nth;
    disk_.power_cut_dropping_all();
    EXPECT_EQ(count(), before + 3) << nth;
  }
}

TEST_F(CountAdapterTest, ATargetThatIsGoneMeansRetryNeverReject) {
  ASSERT_TRUE(adapter_.last_applied());
  ASSERT_TRUE(disk_.remove("/count").ok());
  const auto outcome = adapter_.translate(make_batch(3));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kind, Outcome::Kind::kRetry);
}

}  // namespace
}  // namespace verbatim::adapters
