#include <gtest/gtest.h>

#include <thread>

#include "base/fault_point.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::TestQueue;

class StagingReplayTest : public StagingFixture {
 protected:
  // Deletion waits for "csv", which takes nothing: what "xml" has had is still there.
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}, {"csv", true}});
  }
  void take_all(const std::string& adapter, uint64_t max_count = 10'000) {
    while (const auto batch = seal(adapter, max_count)) {
      ASSERT_TRUE(acknowledge(adapter, *batch).ok());
    }
  }
  Result<v1::ReplayAdapterResponse> replay(uint64_t from, bool only_look = false) {
    v1::ReplayAdapterRequest request;
    request.set_adapter("xml");
    request.set_from_sequence(from);
    request.set_reason("ticket 1");
    request.set_only_look(only_look);
    return staging_->replay(request, {"peer", "user"});
  }
  std::shared_ptr<const LoadedBatch> seal_replay(uint64_t max_count = 10'000) {
    BatchLimits limits;
    limits.events_max_count = max_count;
    limits.is_replay = true;
    const auto outcome = staging_->seal("xml", limits);
    EXPECT_TRUE(outcome) << outcome.error().to_string();
    return outcome ? outcome->batch : nullptr;
  }
  // Sequences given by a replay until it is done.
  std::vector<uint64_t> take_replay(uint64_t max_count = 10'000) {
    std::vector<uint64_t> given;
    while (has_replay()) {
      const auto batch = seal_replay(max_count);
      if (batch == nullptr) continue;  // a part of which nothing is left
      for (const uint64_t one : members_of(batch->seal.row)) given.push_back(one);
      EXPECT_TRUE(acknowledge("xml", *batch).ok());
    }
    return given;
  }
  bool has_replay() { return staging_->pending("xml")->has_replay; }
  std::string last_audit_detail() {
    const auto listed = staging_->audit({});
    EXPECT_TRUE(listed) << listed.error().to_string();
    return listed && !listed->entries().empty() ? listed->entries().rbegin()->detail() : "";
  }
  using Sequences = std::vector<uint64_t>;
  TestQueue queue_;
};

TEST_F(StagingReplayTest, WhatIsStillThereComesAgainInTheChainAndOutsideOfTheAccount) {
  stage(queue_.posts(6));
  take_all("xml", 3);
  const auto before = check_accounting();
  const auto reach = replay(2);
  ASSERT_TRUE(reach) << reach.error().to_string();
  EXPECT_EQ(reach->event_count(), 5);
  EXPECT_EQ(reach->replay_of(), 2U);
  const auto first = seal_replay(3);
  const auto header = header_of(*first);
  EXPECT_EQ(header.batch(), 3U);
  EXPECT_EQ(header.replay_of(), 2U);
  EXPECT_EQ(header.reason(), "replay");
  EXPECT_EQ(header.running_event_count(), 9U) << "the running count goes over all batches";
  ASSERT_TRUE(acknowledge("xml", *first).ok());
  const auto second = seal_replay(3);
  EXPECT_EQ(header_of(*second).previous_digest(), first->seal.row.digest());
  EXPECT_EQ(members_of(second->seal.row), (Sequences{5, 6}));
  ASSERT_TRUE(acknowledge("xml", *second).ok());
  EXPECT_FALSE(has_replay());
  stage(queue_.posts(1));
  const auto next = seal("xml");
  EXPECT_EQ(header_of(*next).replay_of(), 0U);
  EXPECT_EQ(header_of(*next).running_event_count(), 12U);
  const auto after = check_accounting();
  for (int i = 0; i < after.adapters_size(); ++i) {
    EXPECT_EQ(after.adapters(i).acknowledged(), before.adapters(i).acknowledged());
  }
}

TEST_F(StagingReplayTest, NewEventsGoOnBesideAReplay) {
  stage(queue_.posts(4));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  ASSERT_TRUE(acknowledge("xml", *seal_replay(2)).ok());
  stage(queue_.posts(1));
  const auto fresh = seal("xml");
  EXPECT_EQ(members_of(fresh->seal.row), (Sequences{5}));
  ASSERT_TRUE(acknowledge("xml", *fresh).ok());
  EXPECT_EQ(take_replay(), (Sequences{3, 4}));
  check_accounting();
}

TEST_F(StagingReplayTest, DeletionWaitsForAReplayAndGoesOnWithIt) {
  stage(queue_.posts(4));
  take_all("xml");
  ASSERT_TRUE(replay(2));
  take_all("csv");
  EXPECT_EQ(stored_count(), 3U);
  EXPECT_EQ(take_replay(1), (Sequences{2, 3, 4}));
  EXPECT_EQ(stored_count(), 0U);
  check_accounting();
}

TEST_F(StagingReplayTest, CopiesKeptForHoldsAreReachedToo) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  const auto held = staging_->add_hold(hold, {});
  ASSERT_TRUE(held);
  stage({queue_.post("held@x"), queue_.post("free@x"), queue_.post("held@x")});
  take_all("xml");
  take_all("csv");
  stage(queue_.posts(2));
  take_all("xml");
  const auto reach = replay(1, /*only_look=*/true);
  ASSERT_TRUE(reach);
  EXPECT_EQ(reach->event_count(), 4);
  EXPECT_EQ(reach->kept_count(), 2);
  EXPECT_EQ(reach->whole_from_sequence(), 4U);
  EXPECT_FALSE(has_replay()) << "it only looked";
  ASSERT_TRUE(replay(1));
  const auto batch = seal_replay(1);
  // Its hold is released while it is under way: the bytes must stay.
  v1::ReleaseHoldRequest release;
  release.set_number(held->number());
  release.set_reason("closed");
  ASSERT_TRUE(staging_->release_hold(release, {}));
  const auto again = staging_->load_sealed("xml");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ((*again)->events, batch->events);
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  EXPECT_FALSE(staging_->has_holds());
  EXPECT_TRUE(staging_->holds()->holds().empty()) << "nothing is left of it";
  EXPECT_EQ(take_replay(), (Sequences{4, 5})) << "the other copy went with its hold";
  check_accounting();
}

#if defined(VERBATIM_FAULT_POINTS)
// A batch without its bytes would be damage, which stops the adapter for good.
TEST_F(StagingReplayTest, CopiesThatGoWhileABatchIsMadeAreNotSealed) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  const auto held = staging_->add_hold(hold, {});
  ASSERT_TRUE(held);
  stage({queue_.post("held@x"), queue_.post("held@x")});
  take_all("xml");
  take_all("csv");
  stage(queue_.posts(2));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  v1::ReleaseHoldRequest release;
  release.set_number(held->number());
  release.set_reason("closed");
  bool is_released = false;
  set_fault_point_hook([&](const std::string& point) {
    if (point != "processor.bodies_read_before_seal" || is_released) return;
    is_released = true;
    // Another caller, as in the service.
    std::thread([&] { EXPECT_TRUE(staging_->release_hold(release, {})); }).join();
  });
  BatchLimits limits;
  limits.is_replay = true;
  const auto outcome = staging_->seal("xml", limits);
  set_fault_point_hook(nullptr);
  EXPECT_TRUE(is_released);
  EXPECT_EQ(outcome.error().code(), StatusCode::kAborted) << outcome.error().to_string();
  open();
  const auto batch = seal_replay();
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(members_of(batch->seal.row), (Sequences{3, 4})) << "it is drafted anew";
  const auto again = staging_->load_sealed("xml");
  ASSERT_TRUE(again) << again.error().to_string();
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  check_accounting();
}
#endif

// A copy that waits for the next batch must not be passed by an event that fits into this one.
TEST_F(StagingReplayTest, NothingOvertakesACopyThatDoesNotFit) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  stage({queue_.post("held@x"), queue_.post("held@x", std::string(5'000, 'x')),
         queue_.post("held@x")});
  take_all("xml");
  take_all("csv");
  stage(queue_.posts(2));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  BatchLimits small;
  small.is_replay = true;
  small.max_bytes = 2'000;
  std::vector<uint64_t> given;
  while (has_replay()) {
    const auto outcome = staging_->seal("xml", small);
    ASSERT_TRUE(outcome && outcome->batch);
    for (const uint64_t one : members_of(outcome->batch->seal.row)) given.push_back(one);
    ASSERT_TRUE(acknowledge("xml", *outcome->batch).ok());
  }
  EXPECT_EQ(given, (Sequences{1, 2, 3, 4, 5}));
  EXPECT_EQ(last_audit_detail(), "events given: 5 of at most 5");
  check_accounting();
}

TEST_F(StagingReplayTest, NothingOvertakesACopyThatTheAdapterIsTooOldFor) {
  BatchLimits newest;
  newest.schema_revision = v1::SCHEMA_REVISION_CURRENT + 1;
  const auto take = [&](const std::string& adapter) {
    const auto outcome = staging_->seal(adapter, newest);
    ASSERT_TRUE(outcome && outcome->batch);
    ASSERT_TRUE(acknowledge(adapter, *outcome->batch).ok());
  };
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  auto envelope = testing::test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "held@x");
  envelope.set_schema_revision(newest.schema_revision);
  stage({queue_.post("held@x"), queue_.make(envelope)});
  take("xml");
  take("csv");
  stage(queue_.posts(1));
  take("xml");
  ASSERT_TRUE(replay(1));
  const auto first = seal_replay();
  EXPECT_EQ(members_of(first->seal.row), (Sequences{1}));
  ASSERT_TRUE(acknowledge("xml", *first).ok());
  newest.is_replay = true;
  const auto second = staging_->seal("xml", newest);
  ASSERT_TRUE(second && second->batch);
  EXPECT_EQ(members_of(second->batch->seal.row), (Sequences{2, 3}));
}

TEST_F(StagingReplayTest, ASealedReplayIsTheSameAfterReopening) {
  stage(queue_.posts(3));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  const auto batch = seal_replay(2);
  open();
  const auto again = staging_->load_sealed("xml");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ((*again)->seal.row.header(), batch->seal.row.header());
  EXPECT_EQ((*again)->events, batch->events);
  ASSERT_TRUE(acknowledge("xml", **again).ok());
  open();
  EXPECT_EQ(take_replay(), (Sequences{3}));
  check_accounting();
}

TEST_F(StagingReplayTest, WhatIsRejectedOfAReplayIsLeftOutAndNothingIsQuarantined) {
  stage(queue_.posts(4));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  const auto batch = seal_replay();
  ASSERT_TRUE(staging_->replace("xml", batch->seal.batch, {{2, "no"}}, "no"));
  const auto part = seal_replay(2);
  EXPECT_EQ(header_of(*part).replaces(), batch->seal.batch);
  EXPECT_EQ(members_of(part->seal.row), (Sequences{1, 3}));
  // Nobody knows the culprit: by halves.
  ASSERT_TRUE(staging_->replace("xml", part->seal.batch, {}, "who knows"));
  EXPECT_EQ(take_replay(), (Sequences{1, 3, 4}));
  EXPECT_TRUE(staging_->quarantined("xml")->empty());
  EXPECT_FALSE(has_replay());
  check_accounting();
}

TEST_F(StagingReplayTest, ThereIsOneReplayAtATimeAndItCanBeEnded) {
  EXPECT_EQ(replay(1).error().code(), StatusCode::kFailedPrecondition) << "it has had nothing";
  stage(queue_.posts(3));
  take_all("xml");
  EXPECT_EQ(replay(9).error().code(), StatusCode::kNotFound);
  ASSERT_TRUE(replay(1));
  EXPECT_EQ(replay(1).error().code(), StatusCode::kFailedPrecondition);
  const auto batch = seal_replay(1);
  v1::ReplayAdapterRequest end;
  end.set_adapter("xml");
  end.set_reason("enough");
  end.set_end(true);
  ASSERT_TRUE(staging_->replay(end, {}));
  ASSERT_TRUE(acknowledge("xml", *batch).ok()) << "what was sealed is still delivered";
  EXPECT_EQ(seal_replay(), nullptr);
  EXPECT_FALSE(has_replay());
  check_accounting();
}

TEST_F(StagingReplayTest, DeletionWaitsForWhatIsSealedOfAnEndedReplay) {
  stage(queue_.posts(3));
  take_all("xml");
  ASSERT_TRUE(replay(1));
  const auto batch = seal_replay();
  v1::ReplayAdapterRequest end;
  end.set_adapter("xml");
  end.set_reason("enough");
  end.set_end(true);
  ASSERT_TRUE(staging_->replay(end, {}));
  take_all("csv");  // nothing else stops deletion now
  EXPECT_EQ(stored_count(), 3U);
  open();
  const auto again = staging_->load_sealed("xml");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ((*again)->events, batch->events);
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  EXPECT_EQ(stored_count(), 0U);
  check_accounting();
}

TEST_F(StagingReplayTest, AReplayBeginsAtATime) {
  stage(queue_.posts(2));
  clock_.advance(std::chrono::seconds(10));
  const int64_t later = clock_.unix_now_ns();
  stage(queue_.posts(2));
  take_all("xml");
  v1::ReplayAdapterRequest request;
  request.set_adapter("xml");
  request.set_reason("ticket 1");
  request.set_from_unix_ns(later);
  const auto reach = staging_->replay(request, {});
  ASSERT_TRUE(reach) << reach.error().to_string();
  EXPECT_EQ(reach->first_sequence(), 3U);
  EXPECT_EQ(take_replay(), (Sequences{3, 4}));
}

}  // namespace
}  // namespace verbatim::processor
