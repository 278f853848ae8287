#include <gtest/gtest.h>

#include "processor/staging/event_filter.h"
#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

class StagingHoldsTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
  }
  Result<v1::HoldInfo> add(const v1::HoldFilter& filter, const std::string& reason = "case 1") {
    v1::AddHoldRequest request;
    *request.mutable_filter() = filter;
    request.set_reason(reason);
    return staging_->add_hold(request, {"peer", "user"});
  }
  uint64_t hold_room(const std::string& room) {
    v1::HoldFilter filter;
    filter.set_room(room);
    const auto info = add(filter);
    EXPECT_TRUE(info) << info.error().to_string();
    return info ? info->number() : 0;
  }
  int64_t release(uint64_t number) {
    v1::ReleaseHoldRequest request;
    request.set_number(number);
    request.set_reason("case closed");
    const auto released = staging_->release_hold(request, {"peer", "user"});
    EXPECT_TRUE(released) << released.error().to_string();
    return released ? released->deleted_count() : -1;
  }
  void archive_all() {
    while (const auto batch = seal("xml")) ASSERT_TRUE(acknowledge("xml", *batch).ok());
  }
  int64_t kept_count() {
    const auto holds = staging_->holds();
    EXPECT_TRUE(holds) << holds.error().to_string();
    return holds ? holds->kept_count() : -1;
  }
  TestQueue queue_;
};

TEST_F(StagingHoldsTest, WhatAHoldCoversIsKeptWhenDeletionPassesItAndDeliveryGoesOn) {
  hold_room("held@x");
  stage({queue_.post("held@x"), queue_.post("free@x"), queue_.post("held@x")});
  const auto batch = seal("xml");
  EXPECT_EQ(batch->events.size(), 3U) << "a hold stops no delivery";
  ASSERT_TRUE(acknowledge("xml", *batch).ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(staging_->staged_bytes(), 0U);
  EXPECT_EQ(kept_count(), 2);
  check_accounting();
  open();
  EXPECT_EQ(kept_count(), 2);
  check_accounting();
}

TEST_F(StagingHoldsTest, AnEventThatTwoHoldsCoverStaysUntilBothAreReleased) {
  const uint64_t first = hold_room("held@x");
  v1::HoldFilter person;
  person.set_person("a@x");
  const auto second = add(person);
  ASSERT_TRUE(second);
  stage({queue_.post("held@x")});
  archive_all();
  EXPECT_EQ(release(first), 0);
  EXPECT_EQ(kept_count(), 1);
  check_accounting();
  EXPECT_EQ(release(second->number()), 1);
  EXPECT_EQ(kept_count(), 0);
  EXPECT_FALSE(staging_->has_holds());
  check_accounting();
}

TEST_F(StagingHoldsTest, AHoldIsOnlyForWhatIsStillThereWhenItIsMade) {
  stage(queue_.posts(2, "held@x"));
  archive_all();
  hold_room("held@x");
  stage({queue_.post("held@x")});
  archive_all();
  EXPECT_EQ(kept_count(), 1);
}

TEST_F(StagingHoldsTest, AHoldNeedsAReasonAndSomethingToHold) {
  EXPECT_EQ(add({}).error().code(), StatusCode::kInvalidArgument);
  v1::HoldFilter all;
  all.set_all(true);
  EXPECT_EQ(add(all, "").error().code(), StatusCode::kInvalidArgument);
  all.set_room("room@x");
  EXPECT_EQ(add(all).error().code(), StatusCode::kInvalidArgument) << "all, or a room";
  v1::HoldFilter time;
  time.set_from_unix_ns(20);
  time.set_to_unix_ns(10);
  EXPECT_EQ(add(time).error().code(), StatusCode::kInvalidArgument);
  v1::ReleaseHoldRequest request;
  request.set_number(7);
  request.set_reason("no such hold");
  EXPECT_EQ(staging_->release_hold(request, {}).error().code(), StatusCode::kNotFound);
}

// A hold that covers nothing because of a capital would be found out too late.
TEST_F(StagingHoldsTest, AHoldTakesAddressesAsPeopleWriteThem) {
  hold_room("Held@X/Nick");
  v1::HoldFilter person;
  person.set_person("Alice@X/Phone");
  const auto info = add(person);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->filter().person(), "alice@x/Phone");
  v1::Envelope said = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "free@x", "alice@x");
  EXPECT_TRUE(covers(info->filter(), said));
  said.mutable_actor()->set_normalised("alice@x/Phone");
  EXPECT_TRUE(covers(info->filter(), said)) << "an occupant whose address is hidden";
  said.mutable_actor()->set_normalised("alice@x/Other");
  EXPECT_FALSE(covers(info->filter(), said));
  stage({queue_.post("held@x"), queue_.post("free@x")});
  archive_all();
  EXPECT_EQ(kept_count(), 1);
  EXPECT_EQ(typed_room("Source-1"), "Source-1") << "no address, but the name of a source";
  EXPECT_EQ(typed_room("A@x B@x"), "a@x b@x") << "the two of a direct conversation";
  EXPECT_EQ(typed_room("B@x/phone A@x/Desk"), "a@x b@x") << "in whatever order";
  EXPECT_EQ(typed_room("MA-CHAN://Example.com/4F-A"), "ma-chan://example.com/4f-a")
      << "a room whose address is a URI";
  EXPECT_EQ(typed_room("x://A@b/C"), "x://a@b/c");
}

TEST_F(StagingHoldsTest, TheLastCopyThatLeavesQuarantineIsKeptForAHold) {
  stage(queue_.posts(3, "held@x"));
  const auto batch = seal("xml");
  ASSERT_TRUE(staging_->replace("xml", batch->seal.batch, {{2, "no"}}, "no"));
  archive_all();
  hold_room("held@x");  // deletion has passed all three; one is left, in quarantine
  v1::ReleaseQuarantineRequest again;
  again.set_adapter("xml");
  again.set_all(true);
  again.set_reason("mended");
  ASSERT_TRUE(staging_->release(again, {"peer", "user"}));
  archive_all();
  EXPECT_EQ(kept_count(), 1);
  check_accounting();
}

TEST_F(StagingHoldsTest, ARangeTooLargeForOneWriteIsKeptInPieces) {
  hold_room("held@x");
  const std::string large(6 << 20, 'x');
  for (int i = 0; i < 5; ++i) stage({queue_.post("held@x", large), queue_.post("free@x")});
  BatchLimits limits;
  const auto outcome = staging_->seal("xml", limits);
  ASSERT_TRUE(outcome);
  ASSERT_TRUE(acknowledge("xml", *outcome->batch).ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(kept_count(), 5);
  check_accounting();
}

TEST_F(StagingHoldsTest, MoreCopiesThanOneTurnTakesAreAllReleased) {
  const uint64_t hold = hold_room("held@x");
  const uint64_t other = hold_room("other@x");
  for (int i = 0; i < 3; ++i) stage(queue_.posts(1'000, "held@x"));
  stage({queue_.post("other@x")});
  archive_all();
  EXPECT_EQ(kept_count(), 3'001);
  EXPECT_EQ(release(hold), 3'000);
  EXPECT_EQ(kept_count(), 1);
  EXPECT_EQ(release(other), 1);
  check_accounting();
}

TEST_F(StagingHoldsTest, WhetherThisStoreHasSetAQueuesFlagSurvivesReopening) {
  EXPECT_FALSE(staging_->has_set_queue_hold("events"));
  ASSERT_TRUE(staging_->note_queue_hold("events", true).ok());
  open();
  EXPECT_TRUE(staging_->has_set_queue_hold("events"));
  stage({queue_.post("room@x")});
  EXPECT_TRUE(staging_->has_set_queue_hold("events"));
  check_accounting();
}

TEST(EventFilter, ATimeRangeTakesTheSourcesTimeOrTheAcceptTime) {
  v1::Envelope envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  envelope.set_source_time_unix_ns(100);  // a clock that is wrong
  envelope.set_accept_time_unix_ns(5'000);
  v1::HoldFilter filter;
  filter.set_from_unix_ns(4'000);
  filter.set_to_unix_ns(6'000);
  EXPECT_TRUE(covers(filter, envelope));
  filter.set_from_unix_ns(50);
  filter.set_to_unix_ns(101);
  EXPECT_TRUE(covers(filter, envelope));
  filter.set_to_unix_ns(100);
  EXPECT_FALSE(covers(filter, envelope)) << "the end is not in it";
  filter.clear_to_unix_ns();
  EXPECT_TRUE(covers(filter, envelope)) << "an open end";
}

TEST(EventFilter, APersonIsHeldAsActorAndAsOneOfTheOthers) {
  v1::Envelope envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x", "a@x");
  envelope.add_addresses("a@x");
  envelope.add_addresses("b@x");
  v1::HoldFilter filter;
  for (const char* person : {"a@x", "b@x"}) {
    filter.set_person(person);
    EXPECT_TRUE(covers(filter, envelope)) << person;
  }
  filter.set_person("c@x");
  EXPECT_FALSE(covers(filter, envelope));
  filter.set_person("b@x");
  filter.set_room("another@x");
  EXPECT_FALSE(covers(filter, envelope)) << "all that is given must hold";
}

}  // namespace
}  // namespace verbatim::processor
