#include "collector/sources/xcp/codec/verbatim_codec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/sha256.h"
#include "collector/broker/completer.h"
#include "collector/broker/profile.h"
#include "collector/broker/role.h"
#include "collector/sources/xcp/codec/test_xml.h"

namespace verbatim::collector {
namespace {

const EventCodec::IsRoomDomain kIsRoomDomain = [](const std::string& domain) {
  return domain == "muc.x";
};

std::string xdb_of(const std::string& attributes, const std::string& stanza) {
  return "<xdb id='eb-7-1' type='get' from='tc-1.node.x' to='op-v' ns='urn:x-verbatim:xcp-event:1'>"
         "<event xmlns='urn:x-verbatim:xcp-event:1' boot='7' seq='17' "
         "time='2026-11-22T16:00:00.5Z' " +
         attributes + ">" + stanza + "</event></xdb>";
}

DecodedEvent decode(const std::string& raw) {
  const base::XmlElement element = parse_xml(raw);
  return VerbatimCodec().decode(parse_xdb(element), element, raw, kIsRoomDomain);
}

DecodedEvent decode(const std::string& attributes, const std::string& stanza) {
  return decode(xdb_of(attributes, stanza));
}

std::string message(const std::string& attributes, const std::string& children) {
  return "<message xmlns='jabber:client' id='m1' " + attributes + ">" + children + "</message>";
}

const std::string kRoom = "room='r@muc.x' room-name='Room' actor='a@x/phone' actor-nick='Ann' ";
const std::string kPerson = "actor='a@x/phone' ";
const std::string kPost =
    message("type='groupchat' from='a@x/phone' to='r@muc.x'", "<body>h\xC3\xA9llo</body>");
const std::string kChat = message("type='chat' from='a@x/phone' to='b@x'", "<body>hi</body>");

struct Row {
  const char* name;
  std::string attributes;
  std::string stanza;
  v1::Event::BodyCase body;
  v1::Phase phase;
  v1::ConversationKind conversation;
  v1::Role role;  // in the profile "all"
  const char* text;
  ReplyClass reply_class;
};

// A real-looking stanza for each of the 40 events.
std::vector<Row> rows() {
  using E = v1::Event;
  using R = ReplyClass;
  constexpr auto kRecord = v1::ROLE_RECORD;
  constexpr auto kEvidence = v1::ROLE_EVIDENCE;
  constexpr auto kAttempt = v1::PHASE_ATTEMPT;
  constexpr auto kDone = v1::PHASE_CONFIRMED;
  constexpr auto kInRoom = v1::CONVERSATION_KIND_ROOM;
  constexpr auto kOfPerson = v1::CONVERSATION_KIND_PERSON;
  constexpr auto kDirect = v1::CONVERSATION_KIND_DIRECT;
  constexpr auto kOfSource = v1::CONVERSATION_KIND_SOURCE;
  const std::string presence =
      "<presence xmlns='jabber:client' from='a@x/phone'><show>away</show>"
      "<status>lunch</status></presence>";
  const std::string iq = "<iq xmlns='jabber:client' type='get' id='1' from='a@x/phone' to='x'/>";
  const std::string subject = message("type='groupchat'", "<subject>plan</subject>");
  const std::string invite =
      message("from='a@x/phone' to='r@muc.x'",
              "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='b@x'/></x>");
  const std::string config =
      "<iq xmlns='jabber:client' type='set'><query xmlns='http://jabber.org/protocol/muc#owner'>"
      "<x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'>"
      "<value>New</value></field></x></query></iq>";
  const std::string who = "target='b@x' target-nick='Bob' ";
  return {
      {"e_AUTH", kPerson + "ptype='iq'", iq, E::kOther, kAttempt, kOfPerson, kRecord, "", R::kFree},
      {"e_REGISTER", kPerson, "", E::kOther, kAttempt, kOfPerson, kRecord, "", R::kFree},
      {"e_SESSION", kPerson + "client='Conv' peer='::1'", "", E::kLogin, kAttempt, kOfPerson,
       kRecord, "", R::kFree},
      {"es_END", kPerson + "reason='bye'", "", E::kLogout, kDone, kOfPerson, kRecord, "", R::kFree},
      {"es_OUT", kPerson + "ptype='message'", kChat, E::kMessagePosted, kAttempt, kDirect, kRecord,
       "hi", R::kFree},
      {"es_IN", kPerson + "ptype='message'", kChat, E::kMessagePosted, kDone, kDirect, kEvidence,
       "hi", R::kFree},
      {"e_DELIVER", kPerson + "ptype='message'", kChat, E::kMessagePosted, kDone, kDirect,
       kEvidence, "hi", R::kFree},
      {"e_OFFLINE", kPerson + "ptype='message'", kChat, E::kMessageDelivered, kDone, kDirect,
       kEvidence, "", R::kFree},
      {"e_SERVER", kPerson + "ptype='iq'", iq, E::kOther, kDone, kOfPerson, kRecord, "", R::kFree},
      {"e_STATS", "", "", E::kOther, kDone, kOfSource, kRecord, "", R::kFree},
      {"e_DISCOFEAT", kPerson, iq, E::kOther, kDone, kOfPerson, kRecord, "", R::kFree},
      {"e_PRISESSION", kPerson, "", E::kOther, kDone, kOfPerson, kRecord, "", R::kFree},
      {"onServicePacket", kPerson, iq, E::kOther, kAttempt, kOfPerson, kRecord, "", R::kFree},
      {"onBeforeRoomCreate", kRoom + "persistent='1'", "", E::kRoomCreated, kAttempt, kInRoom,
       kEvidence, "", R::kFree},
      {"onAfterRoomCreate", kRoom, "", E::kRoomCreated, kDone, kInRoom, kRecord, "", R::kPassSame},
      {"onServiceDiscoInfo", kPerson, iq, E::kOther, kDone, kOfPerson, kRecord, "", R::kPassOnly},
      {"onServiceReconfig", "", "", E::kOther, v1::PHASE_NOTICE, kOfSource, kRecord, "", R::kNone},
      {"onDestroy", kRoom + "reason='done' alternate='s@muc.x'", "", E::kRoomDestroyed, kDone,
       kInRoom, kRecord, "", R::kPassOnly},
      {"onClose", kRoom, "", E::kRoomDestroyed, kAttempt, kInRoom, kRecord, "", R::kFree},
      {"onPacket", kRoom + who, message("type='chat' to='r@muc.x/Bob'", "<body>psst</body>"),
       E::kMessagePosted, kAttempt, kInRoom, kRecord, "psst", R::kFree},
      {"onMetaInfoGet", kRoom, "", E::kOther, kDone, kInRoom, kRecord, "", R::kPassOnly},
      {"onBeforeMetaInfoSet", kRoom, config, E::kRoomConfigured, kAttempt, kInRoom, kEvidence, "",
       R::kFree},
      {"onAfterMetaInfoSet", kRoom, config, E::kRoomConfigured, kDone, kInRoom, kRecord, "",
       R::kPassEmpty},
      {"onExamineRoom", kRoom, iq, E::kOther, kDone, kInRoom, kRecord, "", R::kPassOnly},
      {"onBeforeChangeUser", kRoom + "what='role' role='visitor' old-role='participant' " + who, "",
       E::kRoleChanged, kAttempt, kInRoom, kEvidence, "", R::kFree},
      {"onAfterChangeUser", kRoom + "what='nick' old-nick='Ann' new-nick='Anna'", "",
       E::kNicknameChanged, kDone, kInRoom, kRecord, "", R::kPassEmpty},
      {"onBeforeChangeAffiliation", kRoom + "affiliation='owner' old-affiliation='member' " + who,
       "", E::kAffiliationChanged, kAttempt, kInRoom, kEvidence, "", R::kFree},
      {"onAfterChangeAffiliation", kRoom + "affiliation='owner' " + who, "", E::kAffiliationChanged,
       kDone, kInRoom, kRecord, "", R::kPassEmpty},
      {"onBeforeRemoveAffiliation", kRoom + who, "", E::kAffiliationChanged, kAttempt, kInRoom,
       kEvidence, "", R::kFree},
      {"onAfterRemoveAffiliation", kRoom + who, "", E::kAffiliationChanged, kDone, kInRoom, kRecord,
       "", R::kPassSame},
      {"onBeforeJoin", kRoom + "role='participant' affiliation='none'", presence, E::kJoined,
       kAttempt, kInRoom, kEvidence, "", R::kFree},
      {"onAfterJoin", kRoom + "role='participant'", presence, E::kJoined, kDone, kInRoom, kRecord,
       "", R::kPassEmpty},
      {"onLeave", kRoom + "reason='kicked'", "", E::kLeft, kDone, kInRoom, kRecord, "",
       R::kPassOnly},
      {"onBeforeSubject", kRoom, subject, E::kSubjectChanged, kAttempt, kInRoom, kEvidence, "plan",
       R::kFree},
      {"onAfterSubject", kRoom, subject, E::kSubjectChanged, kDone, kInRoom, kRecord, "plan",
       R::kPassEmpty},
      {"onBeforeInvite", kRoom, invite, E::kInvited, kAttempt, kInRoom, kEvidence, "", R::kFree},
      {"onAfterInvite", kRoom + who, invite, E::kInvited, kDone, kInRoom, kRecord, "",
       R::kPassEmpty},
      {"onHistory", kRoom + "history-max='20' history-from='2026-11-22T15:00:00Z'", "",
       E::kHistoryRead, kDone, kInRoom, kRecord, "", R::kPassOnly},
      {"onBeforeSend", kRoom, kPost, E::kMessagePosted, kAttempt, kInRoom, kEvidence,
       "h\xC3\xA9llo", R::kFree},
      {"onBeforeBroadcast", kRoom + "stanza-id='s1'", kPost, E::kMessagePosted, kDone, kInRoom,
       kRecord, "h\xC3\xA9llo", R::kFree},
  };
}

v1::Event completed(const DecodedEvent& decoded) {
  const Completer completer(*Profile::create("all"), {});
  v1::Event event = decoded.event;
  event.mutable_source()->set_name("xcp");
  auto complete = completer.complete(event);
  EXPECT_TRUE(complete.has_value()) << complete.error().to_string();
  return complete.has_value() ? complete->event : event;
}

TEST(VerbatimCodec, DecodesEachOfThe40Events) {
  const std::vector<Row> all = rows();
  ASSERT_EQ(all.size(), event_names().size());
  for (size_t i = 0; i < all.size(); ++i) {
    const Row& row = all[i];
    ASSERT_EQ(row.name, event_names()[i].name);
    SCOPED_TRACE(row.name);
    const std::string raw =
        xdb_of("name='" + std::string(row.name) + "' " + row.attributes, row.stanza);
    const DecodedEvent decoded = decode(raw);
    EXPECT_TRUE(decoded.is_understood) << decoded.event.other().reason();
    EXPECT_EQ(decoded.reply_class, row.reply_class);
    EXPECT_EQ(decoded.boot, 7u);
    EXPECT_EQ(decoded.sequence, 17u);
    const v1::Event event = completed(decoded);
    EXPECT_EQ(event.body_case(), row.body);
    EXPECT_EQ(event.phase(), row.phase);
    EXPECT_EQ(event.conversation().kind(), row.conversation);
    EXPECT_EQ(event.role(), row.role);
    EXPECT_EQ(event.original_text().plain(), row.text);
    EXPECT_EQ(event.has_original_text(), !std::string(row.text).empty());
    EXPECT_EQ(event.raw(), raw);
    EXPECT_EQ(event.source().raw_event(), row.name);
    EXPECT_EQ(event.source().node(), "node.x");
    EXPECT_EQ(event.source_time_unix_ns(), 1'795'363'200'500'000'000);
    if (row.conversation == v1::CONVERSATION_KIND_ROOM) {
      EXPECT_EQ(event.conversation().key(), "r@muc.x");
      EXPECT_EQ(event.conversation().name(), "Room");
      EXPECT_EQ(event.actor().nickname(), "Ann");
    }
    if (row.conversation == v1::CONVERSATION_KIND_DIRECT) {
      EXPECT_EQ(event.conversation().key(), "a@x b@x");
    }
    if (row.conversation != v1::CONVERSATION_KIND_SOURCE) {
      EXPECT_EQ(event.actor().address(), "a@x/phone");
      EXPECT_EQ(event.actor().normalised(), "a@x");
    }
  }
}

TEST(VerbatimCodec, WhatTheNodeOnlyTellsHasHappened) {
  EXPECT_FALSE(decode("name='onClose' " + kRoom, "").is_told);
  const DecodedEvent decoded = decode("told='1' name='onClose' " + kRoom, "");
  EXPECT_TRUE(decoded.is_told);
  EXPECT_EQ(decoded.event.phase(), v1::PHASE_CONFIRMED);
}

TEST(VerbatimCodec, TheSourceKeyIsTheRequestNotTheStream) {
  const std::string raw = xdb_of("name='es_END' actor='a@x/p'", "");
  const v1::SourceKey::Link key = decode(raw).event.source_key().link();
  EXPECT_EQ(key.component(), "op-v");
  EXPECT_EQ(key.from(), "tc-1.node.x");
  EXPECT_EQ(key.id(), "eb-7-1");
  EXPECT_EQ(key.payload_sha256(), base::sha256(xdb_payload(raw)));
}

TEST(VerbatimCodec, FillsTheBodies) {
  v1::Event event = decode("name='e_SESSION' actor='a@x/p' client='C' peer='::1'", "").event;
  EXPECT_EQ(event.login().client(), "C");
  EXPECT_EQ(event.login().peer_address(), "::1");
  event = decode("name='onDestroy' reason='done' alternate='s@muc.x' " + kRoom, "").event;
  EXPECT_EQ(event.room_destroyed().reason(), "done");
  EXPECT_EQ(event.room_destroyed().alternate_address(), "s@muc.x");
  EXPECT_FALSE(event.room_destroyed().by_service());
  EXPECT_TRUE(decode("name='onClose' " + kRoom, "").event.room_destroyed().by_service());
  event = decode(
              "name='onAfterChangeAffiliation' affiliation='owner' old-affiliation='member' "
              "target='b@x' " +
                  kRoom,
              "")
              .event;
  EXPECT_EQ(event.affiliation_changed().old_affiliation(), "member");
  EXPECT_EQ(event.others(0).address(), "b@x");
  event = decode("name='onAfterRemoveAffiliation' target='b@x' " + kRoom, "").event;
  EXPECT_EQ(event.affiliation_changed().new_affiliation(), "none");
  event = decode("name='onHistory' history-max='20' " + kRoom, "").event;
  EXPECT_EQ(event.history_read().requested_count(), 20);
  EXPECT_EQ(decode("name='onHistory' " + kRoom, "").event.history_read().requested_count(), -1);
  event = decode("name='onHistory' actor='a@x/r'", "").event;
  EXPECT_TRUE(event.has_history_read());
  EXPECT_EQ(event.conversation().kind(), v1::CONVERSATION_KIND_PERSON);
  EXPECT_EQ(event.conversation().address(), "a@x");
  event = decode("name='onHistory' actor='a@x/r' target='b@x'", "").event;
  EXPECT_TRUE(event.has_history_read());
  EXPECT_EQ(event.conversation().kind(), v1::CONVERSATION_KIND_DIRECT);
  EXPECT_EQ(event.conversation().address(), "b@x");
  EXPECT_EQ(event.others(0).address(), "b@x");
  EXPECT_FALSE(decode("name='onHistory'", "").is_understood);
  event = decode("name='onBeforeBroadcast' stanza-id='s1' " + kRoom, kPost).event;
  EXPECT_EQ(event.references().stanza_id(), "s1");
  EXPECT_EQ(event.references().message_id(), "m1");
}

// What a sender writes into a stanza must not hide from policies who writes to whom.
TEST(VerbatimCodec, AnInvitedWhoIsNobodyLeavesTheMessageReadable) {
  const std::string invite =
      "<body>hi</body><x xmlns='http://jabber.org/protocol/muc#user'><invite to='/x'/></x>";
  const DecodedEvent direct = decode("name='es_OUT' ptype='message' " + kPerson,
                                     message("from='a@x/phone' to='b@x'", invite));
  EXPECT_TRUE(direct.is_understood);
  ASSERT_EQ(direct.event.others_size(), 1);
  EXPECT_EQ(direct.event.others(0).address(), "b@x");
  EXPECT_EQ(direct.event.original_text().plain(), "hi");
  EXPECT_TRUE(direct.event.has_message_posted());
  EXPECT_EQ(completed(direct).role(), v1::ROLE_RECORD);
  const DecodedEvent in_room =
      decode("name='onBeforeInvite' " + kRoom, message("from='a@x/phone' to='r@muc.x'", invite));
  EXPECT_TRUE(in_room.is_understood);
  EXPECT_EQ(in_room.event.others_size(), 0);
}

// Whatever stands beside words, they are a post that is recorded, and go to whom they go to.
TEST(VerbatimCodec, WordsBesideAnInvitationOrARetractionAreARecordedPost) {
  const std::string invite =
      "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='friend@x'/></x>";
  const std::string conference = "<x xmlns='jabber:x:conference' jid='t@muc.x' reason='tea'/>";
  const std::string retract = "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/>";
  const std::string words =
      "<body>psst</body><x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>";
  const struct {
    std::string attributes, stanza, other;
  } roads[] = {
      {"name='es_OUT' ptype='message' " + kPerson, "type='chat' from='a@x/phone' to='b@x'", "b@x"},
      {"name='onPacket' target='b@x/r' target-nick='Bob' " + kRoom,
       "type='chat' from='a@x/phone' to='r@muc.x/Bob'", "b@x/r"},
      {"name='onBeforeBroadcast' " + kRoom, "type='groupchat' from='a@x/phone' to='r@muc.x'", ""}};
  for (const auto& road : roads) {
    for (const std::string& ornament : {invite, conference, retract}) {
      const DecodedEvent decoded =
          decode("" + road.attributes, message(road.stanza, words + ornament));
      ASSERT_TRUE(decoded.event.has_message_posted()) << road.attributes << ornament;
      EXPECT_EQ(decoded.event.original_text().plain(), "psst");
      EXPECT_EQ(decoded.event.message_posted().files(0).name(), "x.exe");
      EXPECT_EQ(decoded.event.message_posted().has_retraction(), ornament == retract);
      EXPECT_EQ(decoded.event.others_size(), road.other.empty() ? 0 : 1);
      for (const v1::Party& other : decoded.event.others()) {
        EXPECT_EQ(other.address(), road.other);
      }
      EXPECT_EQ(completed(decoded).role(), v1::ROLE_RECORD) << road.attributes << ornament;
    }
  }
  const DecodedEvent direct =
      decode(roads[0].attributes, message(roads[0].stanza, words + conference));
  EXPECT_EQ(direct.event.message_posted().invitation().reason(), "tea");
  EXPECT_EQ(direct.event.references().correlation(), "t@muc.x");
}

TEST(VerbatimCodec, AnInvitationInAMessageFromAnotherServerIsRecorded) {
  const std::string invite =
      "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='friend@x'><reason>psst</reason>"
      "</invite></x>";
  for (const std::string body : {"<body>psst</body>", ""}) {
    v1::Event event = decode("name='e_DELIVER' ptype='message' actor='eve@y/r'",
                             message("from='eve@y/r' to='b@x'", body + invite))
                          .event;
    event.mutable_actor()->set_affinity(v1::AFFINITY_FEDERATED);
    EXPECT_EQ(choose_role(*Profile::create("all"), event), v1::ROLE_RECORD) << body;
    EXPECT_EQ(event.has_message_posted(), !body.empty());
    ASSERT_EQ(event.others_size(), 1);
    EXPECT_EQ(event.others(0).address(), "b@x");
  }
}

// Its records would stand with events of the room, which never come for it.
TEST(VerbatimCodec, AWhisperOfAnyKindIsRecordedAsOne) {
  for (const std::string inside :
       {"<body>psst</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/>",
        "<x xmlns='jabber:x:conference' jid='t@muc.x' reason='psst'/>"}) {
    const DecodedEvent whisper =
        decode("name='onPacket' target='b@x/r' target-nick='Bob' " + kRoom,
               message("type='chat' from='a@x/phone' to='r@muc.x/Bob'", inside));
    EXPECT_EQ(completed(whisper).role(), v1::ROLE_RECORD) << inside;
    EXPECT_EQ(whisper.event.others_size(), 1) << inside;
  }
}

TEST(VerbatimCodec, AnInvitationThroughTheRoomKeepsItsTextAndItsFiles) {
  const std::string invite =
      "<body>hi</body><x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>"
      "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='friend@x'/></x>";
  for (const std::string& attributes :
       {"name='es_OUT' ptype='message' " + kPerson, "name='onBeforeInvite' " + kRoom}) {
    const v1::Event event =
        decode(attributes, message("from='a@x/phone' to='r@muc.x'", invite)).event;
    ASSERT_TRUE(event.has_invited()) << attributes;
    EXPECT_EQ(event.original_text().plain(), "hi");
    EXPECT_EQ(event.invited().files(0).name(), "x.exe");
    ASSERT_EQ(event.others_size(), 1);
    EXPECT_EQ(event.others(0).address(), "friend@x");
  }
}

TEST(VerbatimCodec, ChangesOfAUserByWhatChanges) {
  auto what = [](const std::string& attributes) {
    return decode("name='onAfterChangeUser' " + attributes + kRoom, "").event;
  };
  EXPECT_TRUE(what("what='join' role='participant' ").has_joined());
  EXPECT_TRUE(what("what='leave' ").has_left());
  EXPECT_TRUE(what("what='presence' ").has_presence_changed());
  EXPECT_TRUE(what("role='moderator' old-role='visitor' ").has_role_changed());
  EXPECT_TRUE(what("old-nick='a' new-nick='b' ").has_nickname_changed());
  // A corroborated join must not move participation.
  const DecodedEvent joined = decode("name='onAfterChangeUser' what='join' " + kRoom, "");
  EXPECT_EQ(completed(joined).role(), v1::ROLE_EVIDENCE);
}

TEST(VerbatimCodec, AKickNamesWhoActedAndWhoLeft) {
  const v1::Event event =
      decode("name='onLeave' reason='kicked' target='b@x/r' target-nick='Bob' " + kRoom, "").event;
  EXPECT_EQ(event.actor().address(), "a@x/phone");
  ASSERT_EQ(event.others_size(), 1);
  EXPECT_EQ(event.others(0).nickname(), "Bob");
}

// So that a policy and the archive know whom it went to.
TEST(VerbatimCodec, APrivateMessageNamesThePersonBehindTheNickname) {
  const std::string to = "to='r@muc.x/Bob' type='chat' from='a@x/phone'";
  const std::string attributes = "name='onPacket' target='b@x/r' target-nick='Bob' " + kRoom;
  for (const char* const further : {"", "<replace xmlns='urn:xmpp:message-correct:0' id='m0'/>",
                                    "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/>"}) {
    const v1::Event event =
        decode(attributes, message(to, std::string("<body>psst</body>") + further)).event;
    ASSERT_EQ(event.others_size(), 1) << further;
    EXPECT_EQ(event.others(0).address(), "b@x/r");
    EXPECT_EQ(event.others(0).nickname(), "Bob");
  }
}

TEST(VerbatimCodec, GroupchatInASessionBelongsToTheRoom) {
  const v1::Event out = completed(decode("name='es_OUT' ptype='message' actor='a@x/p'", kPost));
  EXPECT_EQ(out.conversation().key(), "r@muc.x");
  EXPECT_EQ(out.role(), v1::ROLE_EVIDENCE);
  const v1::Event in = completed(
      decode("name='es_IN' ptype='message' actor='a@x/p'",
             message("type='groupchat' from='r@muc.x/Ann' to='b@x/r'", "<body>x</body>")));
  EXPECT_EQ(in.conversation().key(), "r@muc.x");
}

TEST(VerbatimCodec, APrivateMessageInARoomIsNoDirectChat) {
  const v1::Event event =
      completed(decode("name='es_OUT' ptype='message' actor='a@x/p'",
                       message("type='chat' from='a@x/p' to='r@muc.x/Bob'", "<body>psst</body>")));
  EXPECT_EQ(event.conversation().kind(), v1::CONVERSATION_KIND_ROOM);
  EXPECT_TRUE(event.message_posted().is_private());
  EXPECT_EQ(event.others(0).nickname(), "Bob");
}

// conformance: 101
TEST(VerbatimCodec, WhatIsNotUnderstoodIsKeptRaw) {
  const std::string ns = "ns='urn:x-verbatim:xcp-event:1'";
  const std::vector<std::string> cases = {
      xdb_of("name='onSomethingNew' " + kRoom, kPost),
      xdb_of("", ""),
      xdb_of("name='onBeforeSend'", ""),                               // no room
      xdb_of("name='es_OUT' ptype='message'", ""),                     // no stanza
      xdb_of("name='es_OUT'", message("to='b@x'", "<body>x</body>")),  // no actor
      xdb_of("name='e_SESSION'", ""),
      xdb_of("name='onBeforeSubject' " + kRoom, kPost),
      xdb_of("name='onBeforeJoin' actor='a@x' room='/'", ""),
      xdb_of("name='onBeforeJoin' actor='" + std::string(5000, 'a') + "' room='r@muc.x'", ""),
      xdb_of("name='x-snapshot'", "<what xmlns='urn:x-verbatim:xcp-event:1'/>"),
      "<xdb id='1' type='get' from='a' to='b' " + ns + "/>",
      "<xdb type='get' " + ns + "><event/></xdb>",
      "<xdb id='1' type='get' from='a' to='b' " + ns + ">text</xdb>",
  };
  for (const std::string& raw : cases) {
    const DecodedEvent decoded = decode(raw);
    EXPECT_FALSE(decoded.is_understood) << raw;
    const v1::Event event = completed(decoded);
    EXPECT_EQ(event.other().name(), "undecodable") << raw;
    EXPECT_FALSE(event.other().reason().empty());
    EXPECT_EQ(event.raw(), raw);
    EXPECT_EQ(event.conversation().kind(), v1::CONVERSATION_KIND_SOURCE);
  }
}

TEST(VerbatimCodec, ARoomsPasswordIsNotWrittenIntoTheSettings) {
  const std::string config =
      "<iq xmlns='jabber:client' type='set'><query xmlns='http://jabber.org/protocol/muc#owner'>"
      "<x xmlns='jabber:x:data'><field var='muc#roomconfig_roomsecret'><value>pw</value></field>"
      "<field var='muc#roomconfig_roomadmins'><value>a@x</value><value>b@x</value></field>"
      "</x></query></iq>";
  const auto settings =
      decode("name='onAfterMetaInfoSet' " + kRoom, config).event.room_configured().settings();
  EXPECT_EQ(settings.at("muc#roomconfig_roomsecret"), "(set)");
  EXPECT_EQ(settings.at("muc#roomconfig_roomadmins"), "a@x\nb@x");
}

TEST(VerbatimCodec, EncodesAnswersInTheNamespaceOfTheStream) {
  const VerbatimCodec codec;
  const Xdb xdb{.id = "1", .from = "jsm-1.n", .to = "op-v", .ns = codec.ns(), .type = "get"};
  const std::string head = " from='op-v' to='jsm-1.n' ns='urn:x-verbatim:xcp-event:1'>";
  EXPECT_EQ(
      codec.encode(xdb, {}, "jabber:client"),
      "<xdb id='1' type='result'" + head + "<pass xmlns='urn:x-verbatim:xcp-event:1'/></xdb>");
  EXPECT_EQ(
      codec.encode(xdb, {Reply::Kind::kHandle, {}, {}}, "jabber:client"),
      "<xdb id='1' type='result'" + head + "<handle xmlns='urn:x-verbatim:xcp-event:1'/></xdb>");
  EXPECT_EQ(codec.encode(xdb, {Reply::Kind::kError, {}, "late"}, "jabber:client"),
            "<xdb id='1' type='error'" + head + "<error code='500' type='wait'>late</error></xdb>");
  EXPECT_EQ(codec.encode(xdb, {Reply::Kind::kError, {}, "no", true}, "jabber:client"),
            "<xdb id='1' type='error'" + head + "<error code='403' type='cancel'>no</error></xdb>");
  Reply changed{Reply::Kind::kPassStanza, parse_xml("<message xmlns='jabber:client'/>"), {}};
  EXPECT_EQ(codec.encode(xdb, changed, "jabber:component:accept"),
            "<xdb id='1' type='result'" + head +
                "<pass xmlns='urn:x-verbatim:xcp-event:1'>"
                "<message xmlns='jabber:client'/></pass></xdb>");
}

}  // namespace
}  // namespace verbatim::collector
