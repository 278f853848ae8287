// Run intervals through the channel that decides when, and the store that decides what.
#include <gtest/gtest.h>

#include "processor/hub/adapter_channel.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

class RunIntervalTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
    attach();
  }
  void attach(uint64_t max_count = 10'000) {
    ChannelOptions options;
    options.adapter = "xml";
    options.run_interval = minutes(15);
    options.batch_events_max_count = max_count;
    options.silence_max = std::chrono::hours(100'000);
    channel_ = std::make_unique<AdapterChannel>(*staging_, options, clock_);
    v1::AdapterHello hello;
    hello.set_adapter("xml");
    hello.set_instance("a");
    hello.set_schema_revision(1);
    session_ = std::make_shared<Session>(hello);
    channel_->attach(session_);
    channel_->step();
  }
  void detach() {
    channel_->detach(session_);
    channel_->step();
    channel_.reset();
  }
  void restart(uint64_t max_count = 10'000) {
    channel_.reset();
    open();
    attach(max_count);
  }
  // The batch that the adapter is given now, if any.
  std::shared_ptr<const LoadedBatch> given() {
    channel_->step();
    std::shared_ptr<const LoadedBatch> batch;
    while (auto outgoing = session_->try_next()) {
      if (outgoing->batch != nullptr) batch = outgoing->batch;
    }
    return batch;
  }
  void acknowledge(const LoadedBatch& batch) {
    v1::FromAdapter message;
    message.mutable_ack()->set_batch(batch.seal.batch);
    message.mutable_ack()->set_digest(batch.seal.row.digest());
    message.mutable_ack()->set_store_epoch(staging_->epoch());
    channel_->receive(session_, message);
  }
  void reject(const LoadedBatch& batch, const std::vector<uint64_t>& culprits) {
    v1::FromAdapter message;
    message.mutable_reject()->set_batch(batch.seal.batch);
    message.mutable_reject()->set_store_epoch(staging_->epoch());
    for (const uint64_t one : culprits) {
      message.mutable_reject()->add_events()->set_sequence(one);
    }
    channel_->receive(session_, message);
    channel_->step();
    message.Clear();
    message.mutable_batch_state()->set_batch(batch.seal.batch);
    message.mutable_batch_state()->set_digest(batch.seal.row.digest());
    message.mutable_batch_state()->set_state(v1::BatchStateAnswer::STATE_NOT_APPLIED);
    channel_->receive(session_, message);
  }
  // "1-3@0 " for members 1 to 3 of the interval that starts 0 minutes after the first; all that
  // comes without time going on, acknowledged one by one.
  std::string drain() {
    std::string text;
    while (const auto batch = given()) {
      const auto header = header_of(*batch);
      EXPECT_EQ(header.interval_end_unix_ns() - header.interval_start_unix_ns(),
                std::chrono::nanoseconds(minutes(15)).count());
      const int64_t after_ns = header.interval_start_unix_ns() - kStart;
      text += std::to_string(header.first_sequence()) + "-" +
              std::to_string(header.last_sequence()) + "@" +
              std::to_string(after_ns / 60'000'000'000) + " ";
      acknowledge(*batch);
    }
    return text;
  }
  // "room@x:1F " for part 1, first; L for last.
  static std::string parts(const v1::BatchHeader& header) {
    std::string text;
    for (const auto& slice : header.slices()) {
      text += slice.conversation_key() + ":" + std::to_string(slice.part()) +
              (slice.is_first() ? "F" : "") + (slice.is_last() ? "L" : "") + " ";
    }
    return text;
  }

  static constexpr int64_t kStart = 1'767'225'600'000'000'000;
  TestQueue queue_;
  std::unique_ptr<AdapterChannel> channel_;
  std::shared_ptr<Session> session_;
};

TEST_F(RunIntervalTest, ABatchIsCutAtTheEndOfItsIntervalNotBeforeWhateverItsSize) {
  attach(/*max_count=*/2);
  stage(queue_.posts(5));
  clock_.advance(minutes(15) - std::chrono::nanoseconds(1));
  EXPECT_EQ(drain(), "");
  clock_.advance(std::chrono::nanoseconds(1));
  EXPECT_EQ(drain(), "1-2@0 3-4@0 5-5@0 ");
  check_accounting();
}

TEST_F(RunIntervalTest, IntervalsThatEndWhileTheAdapterIsDownAreNeitherSkippedNorMerged) {
  detach();
  for (int i = 0; i < 4; ++i) {
    if (i != 2) stage(queue_.posts(2));
    clock_.advance(minutes(15));
  }
  stage(queue_.posts(1));
  open();
  attach();
  EXPECT_EQ(drain(), "1-2@0 3-4@15 5-6@45 ");
  clock_.advance(minutes(15));
  EXPECT_EQ(drain(), "7-7@60 ");
}

TEST_F(RunIntervalTest, ASmallStepBackOfTheClockNeitherReordersNorUncuts) {
  stage(queue_.posts(2));
  clock_.advance(minutes(15));
  EXPECT_EQ(drain(), "1-2@0 ");
  clock_.set_unix_now_ns(clock_.unix_now_ns() - std::chrono::nanoseconds(minutes(5)).count());
  stage(queue_.posts(2));  // in the first interval by the clock, which is closed
  clock_.advance(minutes(6));
  EXPECT_EQ(drain(), "");
  stage(queue_.posts(1));
  restart();
  EXPECT_EQ(drain(), "");
  clock_.advance(minutes(15));
  EXPECT_EQ(drain(), "3-5@15 ");
}

TEST_F(RunIntervalTest, AnEventOfTheNextIntervalCutsAlsoWhenTheClockThenGoesBack) {
  stage(queue_.posts(1));
  clock_.advance(minutes(15));
  stage(queue_.posts(1));
  clock_.set_unix_now_ns(kStart + std::chrono::nanoseconds(minutes(14)).count());
  EXPECT_EQ(drain(), "1-1@0 ");
  EXPECT_EQ(drain(), "");
}

TEST_F(RunIntervalTest, WhatAClockSetFarAheadHasStampedDoesNotWaitForThatTime) {
  clock_.set_unix_now_ns(kStart + std::chrono::nanoseconds(minutes(150'000)).count());
  stage(queue_.posts(1));
  clock_.set_unix_now_ns(kStart);
  stage(queue_.posts(1));
  EXPECT_EQ(drain(), "1-1@150000 ");
  clock_.advance(minutes(15));
  EXPECT_EQ(drain(), "2-2@0 ");
}

TEST_F(RunIntervalTest, ALargeSliceComesInPartsEachWithRostersOfItsOwn) {
  attach(/*max_count=*/3);
  clock_.advance(seconds(1));
  stage({queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "big", "a@x")), queue_.post("small"),
         queue_.post("big"), queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "big", "b@x")),
         queue_.post("big"), queue_.make(test_envelope(v1::EVENT_KIND_LEFT, "big", "a@x")),
         queue_.post("big"), queue_.post("late")});
  clock_.advance(minutes(15));
  const auto first = given();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(parts(header_of(*first)), "big:1F small:1FL ");
  EXPECT_EQ(header_of(*first).slices(0).present_at_start_size(), 0);
  EXPECT_EQ(header_of(*first).slices(0).present_at_end_size(), 1);
  ASSERT_TRUE(StagingFixture::acknowledge("xml", *first).ok());
  restart(/*max_count=*/3);
  const auto second = given();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(parts(header_of(*second)), "big:2 ");
  EXPECT_EQ(header_of(*second).slices(0).present_at_start(0).joined_sequence(), 1U);
  EXPECT_EQ(header_of(*second).slices(0).present_at_start(0).joined_unix_ns(), 1'000);
  EXPECT_EQ(header_of(*second).slices(0).present_at_end(0).party().address(), "b@x");
  acknowledge(*second);
  const auto third = given();
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(parts(header_of(*third)), "big:3L late:1FL ");
  acknowledge(*third);
  stage(queue_.posts(1, "big"));
  clock_.advance(minutes(15));
  EXPECT_EQ(parts(header_of(*given())), "big:1FL ");
}

// The batch with its end is in quarantine: that a slice is over is then told by the next interval.
TEST_F(RunIntervalTest, ASliceWhoseRestIsQuarantinedHasNoLastPart) {
  attach(/*max_count=*/3);
  stage(queue_.posts(6));
  clock_.advance(minutes(15));
  const auto first = given();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(parts(header_of(*first)), "room@x:1F ");
  acknowledge(*first);
  const auto rest = given();
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(parts(header_of(*rest)), "room@x:2L ");
  reject(*rest, {4, 5, 6});
  EXPECT_EQ(given(), nullptr);
  stage(queue_.posts(1));
  restart(/*max_count=*/3);
  clock_.advance(minutes(15));
  const auto next = given();
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(parts(header_of(*next)), "room@x:1FL ");
  EXPECT_GT(header_of(*next).interval_start_unix_ns(), header_of(*first).interval_start_unix_ns());
  acknowledge(*next);
  // What is released later belongs to no interval, and does not end the slice either.
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("xml");
  request.add_sequences(6);
  ASSERT_TRUE(staging_->release(request, {"peer", "user"}));
  const auto released = given();
  ASSERT_NE(released, nullptr);
  EXPECT_EQ(header_of(*released).interval_start_unix_ns(), 0);
  check_accounting();
}

// A release is due at once; the interval that is open meanwhile is not planned, nor cut.
TEST_F(RunIntervalTest, AReleaseDoesNotEndTheIntervalThatIsOpen) {
  attach(/*max_count=*/3);
  stage(queue_.posts(1));
  clock_.advance(minutes(15));
  const auto first = given();
  ASSERT_NE(first, nullptr);
  reject(*first, {1});
  ASSERT_EQ(given(), nullptr);
  stage(queue_.posts(5));
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("xml");
  request.set_all(true);
  ASSERT_TRUE(staging_->release(request, {"peer", "user"}));
  const auto released = given();
  ASSERT_NE(released, nullptr);
  EXPECT_EQ(header_of(*released).reason(), "released");
  acknowledge(*released);
  clock_.advance(minutes(5));
  stage(queue_.posts(5));
  EXPECT_EQ(drain(), "");
  clock_.advance(minutes(10));
  EXPECT_EQ(drain(), "2-4@15 5-7@15 8-10@15 11-11@15 ");
  check_accounting();
}

// An older instance does not understand what is released: that waits, and so does the rest.
TEST_F(RunIntervalTest, AReleaseThatIsTooNewDoesNotEndTheIntervalEither) {
  auto newer = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  newer.set_schema_revision(2);
  stage({queue_.make(newer)});
  BatchLimits limits;
  limits.schema_revision = 2;
  ASSERT_TRUE(staging_->seal("xml", limits));
  ASSERT_TRUE(staging_->replace("xml", 1, {{1, "bad"}}, "why"));
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("xml");
  request.set_all(true);
  ASSERT_TRUE(staging_->release(request, {"peer", "user"}));
  stage(queue_.posts(2));
  EXPECT_EQ(drain(), "");
  clock_.advance(minutes(15));
  EXPECT_EQ(drain(), "2-3@0 ");
  EXPECT_TRUE(staging_->pending("xml")->has_released);
  check_accounting();
}

TEST_F(RunIntervalTest, PartsOfARejectedBatchGoOnWithTheNumbersOfWhatWasApplied) {
  stage(queue_.posts(8));
  clock_.advance(minutes(15));
  const auto whole = given();
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(parts(header_of(*whole)), "room@x:1FL ");
  reject(*whole, {});
  const auto half = given();
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(header_of(*half).event_count(), 4U);
  EXPECT_EQ(parts(header_of(*half)), "room@x:1F ");
  acknowledge(*half);
  const auto rest = given();
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(parts(header_of(*rest)), "room@x:2L ");
  reject(*rest, {8});
  const auto without = given();
  ASSERT_NE(without, nullptr);
  EXPECT_EQ(header_of(*without).event_count(), 3U);
  EXPECT_EQ(parts(header_of(*without)), "room@x:2L ");
  EXPECT_EQ(header_of(*without).interval_start_unix_ns(), kStart);
  acknowledge(*without);
  EXPECT_EQ(drain(), "");
  check_accounting();
}

}  // namespace
}  // namespace verbatim::processor
