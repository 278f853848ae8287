#include <gtest/gtest.h>

#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::TestQueue;

class StagingRejectTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
  }
  bool replace(const LoadedBatch& batch, const std::vector<Rejected>& culprits) {
    const auto paused = staging_->replace("xml", batch.seal.batch, culprits, "why");
    EXPECT_TRUE(paused) << paused.error().to_string();
    return paused && *paused;
  }
  TestQueue queue_;
};

TEST_F(StagingRejectTest, ANamedCulpritGoesToQuarantineAndTheRestIsSealedAnew) {
  stage(queue_.posts(5));
  const auto first = seal("xml");
  replace(*first, {{3, "unreadable"}});
  open();  // the plan is durable
  const auto second = seal("xml");
  const auto header = header_of(*second);
  EXPECT_EQ(header.batch(), 2U);
  EXPECT_EQ(header.replaces(), 1U);
  EXPECT_EQ(header.reason(), "replacement");
  // The chain holds what was applied: nothing of batch 1 was.
  EXPECT_EQ(header.previous_digest(), std::string(32, '\0'));
  EXPECT_EQ(second->events.size(), 4U);
  auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).sources(0).quarantined(), 1U);
  EXPECT_EQ(accounting.adapters(0).quarantined(), 1U);
  ASSERT_TRUE(acknowledge("xml", *second).ok());
  accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).sources(0).archived(), 4U);
  EXPECT_EQ(accounting.queues(0).sources(0).quarantined(), 1U);
  EXPECT_EQ(stored_count(), 0U);
  // The copy outlives the deletion.
  const auto quarantined = staging_->quarantined("xml");
  ASSERT_TRUE(quarantined);
  ASSERT_EQ(quarantined->size(), 1U);
  EXPECT_EQ((*quarantined)[0].reason(), "unreadable");
  EXPECT_EQ((*quarantined)[0].kind(), v1::EVENT_KIND_MESSAGE_POSTED);
  open();
  check_accounting();
  // Later batches follow without a replaced number.
  stage(queue_.posts(1));
  EXPECT_EQ(header_of(*seal("xml")).replaces(), 0U);
}

TEST_F(StagingRejectTest, WithoutACulpritTheBatchIsHalvedUntilItIsFound) {
  stage(queue_.posts(8));
  uint64_t applied = 0;
  std::vector<uint64_t> order;
  std::string previous(32, '\0');
  for (int turn = 0; turn < 30 && staging_->pending("xml")->event_count > 0; ++turn) {
    const auto batch = seal("xml");
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(header_of(*batch).previous_digest(), previous);
    if (is_member(batch->seal.row, 6)) {
      replace(*batch, {});
    } else {
      for (const uint64_t one : members_of(batch->seal.row)) order.push_back(one);
      ASSERT_TRUE(acknowledge("xml", *batch).ok());
      applied += batch->events.size();
      previous = batch->seal.row.digest();
    }
    check_accounting();
    open();
  }
  EXPECT_EQ(applied, 7U);
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 2, 3, 4, 5, 7, 8}));
  EXPECT_EQ(staging_->quarantined("")->front().sequence(), 6U);
  EXPECT_EQ(stored_count(), 0U);
}

TEST_F(StagingRejectTest, ABatchOfCulpritsOnlyLeavesNothingToReplace) {
  stage(queue_.posts(2));
  replace(*seal("xml"), {{1, "a"}, {2, "b"}, {77, "not a member"}});
  EXPECT_EQ(staging_->pending("xml")->event_count, 0U);
  EXPECT_FALSE(staging_->pending("xml")->has_plan);
  ASSERT_TRUE(staging_->delete_archived().ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).quarantined(), 2U);
}

TEST_F(StagingRejectTest, ManyRejectsInARowPauseTheAdapterUntilItIsResumed) {
  options_.rejects_max_count = 3;
  open();
  stage(queue_.posts(4));
  EXPECT_FALSE(replace(*seal("xml", 1), {}));
  EXPECT_FALSE(replace(*seal("xml", 1), {}));
  EXPECT_TRUE(replace(*seal("xml", 1), {}));
  open();
  EXPECT_TRUE(staging_->pending("xml")->is_paused);
  v1::UpdateAdapterRequest request;
  request.set_adapter("xml");
  request.set_action(v1::UpdateAdapterRequest::ACTION_RESUME);
  ASSERT_TRUE(staging_->update_adapter(request, {"test", "user"}).ok());
  EXPECT_FALSE(staging_->pending("xml")->is_paused);
  check_accounting();
}

TEST_F(StagingRejectTest, AnEventThatOnlyAnOptionalAdapterRejectsIsArchivedByTheOthers) {
  configure({{"xml", true}, {"extra", false}});
  stage(queue_.posts(3));
  const auto batch = seal("extra");
  ASSERT_TRUE(staging_->replace("extra", 1, {{2, "no"}}, "why"));
  EXPECT_EQ(check_accounting().queues(0).sources(0).quarantined(), 1U);
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  const auto cut = check_accounting().queues(0).sources(0);
  EXPECT_EQ(cut.archived(), 3U);
  EXPECT_EQ(cut.quarantined(), 0U);
  open();
  check_accounting();
}

}  // namespace
}  // namespace verbatim::processor
