#include <gtest/gtest.h>

#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::TestQueue;

class StagingAdaptersTest : public StagingFixture {
 protected:
  static std::vector<v1::AdapterSettings> settings(const std::string& name, bool is_required) {
    v1::AdapterSettings one;
    one.set_name(name);
    one.set_required(is_required);
    return {one};
  }
  Status update(const std::string& name, v1::UpdateAdapterRequest::Action action) {
    v1::UpdateAdapterRequest request;
    request.set_adapter(name);
    request.set_action(action);
    RETURN_IF_ERROR(staging_->update_adapter(request, {"test", "user"}));
    return staging_->delete_archived();
  }
  TestQueue queue_;
};

// Nor does it keep the service from its start: `adapters require` comes before the configuration.
TEST_F(StagingAdaptersTest, AConfigurationDoesNotWeakenTheRequiredSetAndANoticeSaysSo) {
  configure({{"xml", true}, {"csv", true}});
  stage(queue_.posts(2));
  open();
  auto weaker = settings("xml", true);
  weaker.push_back(settings("csv", false).front());
  const auto notices = staging_->reconcile(weaker);
  ASSERT_TRUE(notices) << notices.error().to_string();
  ASSERT_EQ(notices->size(), 1U);
  EXPECT_NE(notices->front().find("verbatimctl adapters"), std::string::npos);
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(stored_count(), 2U) << "csv is still waited for";
}

TEST_F(StagingAdaptersTest, AnAdapterThatIsNoLongerConfiguredStaysRequired) {
  configure({{"xml", true}, {"csv", true}});
  stage(queue_.posts(2));
  open();
  const auto notices = staging_->reconcile(settings("xml", true));
  ASSERT_TRUE(notices);
  EXPECT_EQ(notices->size(), 1U);
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(stored_count(), 2U);
  ASSERT_TRUE(update("csv", v1::UpdateAdapterRequest::ACTION_REMOVE).ok());
  EXPECT_EQ(stored_count(), 0U);
  check_accounting();
}

TEST_F(StagingAdaptersTest, WithNoRequiredAdapterNothingIsDeletedAndANoticeSaysSo) {
  configure({{"extra", false}});
  stage(queue_.posts(2));
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  EXPECT_EQ(stored_count(), 2U);
  EXPECT_FALSE(staging_->notices().empty());
  const auto accounting = check_accounting();
  EXPECT_FALSE(accounting.has_required_adapter());
  EXPECT_EQ(accounting.unrouted_count(), 2);
}

TEST_F(StagingAdaptersTest, ANewAdapterBeginsWithTheOldestStagedEvent) {
  configure({{"xml", true}});
  stage(queue_.posts(2));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  stage(queue_.posts(2));
  configure({{"xml", true}, {"csv", true}});
  EXPECT_EQ(header_of(*seal("csv")).first_sequence(), 3U);
  check_accounting();
}

TEST_F(StagingAdaptersTest, MakingAnAdapterOptionalLetsDeletionPass) {
  configure({{"xml", true}, {"csv", true}});
  options_.optional_lag_max_bytes = 0;
  open();
  stage(queue_.posts(2));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  ASSERT_TRUE(update("csv", v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL).ok());
  EXPECT_EQ(stored_count(), 0U);
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.adapters(0).skipped(), 2U);
  EXPECT_EQ(staging_->counts().skipped.at(accounting.adapters(0).adapter()), 2U);
  EXPECT_EQ(accounting.queues(0).sources(0).archived(), 2U);
}

TEST_F(StagingAdaptersTest, AnOptionalAdapterIsWaitedForWithinItsLagAndOvertakenBeyondIt) {
  configure({{"xml", true}, {"extra", false}});
  stage(queue_.posts(2));
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(stored_count(), 2U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).archived(), 2U);
  options_.optional_lag_max_bytes = 1;
  open();
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(check_accounting().adapters(0).skipped(), 2U);
  stage(queue_.posts(1));
  EXPECT_EQ(header_of(*seal("extra")).first_sequence(), 3U);
}

TEST_F(StagingAdaptersTest, AnOvertakenBatchThatWasAppliedCountsAndTheChainGoesOnFromIt) {
  configure({{"xml", true}, {"extra", false}});
  stage(queue_.posts(3));
  const auto sent = seal("extra", 2);
  ASSERT_TRUE(acknowledge("xml", *seal("xml", 1)).ok());
  options_.optional_lag_max_bytes = 0;
  open();
  EXPECT_EQ(check_accounting().adapters(0).skipped(), 1U);
  ASSERT_TRUE(staging_->check_hello("extra", 1, sent->seal.row.digest()).ok());
  const auto account = check_accounting().adapters(0);
  EXPECT_EQ(account.skipped(), 0U);
  EXPECT_EQ(account.acknowledged(), 2U);
  const auto header = header_of(*seal("extra"));
  EXPECT_EQ(header.first_sequence(), 3U);
  EXPECT_EQ(header.previous_digest(), sent->seal.row.digest());
  EXPECT_EQ(header.replaces(), 0U);
}

// What is skipped of the batch the second time is not skipped either.
TEST_F(StagingAdaptersTest, ABatchThatIsOvertakenTwiceAndWasAppliedCountsOnce) {
  configure({{"xml", true}, {"extra", false}});
  stage(queue_.posts(7));
  const auto sent = seal("extra", 6);
  options_.optional_lag_max_bytes = 0;
  for (const uint64_t skipped : {2U, 4U}) {
    ASSERT_TRUE(acknowledge("xml", *seal("xml", 2)).ok());
    open();
    EXPECT_EQ(check_accounting().adapters(0).skipped(), skipped);
  }
  ASSERT_TRUE(staging_->check_hello("extra", 1, sent->seal.row.digest()).ok());
  for (int i = 0; i < 2; ++i) {
    const auto account = check_accounting().adapters(0);
    EXPECT_EQ(account.skipped(), 0U);
    EXPECT_EQ(account.acknowledged(), 6U);
    EXPECT_EQ(account.pending(), 1U);
    open();
  }
}

TEST_F(StagingAdaptersTest, AnAdapterThatIsAddedAgainIsGivenWhatTheEarlierOneHadRejected) {
  configure({{"xml", true}, {"csv", true}});
  stage(queue_.posts(4));
  const auto batch = seal("csv");
  ASSERT_TRUE(staging_->replace("csv", batch->seal.batch, {{2, "bad"}}, "why"));
  ASSERT_TRUE(update("csv", v1::UpdateAdapterRequest::ACTION_REMOVE).ok());
  EXPECT_EQ(staging_->quarantined("csv")->size(), 1U);
  EXPECT_EQ(check_accounting().queues(0).sources(0).quarantined(), 1U);
  configure({{"xml", true}, {"csv", true}});
  EXPECT_TRUE(staging_->quarantined("csv")->empty());
  EXPECT_EQ(check_accounting().queues(0).sources(0).staged(), 4U);
  open();
  check_accounting();
  const auto again = seal("csv");
  EXPECT_EQ(again->events.size(), 4U);
  ASSERT_TRUE(acknowledge("csv", *again).ok());
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(check_accounting().queues(0).sources(0).archived(), 4U);
  v1::ReleaseQuarantineRequest release;
  release.set_adapter("csv");
  release.set_all(true);
  EXPECT_EQ(staging_->release(release, {"test", "user"}).value(), 0U);
  open();
  check_accounting();
}

// It is given none of it, and what has only its name does not make it quarantined for good.
TEST_F(StagingAdaptersTest, AnAdapterThatIsAddedAgainAndStartsNowHasNoneOfTheEarlierQuarantine) {
  configure({{"xml", true}, {"csv", true}});
  stage(queue_.posts(4));
  const auto batch = seal("csv");
  ASSERT_TRUE(staging_->replace("csv", batch->seal.batch, {{2, "bad"}}, "why"));
  ASSERT_TRUE(update("csv", v1::UpdateAdapterRequest::ACTION_REMOVE).ok());
  auto both = settings("xml", true);
  both.push_back(settings("csv", true).front());
  both.back().set_start("now");
  ASSERT_TRUE(staging_->reconcile(both));
  check_accounting();
  open();
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  EXPECT_EQ(check_accounting().queues(0).sources(0).archived(), 4U);
  EXPECT_EQ(staging_->quarantined("csv")->size(), 1U) << "the earlier one's, as a record";
  open();
  EXPECT_EQ(check_accounting().queues(0).sources(0).quarantined(), 0U);
}

TEST_F(StagingAdaptersTest, UnknownAdaptersAndActionsAreRefused) {
  EXPECT_EQ(update("none", v1::UpdateAdapterRequest::ACTION_REMOVE).code(), StatusCode::kNotFound);
  configure({{"xml", true}});
  EXPECT_EQ(update("xml", v1::UpdateAdapterRequest::ACTION_UNSPECIFIED).code(),
            StatusCode::kInvalidArgument);
}

TEST_F(StagingAdaptersTest, ASecondOpeningOfTheStoreIsRefused) {
  EXPECT_FALSE(Staging::open(options_));
}

}  // namespace
}  // namespace verbatim::processor
