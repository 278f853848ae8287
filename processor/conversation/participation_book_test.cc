#include "processor/conversation/participation_book.h"

#include <gtest/gtest.h>

#include "processor/conversation/slice_builder.h"

namespace verbatim::processor {
namespace {

v1::Envelope envelope(v1::EventKind kind, const std::string& address,
                      const std::string& session = "1") {
  v1::Envelope made;
  made.set_kind(kind);
  made.set_phase(v1::PHASE_CONFIRMED);
  made.set_role(v1::ROLE_RECORD);
  made.set_conversation_key("room");
  made.set_session(session);
  made.set_source_time_unix_ns(7);
  made.mutable_actor()->set_normalised(address);
  return made;
}

v1::Envelope join(const std::string& address, const std::string& session = "1") {
  return envelope(v1::EVENT_KIND_JOINED, address, session);
}
v1::Envelope leave(const std::string& address, const std::string& session = "1") {
  return envelope(v1::EVENT_KIND_LEFT, address, session);
}

std::string names(const std::vector<v1::Participation>& present) {
  std::string text;
  for (const auto& one : present) {
    text += one.party().normalised() + "/" + one.session() + "@" +
            std::to_string(one.joined_sequence()) + " ";
  }
  return text;
}

TEST(ParticipationBook, TheRosterAtEveryPositionIsTheOneOfThatTime) {
  ParticipationBook book;
  book.apply(join("a"), 1);
  book.apply(join("b"), 3);
  book.apply(leave("a"), 5);
  book.apply(join("a"), 7);
  EXPECT_EQ(names(book.present_at("room", 0)), "");
  EXPECT_EQ(names(book.present_at("room", 1)), "a/1@1 ");
  EXPECT_EQ(names(book.present_at("room", 4)), "a/1@1 b/1@3 ");
  EXPECT_EQ(names(book.present_at("room", 5)), "b/1@3 ");
  EXPECT_EQ(names(book.present_at("room", 9)), "b/1@3 a/1@7 ");
  EXPECT_EQ(names(book.present_at("other", 9)), "");
}

TEST(ParticipationBook, AJoinOfSomeonePresentChangesNothing) {
  ParticipationBook book;
  EXPECT_EQ(book.apply(join("a"), 1).size(), 1U);
  EXPECT_EQ(book.apply(join("a"), 2).size(), 0U);
  EXPECT_EQ(book.apply(join("a", "2"), 3).size(), 1U);  // another session
  EXPECT_EQ(names(book.present_at("room", 9)), "a/1@1 a/2@3 ");
}

TEST(ParticipationBook, ALeaveEndsItsSessionAndOneWithoutASessionEndsAll) {
  ParticipationBook book;
  book.apply(join("a"), 1);
  book.apply(join("a", "2"), 2);
  book.apply(join("a", "3"), 3);
  EXPECT_EQ(book.apply(leave("a", "2"), 4).size(), 1U);
  EXPECT_EQ(names(book.present_at("room", 4)), "a/1@1 a/3@3 ");
  EXPECT_EQ(book.apply(leave("a", ""), 5).size(), 2U);
  EXPECT_EQ(names(book.present_at("room", 5)), "");
  EXPECT_EQ(book.apply(leave("a", ""), 6).size(), 0U);
}

TEST(ParticipationBook, TheEndOfARoomEndsEveryoneIn) {
  ParticipationBook book;
  book.apply(join("a"), 1);
  book.apply(join("b"), 2);
  EXPECT_EQ(book.apply(envelope(v1::EVENT_KIND_ROOM_DESTROYED, "c"), 3).size(), 2U);
  EXPECT_EQ(names(book.present_at("room", 3)), "");
}

TEST(ParticipationBook, IntervalsArePurgedOnceTheirLeaveIsPassed) {
  ParticipationBook book;
  book.apply(join("a"), 1);
  book.apply(leave("a"), 5);
  book.apply(join("b"), 6);
  EXPECT_TRUE(book.purge(4).empty());
  const auto purged = book.purge(5);
  ASSERT_EQ(purged.size(), 1U);
  EXPECT_EQ(purged[0], std::make_pair(std::string("room"), uint64_t{1}));
  EXPECT_EQ(book.interval_count(), 1U);
}

TEST(ParticipationBook, RestoredRowsAreTheSameBook) {
  ParticipationBook book;
  ParticipationBook restored;
  std::map<uint64_t, v1::ParticipationRow> rows;
  for (const auto& row : book.apply(join("a"), 1)) rows[row.joined_sequence] = row.value;
  for (const auto& row : book.apply(join("b"), 2)) rows[row.joined_sequence] = row.value;
  for (const auto& row : book.apply(leave("a"), 3)) rows[row.joined_sequence] = row.value;
  for (const auto& [joined, row] : rows) restored.restore("room", row);
  for (uint64_t at = 0; at < 5; ++at) {
    EXPECT_EQ(names(book.present_at("room", at)), names(restored.present_at("room", at)));
  }
  EXPECT_EQ(restored.purge(3).size(), 1U);
}

TEST(MovesParticipation, OnlyWhatHappenedMovesAnyone) {
  EXPECT_TRUE(moves_participation(join("a"), ""));
  EXPECT_FALSE(moves_participation(envelope(v1::EVENT_KIND_MESSAGE_POSTED, "a"), ""));
  v1::Envelope neutral = join("a");
  neutral.set_is_participation_neutral(true);
  EXPECT_FALSE(moves_participation(neutral, ""));
  v1::Envelope evidence = join("a");
  evidence.set_role(v1::ROLE_EVIDENCE);
  EXPECT_FALSE(moves_participation(evidence, ""));
}

TEST(MovesParticipation, AnAttemptCountsUnlessAVerdictStoppedIt) {
  v1::Envelope attempt = join("a");
  attempt.set_phase(v1::PHASE_ATTEMPT);
  v1::Event event;
  EXPECT_TRUE(moves_participation(attempt, event.SerializeAsString()));
  event.add_verdicts()->set_decision(v1::DECISION_PASS);
  EXPECT_TRUE(moves_participation(attempt, event.SerializeAsString()));
  event.add_verdicts()->set_decision(v1::DECISION_HANDLE);
  EXPECT_FALSE(moves_participation(attempt, event.SerializeAsString()));
}

TEST(SliceBuilder, OneSliceAConversationInOrderOfFirstEvent) {
  ParticipationBook book;
  book.apply(join("a"), 1);
  SliceBuilder slices;
  v1::Envelope second = envelope(v1::EVENT_KIND_MESSAGE_POSTED, "a");
  second.set_conversation_key("room 2");
  slices.add(2, envelope(v1::EVENT_KIND_MESSAGE_POSTED, "a"));
  slices.add(3, second);
  second.set_conversation_name("Second");
  slices.add(4, second);
  v1::BatchHeader header;
  slices.finish(book, header);
  ASSERT_EQ(header.slices_size(), 2);
  EXPECT_EQ(header.slices(0).conversation_key(), "room");
  EXPECT_EQ(header.slices(0).present_at_start_size(), 1);
  EXPECT_EQ(header.slices(0).present_at_start(0).joined_unix_ns(), 7);
  EXPECT_EQ(header.slices(1).name(), "Second");
  EXPECT_EQ(header.slices(1).event_count(), 2U);
  EXPECT_EQ(header.slices(1).present_at_start_size(), 0);
}

}  // namespace
}  // namespace verbatim::processor
