#include <gtest/gtest.h>

#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

class StagingBatchTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
  }
  TestQueue queue_;
};

TEST_F(StagingBatchTest, BatchesAreNumberedChainedAndCounted) {
  stage(queue_.posts(5));
  const auto first = seal("xml", 3);
  const auto header = header_of(*first);
  EXPECT_EQ(header.batch(), 1U);
  EXPECT_EQ(header.previous_digest(), std::string(32, '\0'));
  EXPECT_EQ(header.event_count(), 3U);
  EXPECT_EQ(header.running_event_count(), 3U);
  ASSERT_TRUE(acknowledge("xml", *first).ok());
  const auto second = seal("xml", 3);
  const auto next = header_of(*second);
  EXPECT_EQ(next.batch(), 2U);
  EXPECT_EQ(next.previous_digest(), first->seal.row.digest());
  EXPECT_EQ(next.running_event_count(), 5U);
  EXPECT_EQ(next.first_sequence(), 4U);
  EXPECT_EQ(next.last_sequence(), 5U);
  check_accounting();
}

TEST_F(StagingBatchTest, ARetryIsByteIdenticalAlsoAfterReopening) {
  stage(queue_.posts(5));
  const auto sealed = seal("xml", 3);
  // What comes and goes afterwards changes nothing sealed.
  stage({queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room@x"))});
  stage(queue_.posts(2));
  for (int i = 0; i < 2; ++i) {
    const auto again = staging_->load_sealed("xml");
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ((*again)->seal.row.header(), sealed->seal.row.header());
    EXPECT_EQ((*again)->seal.row.digest(), sealed->seal.row.digest());
    EXPECT_EQ((*again)->events, sealed->events);
    open();
  }
}

TEST_F(StagingBatchTest, OneBatchIsUnderWayAtATime) {
  stage(queue_.posts(5));
  seal("xml", 3);
  EXPECT_EQ(staging_->seal("xml", {}).error().code(), StatusCode::kFailedPrecondition);
}

TEST_F(StagingBatchTest, ABatchIsBoundedByBytesButTakesAtLeastOneEvent) {
  stage({queue_.post("room@x", std::string(1'000, 'a')), queue_.post("room@x", "b")});
  BatchLimits limits;
  limits.max_bytes = 100;
  const auto outcome = staging_->seal("xml", limits);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->batch->events.size(), 1U);
}

TEST_F(StagingBatchTest, AHeaderOfManyRostersIsBoundedByHalvingTheBatch) {
  configure({{"xml", true}, {"extra", false}});
  constexpr int kRooms = 8;
  for (int room = 0; room < kRooms; ++room) {
    for (int person = 0; person < 20; ++person) {
      stage({queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room" + std::to_string(room),
                                       std::to_string(person) + "@x"))});
    }
  }
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  for (int room = 0; room < kRooms; ++room) stage({queue_.post("room" + std::to_string(room))});

  BatchLimits limits;
  // Room for the rosters of three rooms, not of four: 8, 4, 2 and 6, 3.
  limits.header_max_bytes = seal("extra")->seal.row.header().size() * 2 / 5;
  uint64_t next = kRooms * 20 + 1;
  const auto seal_bounded = [&](uint64_t expected_count) {
    const auto outcome = staging_->seal("xml", limits);
    ASSERT_TRUE(outcome) << outcome.error().to_string();
    ASSERT_NE(outcome->batch, nullptr);
    const auto header = header_of(*outcome->batch);
    EXPECT_EQ(outcome->batch->events.size(), expected_count);
    EXPECT_EQ(header.event_count(), expected_count);
    EXPECT_EQ(header.first_sequence(), next);
    EXPECT_EQ(header.slices(0).present_at_start_size(), 20);
    next = header.last_sequence() + 1;
    ASSERT_TRUE(acknowledge("xml", *outcome->batch).ok());
  };
  seal_bounded(2);
  seal_bounded(3);
  limits.header_max_bytes = 1;  // a single event is sealed whatever its header's size
  for (int i = 0; i < 3; ++i) seal_bounded(1);
  EXPECT_EQ(staging_->pending("xml")->event_count, 0U);
  check_accounting();
}

TEST_F(StagingBatchTest, WrongAcknowledgementsAreRefused) {
  stage(queue_.posts(2));
  const auto batch = seal("xml");
  const std::string digest = batch->seal.row.digest();
  EXPECT_EQ(staging_->acknowledge("xml", 1, std::string(32, 'x')).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(staging_->acknowledge("xml", 2, digest).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(staging_->acknowledge("xml", 0, std::string(32, '\0')).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(staging_->acknowledge("other", 1, digest).code(), StatusCode::kNotFound);
  EXPECT_EQ(stored_count(), 2U);
  EXPECT_TRUE(staging_->acknowledge("xml", 1, digest).ok());
  EXPECT_TRUE(staging_->acknowledge("xml", 1, digest).ok());  // said again
  EXPECT_EQ(check_accounting().adapters(0).acknowledged(), 2U);
}

TEST_F(StagingBatchTest, NothingIsDeletedBeforeEveryRequiredAdapterHasAcknowledged) {
  configure({{"xml", true}, {"csv", true}});
  stage(queue_.posts(4));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(stored_count(), 4U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).staged(), 4U);
  open();
  ASSERT_TRUE(acknowledge("csv", *seal("csv", 3)).ok());
  EXPECT_EQ(stored_count(), 1U);
  const auto cut = check_accounting().queues(0).sources(0);
  EXPECT_EQ(cut.archived(), 3U);
  EXPECT_EQ(cut.staged(), 1U);
  ASSERT_TRUE(acknowledge("csv", *seal("csv", 3)).ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(staging_->staged_bytes(), 0U);
  check_accounting();
}

TEST_F(StagingBatchTest, ADeletionThatACrashHasCutOffIsFinishedAtTheNextOpening) {
  stage(queue_.posts(4));
  const auto batch = seal("xml");
  ASSERT_TRUE(staging_->acknowledge("xml", 1, batch->seal.row.digest()).ok());
  EXPECT_EQ(stored_count(), 4U);
  check_accounting();
  open();
  EXPECT_EQ(stored_count(), 0U);
  check_accounting();
}

TEST_F(StagingBatchTest, LargeBatchesAreDeletedAsRangesAndSmallOnesRowByRow) {
  stage(queue_.posts(1'000));
  for (const uint64_t count : {300U, 1U, 256U, 257U, 10'000U}) {
    ASSERT_TRUE(acknowledge("xml", *seal("xml", count)).ok());
    check_accounting();
  }
  EXPECT_EQ(stored_count(), 0U);
}

TEST_F(StagingBatchTest, SequencesAreNeverUsedAgain) {
  stage(queue_.posts(4));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  open();
  stage(queue_.posts(1));
  EXPECT_EQ(header_of(*seal("xml")).first_sequence(), 5U);
}

TEST_F(StagingBatchTest, RostersAreRightAcrossBatchesAndReopening) {
  stage({queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room@x", "a@x")),
         queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room@x", "b@x")),
         queue_.post("room@x")});
  const auto first = seal("xml");
  const auto slice = header_of(*first).slices(0);
  EXPECT_EQ(slice.present_at_start_size(), 0);
  EXPECT_EQ(slice.present_at_end_size(), 2);
  ASSERT_TRUE(acknowledge("xml", *first).ok());
  open();
  stage({queue_.make(test_envelope(v1::EVENT_KIND_LEFT, "room@x", "a@x")),
         queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room@x", "c@x"))});
  const auto second = seal("xml");
  const auto next = header_of(*second).slices(0);
  ASSERT_EQ(next.present_at_start_size(), 2);
  EXPECT_EQ(next.present_at_start(0).party().normalised(), "a@x");
  EXPECT_EQ(next.present_at_start(0).joined_unix_ns(), 1'000);
  EXPECT_EQ(next.present_at_start(1).party().normalised(), "b@x");
  ASSERT_EQ(next.present_at_end_size(), 2);
  EXPECT_EQ(next.present_at_end(1).party().normalised(), "c@x");
  ASSERT_TRUE(acknowledge("xml", *second).ok());
  open();
  stage({queue_.post("room@x")});
  EXPECT_EQ(header_of(*seal("xml")).slices(0).present_at_start_size(), 2);
}

TEST_F(StagingBatchTest, EachAdapterGetsTheRosterOfItsOwnPast) {
  configure({{"xml", true}, {"late", true}});
  stage({queue_.make(test_envelope(v1::EVENT_KIND_JOINED, "room@x", "a@x")), queue_.post("room@x"),
         queue_.make(test_envelope(v1::EVENT_KIND_LEFT, "room@x", "a@x")), queue_.post("room@x")});
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  ASSERT_TRUE(acknowledge("late", *seal("late", 1)).ok());
  open();
  const auto batch = seal("late", 1);
  EXPECT_EQ(header_of(*batch).slices(0).present_at_start_size(), 1);
}

TEST_F(StagingBatchTest, TheLatestNameOfAConversationIsKnownInLaterBatches) {
  auto named = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  named.set_conversation_name("The Room");
  stage({queue_.make(named)});
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  open();
  stage({queue_.post("room@x")});
  EXPECT_EQ(header_of(*seal("xml")).slices(0).name(), "The Room");
}

TEST_F(StagingBatchTest, ABatchWhoseBytesHaveChangedIsNotDelivered) {
  stage(queue_.posts(3));
  const auto batch = seal("xml");
  staging_.reset();
  {
    auto store = RocksStore::open(options_.path, nullptr);
    ASSERT_TRUE(store);
    WriteSet changes(**store);
    std::string bytes = batch->events[1];
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    changes.put(Family::kEvents, number_key(2), std::string_view(bytes));
    ASSERT_TRUE((*store)->write(changes, true).ok());
  }
  open();
  EXPECT_EQ(staging_->load_sealed("xml").error().code(), StatusCode::kDataLoss);
}

TEST_F(StagingBatchTest, AStoreOfANewerFormatIsRefusedInOneSentence) {
  staging_.reset();
  {
    auto store = RocksStore::open(options_.path, nullptr);
    ASSERT_TRUE(store);
    WriteSet changes(**store);
    changes.put(Family::kMeta, "format", std::string_view("\x06\0\0\0", 4));
    ASSERT_TRUE((*store)->write(changes, true).ok());
  }
  const auto refused = Staging::open(options_);
  EXPECT_EQ(refused.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("format 6"), std::string::npos);
}

TEST_F(StagingBatchTest, AStoreThatHasLostItsStateIsDamageAndNotANewStore) {
  stage(queue_.posts(1));
  staging_.reset();
  {
    auto store = RocksStore::open(options_.path, nullptr);
    ASSERT_TRUE(store);
    WriteSet changes(**store);
    changes.remove(Family::kMeta, "format");
    ASSERT_TRUE((*store)->write(changes, true).ok());
  }
  EXPECT_EQ(Staging::open(options_).error().code(), StatusCode::kDataLoss);
}

TEST_F(StagingBatchTest, AnEventNewerThanTheAdapterIsHeld) {
  auto newer = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  newer.set_schema_revision(2);
  stage({queue_.post("room@x"), queue_.make(newer), queue_.post("room@x")});
  const auto batch = seal("xml");
  EXPECT_EQ(batch->events.size(), 1U);
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  const auto outcome = staging_->seal("xml", {});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->batch, nullptr);
  EXPECT_TRUE(outcome->is_adapter_too_old);
  BatchLimits limits;
  limits.schema_revision = 2;
  const auto newer_adapter = staging_->seal("xml", limits);
  ASSERT_TRUE(newer_adapter);
  EXPECT_EQ(newer_adapter->batch->events.size(), 2U);
}

TEST_F(StagingBatchTest, AnAdapterThatAppliedWhatWasNeverSealedMayNotAttach) {
  stage(queue_.posts(1));
  const auto batch = seal("xml");
  EXPECT_TRUE(staging_->check_hello("xml", 0, "").ok());
  EXPECT_TRUE(staging_->check_hello("xml", 1, batch->seal.row.digest()).ok());
  EXPECT_EQ(staging_->check_hello("xml", 2, "").code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  EXPECT_EQ(staging_->check_hello("xml", 1, std::string(32, 'x')).code(),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace verbatim::processor
