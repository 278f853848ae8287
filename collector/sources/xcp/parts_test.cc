// The small parts: times, envelopes, sequence gaps, the order of answers, snapshots.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "collector/sources/xcp/answer_order.h"
#include "collector/sources/xcp/codec/snapshot.h"
#include "collector/sources/xcp/codec/test_xml.h"
#include "collector/sources/xcp/codec/xdb.h"
#include "collector/sources/xcp/codec/xmpp_time.h"
#include "collector/sources/xcp/sequence_tracker.h"

namespace verbatim::collector {
namespace {

using std::chrono::seconds;

TEST(XmppTime, ReadsWhatXep0082Allows) {
  EXPECT_EQ(parse_xmpp_time("1970-01-01T00:00:01Z"), 1'000'000'000);
  EXPECT_EQ(parse_xmpp_time("2026-11-22T16:00:00.123456Z"), 1'795'363'200'123'456'000);
  EXPECT_EQ(parse_xmpp_time("2026-11-22T18:00:00+02:00"), 1'795'363'200'000'000'000);
  EXPECT_EQ(parse_xmpp_time("2026-11-22T10:30:00.5-05:30"), 1'795'363'200'500'000'000);
  for (const char* wrong : {"", "now", "2026-11-22", "2026-13-22T16:00:00Z", "2026-11-22T16:00:00",
                            "2026-11-22T25:00:00Z", "9999-01-01T00:00:00Z", "2026-11-22T1:00:00Z",
                            "1969-12-31T23:59:59Z", "2026-11-22T16:00:00Zx"}) {
    EXPECT_EQ(parse_xmpp_time(wrong), 0) << wrong;
  }
}

TEST(Xdb, PayloadIsWhatStandsBetweenTheTags) {
  EXPECT_EQ(xdb_payload("<xdb id='a>b' n=\"/>\"><e>x</e></xdb>"), "<e>x</e>");
  EXPECT_EQ(xdb_payload("<xdb><xdb></xdb></xdb >"), "<xdb></xdb>");
  EXPECT_EQ(xdb_payload("<xdb/>"), "");
  EXPECT_EQ(xdb_payload("<xdb"), "");
  EXPECT_EQ(xdb_payload(""), "");
}

// conformance: 44 45 46
TEST(Xdb, ReplyClassesAllowOnlyWhatTheGuideAllows) {
  for (const ReplyClass strict :
       {ReplyClass::kPassOnly, ReplyClass::kPassSame, ReplyClass::kPassEmpty}) {
    for (const Reply::Kind kind :
         {Reply::Kind::kPass, Reply::Kind::kPassStanza, Reply::Kind::kHandle}) {
      EXPECT_EQ(allowed_reply(strict, {kind, {}, {}}).kind, Reply::Kind::kPass);
    }
    EXPECT_EQ(allowed_reply(strict, {Reply::Kind::kError, {}, {}}).kind, Reply::Kind::kError);
  }
  EXPECT_EQ(allowed_reply(ReplyClass::kFree, {Reply::Kind::kHandle, {}, {}}).kind,
            Reply::Kind::kHandle);
}

uint64_t missing(SequenceTracker& tracker, seconds now) {
  uint64_t count = 0;
  for (const SequenceGap& gap : tracker.collect(now)) count += gap.missing_count;
  return count;
}

TEST(SequenceTracker, ReportsAJumpOnceAfterTheGrace) {
  SequenceTracker tracker(seconds(10));
  tracker.take(7, 40, 100, seconds(0));  // the first event sets the beginning
  tracker.take(7, 41, 200, seconds(1));
  tracker.take(7, 45, 300, seconds(2));
  EXPECT_EQ(missing(tracker, seconds(11)), 0u);
  const auto gaps = tracker.collect(seconds(12));
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].missing_count, 3u);
  EXPECT_EQ(gaps[0].start_unix_ns, 200);
  EXPECT_EQ(gaps[0].end_unix_ns, 300);
  EXPECT_EQ(missing(tracker, seconds(60)), 0u);
}

TEST(SequenceTracker, WhatComesLateIsNotMissing) {
  SequenceTracker tracker(seconds(10));
  tracker.take(7, 1, 0, seconds(0));
  tracker.take(7, 6, 0, seconds(0));
  tracker.take(7, 4, 0, seconds(1));
  tracker.take(7, 4, 0, seconds(1));  // a repeat fills nothing twice
  tracker.take(7, 2, 0, seconds(1));
  EXPECT_EQ(missing(tracker, seconds(20)), 2u);  // 3 and 5
}

TEST(SequenceTracker, ANewBootBeginsAtOne) {
  SequenceTracker tracker(seconds(10));
  tracker.take(7, 5, 0, seconds(0));
  tracker.take(7, 7, 0, seconds(0));
  tracker.take(8, 3, 0, seconds(0));  // 6 of the old boot will not come; 1 and 2 of the new may
  EXPECT_EQ(missing(tracker, seconds(1)), 1u);
  EXPECT_EQ(missing(tracker, seconds(20)), 2u);
  tracker.take(7, 9, 0, seconds(21));  // an old boot's straggler
  EXPECT_EQ(missing(tracker, seconds(60)), 0u);
}

struct AnswerOrderTest : ::testing::Test {
  AnswerOrderTest() : order([this](const OpenRequest& r) { out.push_back(r.key); }) {}
  uint64_t open(const std::string& key, const std::string& conversation, uint64_t link = 1) {
    OpenRequest request;
    request.key = key;
    request.conversation = conversation;
    request.links = {link};
    return order.open(std::move(request));
  }
  std::vector<std::string> out;
  AnswerOrder order;
};

TEST_F(AnswerOrderTest, AnswersLeaveInOrderWithinAConversation) {
  const uint64_t a = open("a", "one");
  const uint64_t b = open("b", "one");
  const uint64_t c = open("c", "two");
  order.answer(b, {});
  EXPECT_TRUE(out.empty());
  order.answer(c, {});
  EXPECT_EQ(out, (std::vector<std::string>{"c"}));
  order.answer(a, {});
  EXPECT_EQ(out, (std::vector<std::string>{"c", "a", "b"}));
  EXPECT_EQ(order.size(), 0u);
  EXPECT_EQ(order.count_of(1), 0u);
}

TEST_F(AnswerOrderTest, ARepeatSharesTheAnswerOncePerLink) {
  const uint64_t a = open("a", "one", 1);
  EXPECT_TRUE(order.join("a", 1));
  EXPECT_TRUE(order.join("a", 2));
  EXPECT_FALSE(order.join("b", 2));
  EXPECT_EQ(order.find(a)->links, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(order.count_of(2), 1u);
  order.answer(a, {});
  EXPECT_EQ(out.size(), 1u);
  EXPECT_FALSE(order.join("a", 2));
  order.answer(a, {});  // late and double answers are ignored
  EXPECT_EQ(out.size(), 1u);
}

std::optional<SnapshotPart> snapshot(const std::string& inner) {
  std::string reason;
  return read_snapshot(parse_xml("<event xmlns='urn:x-verbatim:xcp-event:1' name='x-snapshot'>" +
                                 inner + "</event>"),
                       reason);
}

TEST(Snapshot, ReadsSessionsRoomsAndEnd) {
  const auto sessions = snapshot("<sessions><session jid='a@h/r'/></sessions>");
  ASSERT_TRUE(sessions);
  EXPECT_EQ(sessions->sessions.at(0).address(), "a@h/r");
  EXPECT_EQ(sessions->sessions.at(0).session(), "r");
  const auto room = snapshot(
      "<room jid='r@m' name='R' part='2' parts='3'>"
      "<occupant jid='a@h/r' nick='n' role='participant' affiliation='member'/></room>");
  ASSERT_TRUE(room);
  EXPECT_EQ(room->part, 2u);
  EXPECT_EQ(room->occupants.at(0).party.nickname(), "n");
  EXPECT_EQ(room->occupants.at(0).affiliation, "member");
  EXPECT_TRUE(snapshot("<end rooms='1' sessions='1'/>"));
  for (const char* wrong :
       {"", "<what/>", "<room/>", "<sessions><session/></sessions>",
        "<room jid='r@m' part='3' parts='2'/>", "<room jid='r@m' part='x' parts='2'/>"}) {
    EXPECT_FALSE(snapshot(wrong)) << wrong;
  }
}

TEST(Snapshot, PartsAreJoinedInOrder) {
  SnapshotAssembler assembler;
  std::string reason;
  auto part = [&](const std::string& number, const std::string& jid) {
    return assembler.add(*snapshot("<room jid='r@m' part='" + number +
                                   "' parts='2'><occupant jid='" + jid + "' nick='n'/></room>"),
                         reason);
  };
  EXPECT_FALSE(part("2", "b@h/r"));
  EXPECT_FALSE(reason.empty());
  EXPECT_FALSE(part("1", "a@h/r"));
  EXPECT_TRUE(reason.empty());
  const auto whole = part("2", "b@h/r");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->occupants.size(), 2u);
  EXPECT_EQ(assembler.rooms(), (std::vector<std::string>{"r@m"}));
}

}  // namespace
}  // namespace verbatim::collector
