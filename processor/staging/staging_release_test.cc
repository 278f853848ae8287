#include <gtest/gtest.h>

#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::TestQueue;

class StagingReleaseTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}, {"csv", true}, {"extra", false}});
  }
  // Stages events and lets an adapter apply all but these.
  void apply_but(const std::string& adapter, const std::vector<uint64_t>& culprits) {
    std::vector<Rejected> rejected;
    for (const uint64_t one : culprits) rejected.push_back({one, "unreadable"});
    auto batch = seal(adapter);
    if (!culprits.empty()) {
      ASSERT_TRUE(staging_->replace(adapter, batch->seal.batch, rejected, "why"));
      batch = seal(adapter);
    }
    ASSERT_TRUE(acknowledge(adapter, *batch).ok());
  }
  Result<uint64_t> release(const std::string& adapter, const std::vector<uint64_t>& sequences) {
    v1::ReleaseQuarantineRequest request;
    request.set_adapter(adapter);
    for (const uint64_t one : sequences) request.add_sequences(one);
    request.set_all(sequences.empty());
    request.set_reason("a newer version reads it");
    return staging_->release(request, {"somebody", "user"});
  }
  // archived, quarantined, staged of the one source.
  std::vector<uint64_t> states() {
    const auto source = check_accounting().queues(0).sources(0);
    return {source.archived(), source.quarantined(), source.staged()};
  }
  // As a restart in the middle.
  void reopen() {
    open();
    check_accounting();
  }
  v1::StoredEvent only_event(const LoadedBatch& batch) {
    EXPECT_EQ(batch.events.size(), 1U);
    v1::StoredEvent stored;
    EXPECT_TRUE(stored.ParseFromString(batch.events.front()));
    return stored;
  }

  TestQueue queue_;
};

using Counts = std::vector<uint64_t>;

TEST_F(StagingReleaseTest, AReleasedEventComesInABatchOfItsOwnMarkedLate) {
  stage(queue_.posts(5));
  for (const char* adapter : {"csv", "extra"}) apply_but(adapter, {});
  apply_but("xml", {3});
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(states(), (Counts{4, 1, 0}));
  const auto acked = *staging_->last_acked("xml");
  EXPECT_FALSE(staging_->pending("xml")->has_released);
  EXPECT_EQ(*release("xml", {3}), 1U);
  EXPECT_EQ(*release("xml", {3}), 1U);  // once more changes nothing
  EXPECT_TRUE(staging_->quarantined("xml")->front().is_released());
  reopen();
  EXPECT_TRUE(staging_->pending("xml")->has_released);
  EXPECT_FALSE(staging_->pending("csv")->has_released);

  const auto batch = seal("xml");
  const auto header = header_of(*batch);
  EXPECT_EQ(header.reason(), "released");
  EXPECT_EQ(header.previous_digest(), acked.second);
  EXPECT_EQ(header.running_event_count(), 5U);
  EXPECT_EQ(header.first_sequence(), 3U);
  EXPECT_EQ(header.last_sequence(), 3U);
  EXPECT_EQ(header.slices_size(), 1);
  EXPECT_EQ(only_event(*batch).sequence(), 3U);
  EXPECT_TRUE(only_event(*batch).is_late());
  EXPECT_EQ(states(), (Counts{4, 1, 0}));
  reopen();
  const auto again = staging_->load_sealed("xml");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->events, batch->events);
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  EXPECT_EQ(states(), (Counts{5, 0, 0}));
  EXPECT_TRUE(staging_->quarantined("")->empty());
  reopen();
  EXPECT_EQ(states(), (Counts{5, 0, 0}));
  EXPECT_FALSE(staging_->pending("xml")->has_released);
  // The stream goes on behind it.
  stage(queue_.posts(2));
  EXPECT_EQ(header_of(*seal("xml")).previous_digest(), batch->seal.row.digest());
}

TEST_F(StagingReleaseTest, WhatIsRejectedAgainStaysInQuarantine) {
  stage(queue_.posts(3));
  apply_but("xml", {2});
  ASSERT_TRUE(release("xml", {2}));
  const auto batch = seal("xml");
  ASSERT_TRUE(staging_->replace("xml", batch->seal.batch, {{2, "still unreadable"}}, "why"));
  EXPECT_FALSE(staging_->pending("xml")->has_released);
  EXPECT_FALSE(staging_->pending("xml")->has_plan);
  const auto quarantined = *staging_->quarantined("xml");
  ASSERT_EQ(quarantined.size(), 1U);
  EXPECT_EQ(quarantined[0].reason(), "still unreadable");
  EXPECT_EQ(quarantined[0].batch(), batch->seal.batch);
  EXPECT_FALSE(quarantined[0].is_released());
  reopen();
  EXPECT_EQ(seal("xml"), nullptr);
  ASSERT_TRUE(release("xml", {2}));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_TRUE(staging_->quarantined("")->empty());
  check_accounting();
}

TEST_F(StagingReleaseTest, AnEventCountsAsQuarantinedWhileAnotherAdapterHasIt) {
  stage(queue_.posts(4));
  for (const char* adapter : {"extra", "xml", "csv"}) apply_but(adapter, {2});
  EXPECT_EQ(states(), (Counts{3, 1, 0}));
  ASSERT_TRUE(release("xml", {}));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(states(), (Counts{3, 1, 0}));
  ASSERT_TRUE(release("csv", {}));
  reopen();
  ASSERT_TRUE(acknowledge("csv", *seal("csv")).ok());
  EXPECT_EQ(states(), (Counts{3, 1, 0}));
  ASSERT_TRUE(release("extra", {}));
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  EXPECT_EQ(states(), (Counts{4, 0, 0}));
}

// The archive's front is still before it: it goes back to what is staged.
TEST_F(StagingReleaseTest, AReleaseBeforeTheFrontHasPassedMakesItStagedAgain) {
  stage(queue_.posts(4));
  apply_but("xml", {2});
  EXPECT_EQ(states(), (Counts{0, 1, 3}));
  ASSERT_TRUE(release("xml", {2}));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(states(), (Counts{0, 0, 4}));
  reopen();
  apply_but("csv", {});
  EXPECT_EQ(states(), (Counts{4, 0, 0}));
}

TEST_F(StagingReleaseTest, ManyAreGivenOneByOneInOrderBeforeNewEvents) {
  stage(queue_.posts(600));
  std::vector<uint64_t> culprits;
  for (uint64_t one = 1; one <= 300; ++one) culprits.push_back(2 * one);
  options_.rejects_max_count = 1'000;
  open();
  apply_but("xml", culprits);
  stage(queue_.posts(1));
  EXPECT_EQ(*release("xml", {}), 300U);
  for (const uint64_t expected : culprits) {
    const auto batch = seal("xml");
    EXPECT_EQ(only_event(*batch).sequence(), expected);
    ASSERT_TRUE(acknowledge("xml", *batch).ok());
  }
  EXPECT_EQ(only_event(*seal("xml")).sequence(), 601U);
  check_accounting();
}

TEST_F(StagingReleaseTest, WhatIsNotThereIsNotReleasedNorAnythingElse) {
  stage(queue_.posts(3));
  apply_but("xml", {2});
  EXPECT_EQ(release("xml", {2, 3}).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(release("csv", {2}).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(release("nobody", {2}).error().code(), StatusCode::kNotFound);
  v1::ReleaseQuarantineRequest neither;
  neither.set_adapter("xml");
  EXPECT_EQ(staging_->release(neither, {"", "user"}).error().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(staging_->pending("xml")->has_released);
  EXPECT_EQ(*release("csv", {}), 0U);
}

// Its rows stay when an adapter is removed; a later one of the same name never had these events.
TEST_F(StagingReleaseTest, WhatAnEarlierAdapterHadRejectedIsNotGivenToALaterOne) {
  stage(queue_.posts(3));
  for (const char* adapter : {"xml", "csv"}) apply_but(adapter, {});
  apply_but("extra", {2});
  ASSERT_TRUE(release("extra", {2}));
  v1::UpdateAdapterRequest remove;
  remove.set_adapter("extra");
  remove.set_action(v1::UpdateAdapterRequest::ACTION_REMOVE);
  ASSERT_TRUE(staging_->update_adapter(remove, {"", "user"}).ok());
  configure({{"xml", true}, {"csv", true}, {"extra", false}});
  EXPECT_EQ(release("extra", {2}).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(*release("extra", {}), 0U);
  reopen();
  EXPECT_FALSE(staging_->pending("extra")->has_released);
}

// An optional adapter that deletion overtakes keeps its release: the event has bytes of its own.
TEST_F(StagingReleaseTest, DeletionDoesNotReachAReleasedEvent) {
  options_.optional_lag_max_bytes = 1;
  open();
  stage(queue_.posts(3));
  apply_but("extra", {2});
  ASSERT_TRUE(release("extra", {2}));
  const auto batch = seal("extra");
  stage(queue_.posts(20));
  for (const char* adapter : {"xml", "csv"}) apply_but(adapter, {});
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_GT(check_accounting().adapters(1).skipped(), 0U);
  const auto again = staging_->load_sealed("extra");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ((*again)->events, batch->events);
  ASSERT_TRUE(acknowledge("extra", *batch).ok());
  check_accounting();
}

TEST_F(StagingReleaseTest, APausedAdapterStaysPausedUntilItIsResumed) {
  v1::UpdateAdapterRequest change;
  change.set_adapter("xml");
  change.set_action(v1::UpdateAdapterRequest::ACTION_PAUSE);
  ASSERT_TRUE(staging_->update_adapter(change, {"somebody", "user"}).ok());
  reopen();
  EXPECT_TRUE(staging_->pending("xml")->is_paused);
  EXPECT_FALSE(staging_->pending("csv")->is_paused);
  change.set_action(v1::UpdateAdapterRequest::ACTION_RESUME);
  ASSERT_TRUE(staging_->update_adapter(change, {"somebody", "user"}).ok());
  EXPECT_FALSE(staging_->pending("xml")->is_paused);
}

}  // namespace
}  // namespace verbatim::processor
