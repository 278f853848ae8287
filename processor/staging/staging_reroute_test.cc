// What no required adapter took is given to one that takes it after all.
#include <gtest/gtest.h>

#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::TestQueue;
using Sequences = std::vector<uint64_t>;

v1::AdapterSettings adapter(const std::string& name, bool is_required,
                            const std::vector<std::string>& rooms = {}) {
  v1::AdapterSettings settings;
  settings.set_name(name);
  settings.set_required(is_required);
  for (const auto& room : rooms) settings.mutable_filter()->add_conversations(room);
  return settings;
}

class StagingRerouteTest : public StagingFixture {
 protected:
  // Six events, of which 1, 3 and 5 are unrouted and deleted.
  void SetUp() override {
    StagingFixture::SetUp();
    reconcile({adapter("some", true, {"b"})});
    stage_rooms("ababab");
    ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
    ASSERT_EQ(unrouted(), 3U);
    ASSERT_EQ(staging_->staged_bytes(), 0U);
  }
  void reconcile(const std::vector<v1::AdapterSettings>& settings) {
    const auto sentences = staging_->reconcile(settings);
    ASSERT_TRUE(sentences) << sentences.error().to_string();
  }
  void update(const std::string& name, v1::UpdateAdapterRequest::Action action) {
    v1::UpdateAdapterRequest request;
    request.set_adapter(name);
    request.set_action(action);
    ASSERT_TRUE(staging_->update_adapter(request, {"peer", "user"}).ok());
  }
  void stage_rooms(const std::string& rooms) {
    std::vector<v1::QueueMessage> messages;
    for (const char room : rooms) messages.push_back(queue_.post(std::string(1, room)));
    stage(std::move(messages));
  }
  uint64_t unrouted() { return staging_->counts().unrouted_count; }
  bool has_owed(const std::string& name) { return staging_->pending(name)->has_owed; }
  static Sequences members(const LoadedBatch& batch) { return members_of(batch.seal.row); }
  static size_t late_count(const LoadedBatch& batch) {
    size_t count = 0;
    for (const std::string& bytes : batch.events) {
      v1::StoredEvent stored;
      EXPECT_TRUE(stored.ParseFromString(bytes));
      count += stored.is_late() ? 1U : 0U;
    }
    return count;
  }
  void expect_states(uint64_t archived, uint64_t quarantined, uint64_t staged) {
    const auto cut = check_accounting();
    const auto& source = cut.queues(0).sources(0);
    EXPECT_EQ(source.archived(), archived);
    EXPECT_EQ(source.quarantined(), quarantined);
    EXPECT_EQ(source.staged(), staged);
  }
  TestQueue queue_;
};

TEST_F(StagingRerouteTest, ANewAdapterIsGivenThemInOrderBeforeAllOthersAndThenTheyGo) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  stage_rooms("ab");
  EXPECT_TRUE(has_owed("rest"));
  expect_states(3, 0, 5);
  const auto first = seal("rest", 2);
  EXPECT_EQ(members(*first), (Sequences{1, 3}));
  EXPECT_EQ(header_of(*first).reason(), "rerouted");
  EXPECT_EQ(late_count(*first), 0U) << "it has had nothing newer";
  open();
  const auto again = staging_->load_sealed("rest");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->events, first->events);
  ASSERT_TRUE(acknowledge("rest", *first).ok());
  expect_states(5, 0, 3);
  const auto second = seal("rest");
  EXPECT_EQ(members(*second), (Sequences{5}));
  EXPECT_EQ(late_count(*second), 0U);
  ASSERT_TRUE(acknowledge("rest", *second).ok());
  EXPECT_EQ(unrouted(), 0U);
  EXPECT_FALSE(has_owed("rest"));
  const auto third = seal("rest");
  EXPECT_EQ(members(*third), (Sequences{7}));
  ASSERT_TRUE(acknowledge("rest", *third).ok());
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  expect_states(8, 0, 0);
}

TEST_F(StagingRerouteTest, AWiderFilterGivesThemLateForNewerOnesAreArchived) {
  reconcile({adapter("some", true, {"a", "b"})});
  EXPECT_EQ(check_accounting().adapters(0).filtered(), 0U);
  const auto batch = seal("some");
  EXPECT_EQ(members(*batch), (Sequences{1, 3, 5}));
  EXPECT_EQ(late_count(*batch), 3U);
  open();
  EXPECT_EQ((*staging_->load_sealed("some"))->events, batch->events);
  ASSERT_TRUE(acknowledge("some", *batch).ok());
  expect_states(6, 0, 0);
  stage_rooms("a");
  EXPECT_EQ(members(*seal("some")), (Sequences{7}));
}

TEST_F(StagingRerouteTest, AFilterThatIsNarrowedAgainTakesBackWhatWasNotGiven) {
  reconcile({adapter("some", true, {"a", "b"})});
  ASSERT_TRUE(has_owed("some"));
  reconcile({adapter("some", true, {"b"})});
  EXPECT_FALSE(has_owed("some"));
  expect_states(3, 0, 3);
  reconcile({adapter("some", true, {"a", "b"})});
  const auto batch = seal("some", 2);
  reconcile({adapter("some", true, {"b"})});
  ASSERT_TRUE(acknowledge("some", *batch).ok());
  expect_states(5, 0, 1);
  reconcile({adapter("some", true)});
  EXPECT_EQ(members(*seal("some")), (Sequences{5})) << "none twice";
}

TEST_F(StagingRerouteTest, AnAdapterThatStartsNowOrIsOptionalIsOwedNothing) {
  clock_.advance(std::chrono::seconds(1));
  auto now = adapter("now", true, {"a"});
  now.set_start("now");
  reconcile({adapter("some", true, {"b"}), now, adapter("extra", false)});
  EXPECT_FALSE(has_owed("now"));
  EXPECT_FALSE(has_owed("extra"));
  now.mutable_filter()->add_conversations("x");
  reconcile({adapter("some", true, {"b"}), now, adapter("extra", false)});
  EXPECT_FALSE(has_owed("now"));
  EXPECT_EQ(unrouted(), 3U);
}

TEST_F(StagingRerouteTest, OwedToTwoItIsArchivedOnceBothHaveAnswered) {
  reconcile({adapter("some", true, {"b"}), adapter("one", true, {"a"}), adapter("two", true)});
  ASSERT_TRUE(acknowledge("one", *seal("one")).ok());
  expect_states(3, 0, 3);
  // One of them rejects an event: it is quarantined for good, whatever the other says.
  const auto batch = seal("two");
  ASSERT_EQ(members(*batch), (Sequences{1, 3, 5}));
  ASSERT_TRUE(staging_->replace("two", batch->seal.batch, {{3, "bad"}}, "bad"));
  expect_states(3, 1, 2);
  const auto rest = seal("two");
  EXPECT_EQ(members(*rest), (Sequences{1, 5}));
  EXPECT_EQ(header_of(*rest).replaces(), batch->seal.batch);
  open();
  ASSERT_TRUE(acknowledge("two", **staging_->load_sealed("two")).ok());
  EXPECT_EQ(unrouted(), 0U);
  expect_states(5, 1, 0);
}

TEST_F(StagingRerouteTest, WhatIsPoisonIsFoundByHalvesAndCanBeReleased) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  const auto reject = [this](const LoadedBatch& batch) {
    ASSERT_TRUE(staging_->replace("rest", batch.seal.batch, {}, "bad"));
    check_accounting();
  };
  reject(*seal("rest"));
  const auto half = seal("rest");
  EXPECT_EQ(members(*half), (Sequences{1}));
  EXPECT_EQ(header_of(*half).replaces(), 1U);
  reject(*half);
  const auto other = seal("rest");
  EXPECT_EQ(members(*other), (Sequences{3, 5}));
  EXPECT_EQ(header_of(*other).replaces(), 1U);
  ASSERT_TRUE(acknowledge("rest", *other).ok());
  expect_states(5, 1, 0);
  open();
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("rest");
  request.set_all(true);
  request.set_reason("mended");
  ASSERT_EQ(staging_->release(request, {"peer", "user"}).value(), 1U);
  open();
  const auto released = seal("rest");
  EXPECT_EQ(members(*released), (Sequences{1}));
  ASSERT_TRUE(acknowledge("rest", *released).ok());
  expect_states(6, 0, 0);
}

TEST_F(StagingRerouteTest, AHoldKeepsACopyWhenTheyGo) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("a");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  reconcile({adapter("some", true, {"a", "b"})});
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  EXPECT_EQ(staging_->counts().kept_count, 3U);
  expect_states(6, 0, 0);
}

TEST_F(StagingRerouteTest, ARemovedAdapterLeavesThemUnrouted) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  ASSERT_TRUE(acknowledge("rest", *seal("rest", 1)).ok());
  ASSERT_NE(seal("rest", 1), nullptr);
  v1::UpdateAdapterRequest remove;
  remove.set_adapter("rest");
  remove.set_action(v1::UpdateAdapterRequest::ACTION_REMOVE);
  ASSERT_TRUE(staging_->update_adapter(remove, {"peer", "user"}).ok());
  expect_states(4, 0, 2);
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  EXPECT_EQ(members(*seal("rest")), (Sequences{3, 5}));
}

TEST_F(StagingRerouteTest, AnOptionalAdapterThatBecomesRequiredIsNotGivenThemTwice) {
  reconcile({adapter("some", true, {"b"}), adapter("extra", false)});
  stage_rooms("ab");
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  ASSERT_EQ(unrouted(), 4U);
  v1::UpdateAdapterRequest require;
  require.set_adapter("extra");
  require.set_action(v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED);
  ASSERT_TRUE(staging_->update_adapter(require, {"peer", "user"}).ok());
  // The seventh it has had; those from before it started it is owed.
  expect_states(5, 0, 3);
  const auto batch = seal("extra");
  EXPECT_EQ(members(*batch), (Sequences{1, 3, 5}));
  EXPECT_EQ(late_count(*batch), 3U);
  ASSERT_TRUE(acknowledge("extra", *batch).ok());
  expect_states(8, 0, 0);
}

TEST_F(StagingRerouteTest, OnceMadeOptionalAnAdapterIsOwedNothing) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  ASSERT_TRUE(has_owed("rest"));
  update("rest", v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL);
  EXPECT_FALSE(has_owed("rest"));
  EXPECT_EQ(seal("rest"), nullptr);
  expect_states(3, 0, 3);
  open();
  expect_states(3, 0, 3);
  update("rest", v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED);
  ASSERT_TRUE(acknowledge("rest", *seal("rest")).ok());
  expect_states(6, 0, 0);
}

// A batch that is under way cannot be taken back; its answer lets go of nothing.
TEST_F(StagingRerouteTest, WhatIsUnderWayToAnAdapterThatIsMadeOptionalStaysUnrouted) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  const auto batch = seal("rest", 2);
  ASSERT_EQ(members(*batch), (Sequences{1, 3}));
  update("rest", v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL);
  open();
  ASSERT_TRUE(acknowledge("rest", *batch).ok());
  expect_states(3, 0, 3);
  EXPECT_FALSE(has_owed("rest"));
  open();
  expect_states(3, 0, 3);
  // It has had two of them, and as a required one it counts.
  update("rest", v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED);
  expect_states(5, 0, 1);
  const auto other = seal("rest");
  EXPECT_EQ(members(*other), (Sequences{5}));
  ASSERT_TRUE(acknowledge("rest", *other).ok());
  expect_states(6, 0, 0);
}

TEST_F(StagingRerouteTest, WhatAnAdapterThatIsMadeOptionalRejectsStaysUnrouted) {
  reconcile({adapter("some", true, {"b"}), adapter("rest", true, {"a"})});
  const auto batch = seal("rest", 2);
  update("rest", v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL);
  ASSERT_TRUE(staging_->replace("rest", batch->seal.batch, {{3, "bad"}}, "bad"));
  expect_states(3, 0, 3);
  EXPECT_EQ(staging_->quarantined("rest")->size(), 1U);
  ASSERT_TRUE(acknowledge("rest", *seal("rest")).ok());
  expect_states(3, 0, 3);
  open();
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("rest");
  request.set_all(true);
  ASSERT_EQ(staging_->release(request, {"peer", "user"}).value(), 1U);
  ASSERT_TRUE(acknowledge("rest", *seal("rest")).ok());
  expect_states(3, 0, 3);
  reconcile({adapter("some", true, {"b"}), adapter("new", true, {"a"})});
  EXPECT_EQ(members(*seal("new")), (Sequences{1, 3, 5}));
}

// It may lie above the start of the adapter, and is none of the next one's.
TEST_F(StagingRerouteTest, WhatARemovedAdapterWasOwedAndRejectedIsNotOfTheNextOfItsName) {
  reconcile({adapter("some", true, {"a", "b"})});
  const auto batch = seal("some");
  ASSERT_TRUE(staging_->replace("some", batch->seal.batch, {{1, "bad"}}, "bad"));
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  expect_states(5, 1, 0);
  update("some", v1::UpdateAdapterRequest::ACTION_REMOVE);
  reconcile({adapter("some", true, {"a", "b"})});
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("some");
  request.set_all(true);
  EXPECT_EQ(staging_->release(request, {"peer", "user"}).value(), 0U);
  open();
  expect_states(5, 1, 0);
}

TEST_F(StagingRerouteTest, ManyAreOwedInSeveralWritesAndGivenInBoundedBatches) {
  stage_rooms(std::string(2'500, 'a') + "b");
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  while (staging_->staged_bytes() > 0) ASSERT_TRUE(staging_->delete_archived().ok());
  reconcile({adapter("some", true, {"b"}), adapter("rest", true)});
  uint64_t given = 0;
  while (has_owed("rest")) {
    const auto batch = seal("rest", 1'000);
    given += batch->events.size();
    ASSERT_TRUE(acknowledge("rest", *batch).ok());
  }
  EXPECT_EQ(given, 2'503U);
  expect_states(2'507, 0, 0);
}

}  // namespace
}  // namespace verbatim::processor
