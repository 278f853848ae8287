#include <gtest/gtest.h>

#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

v1::AdapterSettings adapter(const std::string& name, bool is_required,
                            const std::vector<std::string>& rooms = {}) {
  v1::AdapterSettings settings;
  settings.set_name(name);
  settings.set_required(is_required);
  for (const auto& room : rooms) settings.mutable_filter()->add_conversations(room);
  return settings;
}

class StagingFilterTest : public StagingFixture {
 protected:
  std::vector<std::string> reconcile(const std::vector<v1::AdapterSettings>& settings) {
    const auto sentences = staging_->reconcile(settings);
    EXPECT_TRUE(sentences) << sentences.error().to_string();
    return sentences ? *sentences : std::vector<std::string>();
  }
  void pass(const std::string& name) {
    const auto passed = staging_->pass_filtered(name);
    ASSERT_TRUE(passed) << passed.error().to_string();
    ASSERT_TRUE(staging_->delete_archived().ok());
  }
  // Events of rooms, one letter each.
  void stage_rooms(const std::string& rooms) {
    std::vector<v1::QueueMessage> messages;
    for (const char room : rooms) messages.push_back(queue_.post(std::string(1, room)));
    stage(std::move(messages));
  }
  std::vector<uint64_t> members(const LoadedBatch& batch) { return members_of(batch.seal.row); }
  v1::AdapterAccount account(const std::string& name) {
    const auto accounting = check_accounting();
    for (const auto& one : accounting.adapters()) {
      if (one.adapter() == name) return one;
    }
    ADD_FAILURE() << "no account of " << name;
    return {};
  }
  TestQueue queue_;
};

TEST(EventSelector, EachListThatIsNotEmptyMustHaveSomethingThatFits) {
  auto envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "legal-1@rooms.x", "ann@corp.x/pc");
  envelope.set_conversation_name("Legal [1]");
  envelope.add_addresses("bob@other.y");
  const auto takes = [&](const v1::AdapterFilter& filter) {
    return EventSelector(filter).takes(envelope);
  };
  v1::AdapterFilter filter;
  EXPECT_TRUE(takes(filter));
  filter.add_conversations("legal-?@*");
  filter.add_kinds("message_posted");
  filter.add_sources("s");
  filter.add_domains("other.y");
  EXPECT_TRUE(takes(filter));
  const auto with = [&](const auto& change) {
    v1::AdapterFilter changed = filter;
    change(changed);
    return takes(changed);
  };
  EXPECT_TRUE(with([](auto& one) { one.set_conversations(0, "Legal [1]"); }));
  EXPECT_TRUE(with([](auto& one) { one.set_domains(0, "corp.x"); }));
  EXPECT_TRUE(with([](auto& one) { one.set_domains(0, "Corp.X"); })) << "as people write it";
  EXPECT_FALSE(with([](auto& one) { one.set_conversations(0, "legal-?"); }));
  EXPECT_FALSE(with([](auto& one) { one.set_kinds(0, "joined"); }));
  EXPECT_FALSE(with([](auto& one) { one.set_sources(0, "t"); }));
  EXPECT_FALSE(with([](auto& one) { one.set_domains(0, "y"); }));
}

TEST_F(StagingFilterTest, AnAdapterIsGivenWhatItsFilterTakesAndTheRestIsCountedAsFiltered) {
  reconcile({adapter("all", true), adapter("some", true, {"b"})});
  stage_rooms("aabab");
  EXPECT_EQ(staging_->pending("some")->event_count, 2U);
  const auto batch = seal("some");
  EXPECT_EQ(members(*batch), (std::vector<uint64_t>{3, 5}));
  check_accounting();
  ASSERT_TRUE(acknowledge("some", *batch).ok());
  const auto some = account("some");
  EXPECT_EQ(some.acknowledged(), 2U);
  EXPECT_EQ(some.filtered(), 3U);
  EXPECT_EQ(some.pending(), 0U);
  ASSERT_TRUE(acknowledge("all", *seal("all")).ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(account("all").filtered(), 0U);
}

TEST_F(StagingFilterTest, TheCursorPassesWhatIsFilteredWithoutABatch) {
  reconcile({adapter("all", true), adapter("some", true, {"b"})});
  stage_rooms("aaaa");
  EXPECT_EQ(stored_count(), 4U);
  ASSERT_TRUE(acknowledge("all", *seal("all")).ok());
  EXPECT_EQ(stored_count(), 0U);
  EXPECT_EQ(staging_->pending("some")->event_count, 0U);
  stage_rooms("aabaa");
  pass("some");
  EXPECT_EQ(staging_->pending("some")->first_sequence, 7U);
  EXPECT_EQ(account("some").pending(), 1U);
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  EXPECT_EQ(staging_->adapters()[1].acked_sequence(), 9U);
  open();
  EXPECT_EQ(account("some").filtered(), 8U);
}

TEST_F(StagingFilterTest, WhatNoRequiredAdapterTakesStaysAndIsCountedAsUnrouted) {
  reconcile({adapter("some", true, {"b"}), adapter("extra", false)});
  stage_rooms("abab");
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  EXPECT_EQ(stored_count(), 0U);  // copies stay in a family of their own
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.unrouted_count(), 2);
  EXPECT_EQ(accounting.queues(0).sources(0).archived(), 2U);
  EXPECT_EQ(accounting.queues(0).sources(0).staged(), 2U);
  EXPECT_FALSE(staging_->notices().empty());
  open();
  EXPECT_EQ(check_accounting().unrouted_count(), 2);
  EXPECT_EQ(staging_->counts().unrouted_count, 2U);
}

TEST_F(StagingFilterTest, AnOptionalAdaptersQuarantineDoesNotMakeTheUnroutedArchived) {
  reconcile({adapter("some", true, {"b"}), adapter("extra", false)});
  stage_rooms("ab");
  const auto batch = seal("extra");
  ASSERT_TRUE(staging_->replace("extra", batch->seal.batch, {{1, "bad"}}, "why"));
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.unrouted_count(), 1);
  EXPECT_EQ(accounting.queues(0).sources(0).archived(), 1U);
  EXPECT_EQ(accounting.queues(0).sources(0).quarantined(), 0U);
}

TEST_F(StagingFilterTest, AChangedFilterHoldsForWhatWasNotGivenYetAndIsReported) {
  reconcile({adapter("all", true), adapter("some", true, {"a"})});
  stage_rooms("ab");
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  stage_rooms("abc");
  open();
  EXPECT_TRUE(reconcile({adapter("all", true), adapter("some", true, {"a"})}).empty());
  EXPECT_EQ(reconcile({adapter("all", true), adapter("some", true, {"c"})}).size(), 1U);
  EXPECT_EQ(account("some").filtered(), 3U);
  EXPECT_EQ(members(*seal("some")), (std::vector<uint64_t>{5}));
  // What is under way stays as it is.
  EXPECT_EQ(reconcile({adapter("all", true), adapter("some", true)}).size(), 1U);
  stage_rooms("x");
  check_accounting();
  ASSERT_TRUE(acknowledge("some", **staging_->load_sealed("some")).ok());
  EXPECT_EQ(members(*seal("some")), (std::vector<uint64_t>{6}));
  check_accounting();
}

TEST_F(StagingFilterTest, AChangedFilterDoesNotCountWhatIsInQuarantineOnceMore) {
  reconcile({adapter("all", true), adapter("some", true, {"a"})});
  stage_rooms("abaa");
  const auto batch = seal("some");
  ASSERT_EQ(members(*batch), (std::vector<uint64_t>{1, 3, 4}));
  ASSERT_TRUE(staging_->replace("some", batch->seal.batch, {{3, "bad"}}, "why"));
  reconcile({adapter("all", true), adapter("some", true, {"b"})});
  EXPECT_EQ(account("some").filtered(), 2U);
  EXPECT_EQ(staging_->pending("some")->event_count, 1U);
  open();
  EXPECT_EQ(account("some").quarantined(), 1U);
  const auto rest = seal("some");
  EXPECT_EQ(members(*rest), (std::vector<uint64_t>{2}));
  ASSERT_TRUE(acknowledge("some", *rest).ok());
  EXPECT_EQ(staging_->pending("some")->event_count, 0U);
  stage_rooms("b");
  EXPECT_EQ(staging_->pending("some")->event_count, 1U);
  EXPECT_EQ(account("some").pending(), 1U);
  ASSERT_TRUE(acknowledge("all", *seal("all")).ok());
  const auto source = check_accounting().queues(0).sources(0);
  EXPECT_EQ(source.archived(), 3U);
  EXPECT_EQ(source.quarantined(), 1U);
}

TEST_F(StagingFilterTest, APlaceOfARemovedFilterMeansNothingToTheNext) {
  reconcile({adapter("all", true), adapter("old", false, {"a"})});
  stage_rooms("ab");
  v1::UpdateAdapterRequest remove;
  remove.set_adapter("old");
  remove.set_action(v1::UpdateAdapterRequest::ACTION_REMOVE);
  ASSERT_TRUE(staging_->update_adapter(remove, {"test", "user"}).ok());
  reconcile({adapter("all", true), adapter("new", true, {"b"})});
  EXPECT_EQ(members(*seal("new")), (std::vector<uint64_t>{2}));
  check_accounting();
}

TEST_F(StagingFilterTest, BisectionGoesOverWhatIsFilteredInBetween) {
  reconcile({adapter("some", true, {"b"})});
  stage_rooms("babaabab");
  const auto batch = seal("some");
  ASSERT_EQ(members(*batch), (std::vector<uint64_t>{1, 3, 6, 8}));
  ASSERT_TRUE(staging_->replace("some", batch->seal.batch, {}, "why"));
  check_accounting();
  const auto half = seal("some");
  EXPECT_EQ(members(*half), (std::vector<uint64_t>{1, 3}));
  ASSERT_TRUE(acknowledge("some", *half).ok());
  const auto rest = seal("some");
  EXPECT_EQ(members(*rest), (std::vector<uint64_t>{6, 8}));
  ASSERT_TRUE(staging_->replace("some", rest->seal.batch, {{8, "bad"}}, "why"));
  ASSERT_TRUE(acknowledge("some", *seal("some")).ok());
  const auto some = account("some");
  EXPECT_EQ(some.acknowledged(), 3U);
  EXPECT_EQ(some.quarantined(), 1U);
  EXPECT_EQ(some.filtered(), 4U);
  EXPECT_EQ(some.pending(), 0U);
}

TEST_F(StagingFilterTest, AnOptionalAdapterThatIsOvertakenSkipsOnlyWhatItWouldHaveBeenGiven) {
  options_.optional_lag_max_bytes = 0;
  open();
  reconcile({adapter("all", true), adapter("extra", false, {"b"})});
  stage_rooms("aabab");
  ASSERT_TRUE(acknowledge("all", *seal("all")).ok());
  const auto extra = account("extra");
  EXPECT_EQ(extra.skipped(), 2U);
  EXPECT_EQ(extra.filtered(), 3U);
}

TEST_F(StagingFilterTest, ANewAdapterStartsNowOrAtATime) {
  reconcile({adapter("all", true)});
  stage_rooms("a");
  clock_.advance(std::chrono::hours(1));  // 2026-01-01T01:00:00Z
  stage_rooms("aa");
  auto now = adapter("now", true);
  now.set_start("now");
  auto time = adapter("time", true);
  time.set_start("time");
  time.set_start_time("2026-01-01T01:00:00Z");
  reconcile({adapter("all", true), now, time});
  stage_rooms("a");
  EXPECT_EQ(members(*seal("now")), (std::vector<uint64_t>{4}));
  EXPECT_EQ(members(*seal("time")), (std::vector<uint64_t>{2, 3, 4}));
  check_accounting();
  time.set_name("wrong");
  time.set_start_time("yesterday");
  EXPECT_EQ(staging_->reconcile({adapter("all", true), now, time}).error().code(),
            StatusCode::kInvalidArgument);
}

// Nothing would hold back what comes until then.
TEST_F(StagingFilterTest, AStartInTheFutureIsRefused) {
  auto time = adapter("time", true);
  time.set_start("time");
  time.set_start_time("2026-01-01T00:00:01Z");
  const auto refused = staging_->reconcile({time});
  EXPECT_EQ(refused.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("in the future"), std::string::npos);
  EXPECT_TRUE(staging_->adapters().empty());
  clock_.advance(std::chrono::seconds(1));
  reconcile({time});
}

TEST_F(StagingFilterTest, WhatCameBeforeTheOnlyRequiredAdapterStartedIsUnrouted) {
  stage_rooms("aa");
  auto now = adapter("now", true);
  now.set_start("now");
  reconcile({now});
  stage_rooms("a");
  ASSERT_TRUE(acknowledge("now", *seal("now")).ok());
  EXPECT_EQ(check_accounting().unrouted_count(), 2);
}

}  // namespace
}  // namespace verbatim::processor
