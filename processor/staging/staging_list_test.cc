#include <gtest/gtest.h>

#include "processor/staging/conversation_rows.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

constexpr int64_t kSecond = 1'000'000'000;

class StagingListTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
  }
  // An event of the room "room@x"; times go up by a second.
  v1::Event event(const std::string& sender, const std::string& id, const std::string& text = "") {
    v1::Event event;
    event.set_id("event-" + std::to_string(++last_event_));
    event.set_source_time_unix_ns(last_event_ * kSecond);
    event.mutable_actor()->set_normalised(sender);
    if (!id.empty()) event.mutable_references()->set_message_id(id);
    if (!text.empty()) event.mutable_original_text()->set_plain(text);
    return event;
  }
  void put(v1::EventKind kind, const v1::Event& event, v1::Role role = v1::ROLE_RECORD,
           const std::string& post_key = "", const std::string& room = "room@x") {
    v1::Envelope envelope = test_envelope(kind, room, event.actor().normalised());
    envelope.set_event_id(event.id());
    envelope.set_role(role);
    envelope.set_post_key(post_key);
    envelope.set_source_time_unix_ns(event.source_time_unix_ns());
    stage({queue_.make(envelope, event.SerializeAsString())});
  }
  void post(const std::string& sender, const std::string& id, const std::string& text) {
    v1::Event posted = event(sender, id, text);
    posted.mutable_message_posted();
    put(v1::EVENT_KIND_MESSAGE_POSTED, posted);
  }
  void edit(const std::string& sender, const std::string& id, const std::string& target,
            const std::string& text) {
    v1::Event edited = event(sender, id, text);
    edited.mutable_references()->set_target_message_id(target);
    edited.mutable_message_edited();
    put(v1::EVENT_KIND_MESSAGE_EDITED, edited);
  }
  void remove(const std::string& sender, const std::string& target, bool by_moderator = false) {
    v1::Event removed = event(sender, "");
    if (!target.empty()) removed.mutable_references()->set_target_message_id(target);
    removed.mutable_message_deleted()->set_by_moderator(by_moderator);
    put(v1::EVENT_KIND_MESSAGE_DELETED, removed);
  }
  void read_history(int64_t from, int64_t to) {
    v1::Event read = event("reader@x", "");
    read.mutable_history_read()->set_from_unix_ns(from);
    read.mutable_history_read()->set_to_unix_ns(to);
    put(v1::EVENT_KIND_HISTORY_READ, read);
  }
  v1::TraceMessageResponse trace(const std::string& id, bool with_content = true) {
    v1::TraceMessageRequest request;
    request.set_id(id);
    request.set_with_content(with_content);
    request.set_reason("case 1");
    const auto traced = staging_->trace_message(request, {"peer", "user"});
    EXPECT_TRUE(traced) << traced.error().to_string();
    return traced ? *traced : v1::TraceMessageResponse();
  }
  // "1:first" of every version.
  static std::vector<std::string> versions_of(const v1::TraceMessageResponse& traced) {
    std::vector<std::string> versions;
    for (const auto& one : traced.events()) {
      if (one.version() == 0) continue;
      versions.push_back(std::to_string(one.version()) + ":" + one.text().plain());
    }
    return versions;
  }
  void archive_all() {
    while (const auto batch = seal("xml")) ASSERT_TRUE(acknowledge("xml", *batch).ok());
  }
  v1::ListStagedResponse list(const v1::StagedFilter& filter, int max_count = 100,
                              uint64_t from = 0) {
    v1::ListStagedRequest request;
    *request.mutable_filter() = filter;
    request.set_max_count(max_count);
    request.set_from_sequence(from);
    const auto listed = staging_->list_staged(request);
    EXPECT_TRUE(listed) << listed.error().to_string();
    return listed ? *listed : v1::ListStagedResponse();
  }
  std::vector<v1::AuditEntry> audit() {
    v1::ListAuditRequest request;
    request.set_max_count(100);
    const auto listed = staging_->audit(request);
    EXPECT_TRUE(listed);
    return {listed->entries().begin(), listed->entries().end()};
  }
  TestQueue queue_;
  int last_event_ = 0;
};

using Strings = std::vector<std::string>;

TEST_F(StagingListTest, AStoreThatIsTooLargeToBeLookedThroughAsksForTheRoom) {
  options_.trace_max_count = 3;
  open();
  post("a@x", "m1", "first");
  edit("a@x", "e1", "m1", "second");
  post("b@x", "m2", "another's");
  EXPECT_EQ(versions_of(trace("m1")), (Strings{"1:first", "2:second"}));
  post("b@x", "m3", "one too many");
  v1::TraceMessageRequest request;
  request.set_id("m1");
  const auto refused = staging_->trace_message(request, {});
  EXPECT_EQ(refused.error().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("--room"), std::string::npos);
  request.set_conversation("room@x");
  EXPECT_EQ(staging_->trace_message(request, {})->events_size(), 2);
}

TEST_F(StagingListTest, EachVersionOfAMessageEditedTwiceAndDeletedIsReconstructed) {
  post("a@x", "m1", "first");
  post("b@x", "m2", "another's");
  edit("a@x", "e1", "m1", "second");
  edit("a@x", "e2", "m1", "third");
  remove("a@x", "m1");
  const Strings expected{"1:first", "2:second", "3:third"};
  // Whichever of its ids is known, that of an edit or of an event, too.
  for (const char* id : {"m1", "e1", "e2", "event-1", "event-4"}) {
    const auto traced = trace(id);
    EXPECT_EQ(versions_of(traced), expected) << id;
    ASSERT_EQ(traced.events_size(), 4) << id;
    EXPECT_EQ(traced.events(2).of_version(), 2) << "what it changed";
    EXPECT_EQ(traced.events(3).info().kind(), v1::EVENT_KIND_MESSAGE_DELETED);
    EXPECT_EQ(traced.events(3).of_version(), 3);
  }
}

TEST_F(StagingListTest, AChainOfEditsThatEachNameTheOneBeforeIsFollowedBothWays) {
  post("a@x", "m1", "first");
  edit("a@x", "e1", "m1", "second");
  edit("a@x", "e2", "e1", "third");
  for (const char* id : {"m1", "e1", "e2"}) {
    EXPECT_EQ(versions_of(trace(id)), (Strings{"1:first", "2:second", "3:third"})) << id;
  }
}

TEST_F(StagingListTest, VersionsThatAHoldHasKeptAreReconstructedAfterDeletion) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("room@x");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  post("a@x", "m1", "first");
  archive_all();
  edit("a@x", "e1", "m1", "second");
  const auto traced = trace("m1");
  EXPECT_EQ(versions_of(traced), (Strings{"1:first", "2:second"}));
  EXPECT_EQ(traced.events(0).info().place(), v1::EventInfo::PLACE_KEPT);
  EXPECT_EQ(traced.events(1).info().place(), v1::EventInfo::PLACE_STAGED);
  EXPECT_EQ(traced.events(0).info().holds_size(), 1);
}

TEST_F(StagingListTest, CapturesOfOnePostAreOneVersionAndTheRecordStandsForThem) {
  v1::Event posted = event("a@x", "m1", "as sent");
  posted.mutable_message_posted();
  put(v1::EVENT_KIND_MESSAGE_POSTED, posted, v1::ROLE_EVIDENCE, "key 1");
  posted = event("a@x", "m1", "as broadcast");
  posted.mutable_message_posted();
  put(v1::EVENT_KIND_MESSAGE_POSTED, posted, v1::ROLE_RECORD, "key 1");
  const auto traced = trace("m1");
  EXPECT_EQ(versions_of(traced), (Strings{"1:as broadcast"}));
  ASSERT_EQ(traced.events_size(), 2);
  EXPECT_EQ(traced.events(0).of_version(), 1);
}

TEST_F(StagingListTest, SomebodyElsesEditIsShownAndIsNoVersion) {
  post("a@x", "m1", "first");
  edit("b@x", "e1", "m1", "forged");
  edit("a@x", "e2", "m1", "second");
  remove("mod@x", "m1", /*by_moderator=*/true);
  const auto traced = trace("m1");
  EXPECT_EQ(versions_of(traced), (Strings{"1:first", "2:second"}));
  ASSERT_EQ(traced.events_size(), 4);
  EXPECT_TRUE(traced.events(1).is_by_other());
  EXPECT_EQ(traced.events(3).link(), "by a moderator");
}

TEST_F(StagingListTest, ARefusedEditIsNoVersion) {
  post("a@x", "m1", "first");
  v1::Event refused = event("a@x", "e1", "with a secret");
  refused.mutable_references()->set_target_message_id("m1");
  refused.mutable_message_edited();
  refused.add_verdicts()->set_decision(v1::DECISION_HANDLE);
  put(v1::EVENT_KIND_MESSAGE_EDITED, refused);
  const auto traced = trace("m1");
  EXPECT_EQ(versions_of(traced), (Strings{"1:first"}));
  EXPECT_EQ(traced.events(1).link(), "refused");
}

TEST_F(StagingListTest, PurgesAndReadsThatCoverAMessageBelongToIt) {
  post("a@x", "m1", "first");  // at 1 s
  read_history(0, 0);
  read_history(5 * kSecond, 0);  // does not reach back
  remove("mod@x", "");           // a purge of the room
  post("a@x", "m2", "afterwards");
  const auto traced = trace("m1");
  ASSERT_EQ(traced.events_size(), 3);
  EXPECT_EQ(traced.events(1).link(), "covered by the read");
  EXPECT_EQ(traced.events(2).link(), "purge");
  EXPECT_EQ(trace("m2").events_size(), 1) << "what came before it does not concern it";
}

TEST_F(StagingListTest, TextsComeOnDemandOnlyAndAreAudited) {
  post("a@x", "m1", "canary");
  EXPECT_EQ(trace("m1", false).DebugString().find("canary"), std::string::npos);
  const size_t before = audit().size();
  EXPECT_NE(trace("m1", true).DebugString().find("canary"), std::string::npos);
  v1::ShowEventRequest show;
  show.set_sequence(1);
  EXPECT_EQ(staging_->show_event(show, {}).error().code(), StatusCode::kInvalidArgument);
  show.set_reason("case 2");
  const auto shown = staging_->show_event(show, {"peer", "user"});
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->event().original_text().plain(), "canary");
  show.set_sequence(7);
  EXPECT_EQ(staging_->show_event(show, {}).error().code(), StatusCode::kNotFound);
  const auto entries = audit();
  ASSERT_EQ(entries.size(), before + 2);
  EXPECT_EQ(entries.back().action(), "content read");
  EXPECT_EQ(entries.back().subject(), "event 1");
  EXPECT_EQ(entries.back().user(), "user");
  EXPECT_EQ(entries.back().reason(), "case 2");
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.DebugString().find("canary"), std::string::npos);
  }
}

TEST_F(StagingListTest, FiltersCountWhatMatchesAndPartsGoOnWhereTheLastOneEnded) {
  for (int i = 0; i < 6; ++i) stage({queue_.post(i % 2 == 0 ? "even@x" : "odd@x")});
  v1::StagedFilter filter;
  filter.set_room("even@x");
  const auto all = list(filter);
  EXPECT_EQ(all.events_size(), 3);
  EXPECT_EQ(all.match_count(), 3);
  EXPECT_GT(all.match_bytes(), 0);
  EXPECT_EQ(all.next_sequence(), 0U);
  const auto first = list(filter, 2);
  EXPECT_EQ(first.events_size(), 2);
  EXPECT_EQ(first.next_sequence(), 5U);
  EXPECT_EQ(list(filter, 2, first.next_sequence()).events_size(), 1);
  const auto counted = list(filter, 0);
  EXPECT_EQ(counted.events_size(), 0);
  EXPECT_EQ(counted.match_count(), 3);
  filter.set_room("Even@X");
  EXPECT_EQ(list(filter).match_count(), 3) << "however its case is written";
  filter.add_kinds(v1::EVENT_KIND_JOINED);
  EXPECT_EQ(list(filter).match_count(), 0);
  v1::ListStagedRequest backwards;
  backwards.mutable_filter()->set_from_unix_ns(20);
  backwards.mutable_filter()->set_to_unix_ns(10);
  EXPECT_EQ(staging_->list_staged(backwards).error().code(), StatusCode::kInvalidArgument);
}

// One write makes one row of a room, of all its events.
TEST_F(StagingListTest, ARoomIsListedFromAnyEventOfAWriteAndFromBehindDeletion) {
  std::vector<v1::QueueMessage> messages;
  for (int i = 0; i < 4; ++i) {
    messages.push_back(queue_.post("room@x"));
    messages.push_back(queue_.post("other@x"));
  }
  stage(messages);
  stage({queue_.post("room@x")});
  v1::StagedFilter filter;
  filter.set_room("room@x");
  const auto numbers = [&](uint64_t from, int max_count = 100) {
    std::vector<uint64_t> listed;
    const v1::ListStagedResponse response = list(filter, max_count, from);
    for (const auto& event : response.events()) listed.push_back(event.sequence());
    return listed;
  };
  using Numbers = std::vector<uint64_t>;
  EXPECT_EQ(numbers(0), (Numbers{1, 3, 5, 7, 9}));
  EXPECT_EQ(numbers(4), (Numbers{5, 7, 9}));
  EXPECT_EQ(numbers(7), (Numbers{7, 9}));
  EXPECT_EQ(numbers(1, 2), (Numbers{1, 3}));
  // Deletion ends in the middle of both rows.
  ASSERT_TRUE(acknowledge("xml", *seal("xml", 5)).ok());
  EXPECT_EQ(numbers(0), (Numbers{7, 9}));
  check_accounting();
  open();
  EXPECT_EQ(numbers(0), (Numbers{7, 9}));
  check_accounting();
}

TEST_F(StagingListTest, EveryDamagedRowOfARoomIsRefused) {
  const std::string key = named_key("room@x", 9);
  const std::string sound = encode_earlier({2, 5, 9});
  ASSERT_TRUE(sequences_of(key, sound));
  EXPECT_EQ(*sequences_of(key, sound), (std::vector<uint64_t>{2, 5, 9}));
  EXPECT_EQ(*sequences_of(key, ""), (std::vector<uint64_t>{9})) << "as in format 2";
  for (size_t size = 1; size < sound.size(); ++size) {
    EXPECT_EQ(sequences_of(key, sound.substr(0, size)).has_value(), size % 4 == 0) << size;
  }
  EXPECT_FALSE(sequences_of(key, std::string(4, '\0'))) << "the last one itself";
  EXPECT_FALSE(sequences_of(key, std::string("\x09\0\0\0", 4))) << "before the first event";
  EXPECT_FALSE(sequences_of(key, sound.substr(4) + sound.substr(0, 4))) << "not ascending";
}

TEST_F(StagingListTest, CopiesInQuarantineAndForHoldsAreListedOnceAndInOrder) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  stage({queue_.post("held@x"), queue_.post("held@x"), queue_.post("free@x"), queue_.post("free@x"),
         queue_.post("held@x")});
  const auto batch = seal("xml");
  ASSERT_TRUE(staging_->replace("xml", batch->seal.batch, {{2, "no"}, {3, "no"}}, "no"));
  archive_all();
  stage({queue_.post("new@x")});
  std::vector<std::pair<uint64_t, v1::EventInfo::Place>> found;
  const auto listed = list({});
  for (const auto& one : listed.events()) found.emplace_back(one.sequence(), one.place());
  using Info = v1::EventInfo;
  EXPECT_EQ(found, (decltype(found){{1, Info::PLACE_KEPT},
                                    {2, Info::PLACE_KEPT},
                                    {3, Info::PLACE_QUARANTINED},
                                    {5, Info::PLACE_KEPT},
                                    {6, Info::PLACE_STAGED}}));
  v1::StagedFilter held;
  held.set_is_held(true);
  EXPECT_EQ(list(held).match_count(), 3);
  check_accounting();
}

// A copy of what nobody required is given stands there before and after its original is deleted.
TEST_F(StagingListTest, WhatIsUnroutedIsListedAsThatOnceWhetherOrNotItsOriginalIsGone) {
  v1::AdapterSettings some;
  some.set_name("xml");
  some.set_required(true);
  some.mutable_filter()->add_conversations("b@x");
  v1::AdapterSettings extra;
  extra.set_name("extra");
  ASSERT_TRUE(staging_->reconcile({some, extra}));
  stage({queue_.post("a@x"), queue_.post("b@x"), queue_.post("a@x"), queue_.post("b@x")});
  ASSERT_TRUE(acknowledge("xml", *seal("xml")).ok());
  using Info = v1::EventInfo;
  const auto places = [&](const std::string& room) {
    v1::StagedFilter filter;
    filter.set_room(room);
    std::vector<std::pair<uint64_t, Info::Place>> found;
    const auto listed = list(filter);
    for (const auto& one : listed.events()) found.emplace_back(one.sequence(), one.place());
    return found;
  };
  using Places = std::vector<std::pair<uint64_t, Info::Place>>;
  ASSERT_EQ(stored_count(), 4U);
  EXPECT_EQ(places("a@x"), (Places{{1, Info::PLACE_UNROUTED}, {3, Info::PLACE_UNROUTED}}));
  EXPECT_EQ(places("b@x"), (Places{{2, Info::PLACE_ARCHIVED}, {4, Info::PLACE_ARCHIVED}}));
  ASSERT_TRUE(acknowledge("extra", *seal("extra")).ok());
  ASSERT_EQ(stored_count(), 0U);
  stage({queue_.post("a@x")});
  const Places all = {
      {1, Info::PLACE_UNROUTED}, {3, Info::PLACE_UNROUTED}, {5, Info::PLACE_STAGED}};
  EXPECT_EQ(places(""), all);
  EXPECT_EQ(places("a@x"), all);
  check_accounting();
}

// More copies than are read at once.
TEST_F(StagingListTest, ManyCopiesOfTwoKindsAreEachListedOnceAndInOrder) {
  v1::AddHoldRequest hold;
  hold.mutable_filter()->set_room("held@x");
  hold.set_reason("case 1");
  ASSERT_TRUE(staging_->add_hold(hold, {}));
  v1::AdapterSettings some;
  some.set_name("xml");
  some.set_required(true);
  some.mutable_filter()->add_conversations("held@x");
  ASSERT_TRUE(staging_->reconcile({some}));
  constexpr uint64_t kCount = 1'000;
  for (uint64_t i = 0; i < kCount; ++i) stage({queue_.post(i % 3 == 0 ? "other@x" : "held@x")});
  archive_all();
  ASSERT_EQ(stored_count(), 0U);
  const auto listed = list({}, static_cast<int>(kCount));
  ASSERT_EQ(listed.events_size(), static_cast<int>(kCount));
  for (int i = 0; i < listed.events_size(); ++i) {
    EXPECT_EQ(listed.events(i).sequence(), static_cast<uint64_t>(i) + 1);
    EXPECT_EQ(listed.events(i).place(),
              i % 3 == 0 ? v1::EventInfo::PLACE_UNROUTED : v1::EventInfo::PLACE_KEPT);
  }
}

TEST_F(StagingListTest, FilesAreListedWithTheEventsThatNameThem) {
  const std::string digest(32, '\x5a');
  for (int i = 0; i < 3; ++i) {
    v1::Envelope envelope = test_envelope(v1::EVENT_KIND_FILE_UPLOADED, "room@x");
    if (i != 1) envelope.add_file_sha256(digest);
    stage({queue_.make(envelope)});
  }
  v1::ListFilesRequest request;
  request.set_max_count(10);
  const auto files = staging_->list_files(request);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->files_size(), 1);
  EXPECT_EQ(files->files(0).event_count(), 2);
  EXPECT_EQ(files->files(0).first_sequence(), 1U);
  EXPECT_EQ(files->files(0).last_sequence(), 3U);
  EXPECT_EQ(files->files(0).sha256().substr(0, 4), "5a5a");
}

TEST_F(StagingListTest, BatchesShowWhatIsAcknowledgedUnderWayAndPlanned) {
  stage(queue_.posts(6));
  ASSERT_TRUE(acknowledge("xml", *seal("xml", 2)).ok());
  const auto rejected = seal("xml", 4);
  ASSERT_TRUE(staging_->replace("xml", rejected->seal.batch, {}, "who knows"));
  seal("xml");
  v1::ListBatchesRequest request;
  const auto batches = staging_->batches(request);
  ASSERT_TRUE(batches);
  ASSERT_EQ(batches->batches_size(), 4);
  EXPECT_EQ(batches->batches(0).state(), v1::BatchInfo::STATE_ACKNOWLEDGED);
  EXPECT_EQ(batches->batches(1).state(), v1::BatchInfo::STATE_UNDER_WAY);
  EXPECT_EQ(batches->batches(1).replaces(), 2U);
  EXPECT_EQ(batches->batches(2).state(), v1::BatchInfo::STATE_PLANNED);
  request.set_adapter("xml");
  request.set_batch(3);
  const auto one = staging_->batches(request);
  ASSERT_TRUE(one);
  ASSERT_EQ(one->batches(0).slices_size(), 1);
  EXPECT_EQ(one->batches(0).slices(0).event_count(), 2U);
  request.set_batch(99);
  EXPECT_EQ(staging_->batches(request).error().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace verbatim::processor
