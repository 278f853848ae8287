#include "adapters/ethicalwall/wall_event.h"

#include <gtest/gtest.h>

namespace verbatim::wall {
namespace {

v1::Event direct() {
  v1::Event event;
  event.set_accept_time_unix_ns(7);
  event.mutable_actor()->set_address("Ann@x/phone");
  event.mutable_actor()->set_normalised("ann@x");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
  event.add_others()->set_address("bob@y/desk");
  return event;
}
v1::Event room() {
  v1::Event event = direct();
  event.clear_others();
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address("Desk@rooms.x");
  return event;
}
std::string text(const v1::Event& event) {
  const WallEvent wall = read_event(event);
  std::string all;
  for (const Kind kind : wall.kinds) all += std::string(kind_name(kind)) + " ";
  all += wall.actor.address + " >";
  for (const Person& other : wall.others) all += " " + other.address;
  return all;
}

TEST(WallEventTest, AMessageGoesToItsRecipient) {
  v1::Event event = direct();
  event.mutable_message_posted();
  EXPECT_EQ(text(event), "message ann@x > bob@y");
  EXPECT_EQ(read_event(event).unix_ns, 7);
  event.mutable_message_posted()->add_files();
  EXPECT_EQ(text(event), "message file ann@x > bob@y");
  event.mutable_other()->set_reason("chat state");
  EXPECT_EQ(text(event), "message ann@x > bob@y");
}

TEST(WallEventTest, APostGoesToTheRoomAndACopyToItsRecipientToo) {
  v1::Event event = room();
  event.mutable_message_posted();
  EXPECT_EQ(text(event), "room ann@x > desk@rooms.x");
  event.add_others()->set_address("bob@y/desk");  // es_IN
  EXPECT_EQ(text(event), "room ann@x > bob@y desk@rooms.x");
  event.mutable_message_posted()->set_is_private(true);
  event.mutable_others(0)->set_address("desk@rooms.x/Bob");
  EXPECT_EQ(text(event), "message ann@x > desk@rooms.x");
  event.mutable_others(0)->set_address("bob@y/desk");  // onPacket, which says who it is
  EXPECT_EQ(text(event), "message ann@x > bob@y desk@rooms.x");
}

TEST(WallEventTest, JoiningCreatingAndAdmittingConcernTheRoom) {
  v1::Event event = room();
  event.mutable_joined();
  EXPECT_EQ(text(event), "room ann@x > desk@rooms.x");
  event.mutable_room_created();
  EXPECT_EQ(text(event), "room ann@x > desk@rooms.x");
  event.add_others()->set_address("bob@y");
  event.mutable_affiliation_changed()->set_new_affiliation("member");
  EXPECT_EQ(text(event), "room ann@x > bob@y desk@rooms.x");
  event.mutable_affiliation_changed()->set_new_affiliation("outcast");
  EXPECT_TRUE(read_event(event).kinds.empty());
}

TEST(WallEventTest, AnInvitationConcernsTheInvitedAndTheRoom) {
  v1::Event event = room();
  event.mutable_invited();
  event.add_others()->set_address("bob@y");
  EXPECT_EQ(text(event), "invite ann@x > bob@y desk@rooms.x");
  event = direct();
  event.mutable_invited()->set_is_direct(true);  // XEP-0249
  event.mutable_references()->set_correlation("desk@rooms.x");
  EXPECT_EQ(text(event), "invite ann@x > bob@y desk@rooms.x");
}

TEST(WallEventTest, AnInvitationWithWordsIsAMessageToo) {
  v1::Event event = direct();
  event.mutable_invited()->set_is_direct(true);
  event.mutable_original_text()->set_plain("psst");
  EXPECT_EQ(text(event), "invite message ann@x > bob@y");
  event.clear_original_text();
  EXPECT_EQ(text(event), "invite ann@x > bob@y");
  event.mutable_invited()->set_reason("psst");
  EXPECT_EQ(text(event), "invite message ann@x > bob@y");
  // Through the room: its reason is the room's to tell, a text or a file beside it is not.
  event = room();
  event.add_others()->set_address("bob@y");
  event.mutable_invited()->set_reason("tea?");
  EXPECT_EQ(text(event), "invite ann@x > bob@y desk@rooms.x");
  event.mutable_original_text()->set_plain("psst");
  EXPECT_EQ(text(event), "invite message ann@x > bob@y desk@rooms.x");
  event.clear_original_text();
  event.mutable_invited()->add_files();
  EXPECT_EQ(text(event), "invite message file ann@x > bob@y desk@rooms.x");
  // What the room itself writes to the invited.
  event = room();
  event.add_others()->set_address("bob@y");
  event.mutable_actor()->set_normalised("desk@rooms.x");
  event.mutable_invited();
  event.mutable_original_text()->set_plain("Ann invites you");
  EXPECT_EQ(text(event), "invite desk@rooms.x > bob@y");
}

TEST(WallEventTest, AMessageWithAnInvitationIsBoth) {
  v1::Event event = direct();
  event.mutable_message_posted()->mutable_invitation()->set_is_direct(true);
  event.mutable_message_posted()->add_files();
  event.mutable_references()->set_correlation("desk@rooms.x");
  EXPECT_EQ(text(event), "message invite file ann@x > bob@y desk@rooms.x");
  event = room();
  event.mutable_message_posted()->mutable_invitation();
  EXPECT_EQ(text(event), "room invite ann@x > desk@rooms.x");
}

TEST(WallEventTest, AWhisperOfAnyKindIsAMessage) {
  v1::Event event = room();
  event.add_others()->set_address("bob@y");
  event.mutable_message_edited()->set_is_private(true);
  EXPECT_EQ(text(event), "message ann@x > bob@y desk@rooms.x");
  event.mutable_message_deleted()->set_is_private(true);
  EXPECT_EQ(text(event), "message ann@x > bob@y desk@rooms.x");
  event.mutable_message_deleted()->set_is_private(false);
  EXPECT_EQ(text(event), "room ann@x > bob@y desk@rooms.x");
}

TEST(WallEventTest, PresenceConcernsWhomItIsSentTo) {
  v1::Event event = direct();
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
  event.mutable_presence_changed();
  EXPECT_EQ(text(event), "presence ann@x > bob@y");
  event.clear_others();
  EXPECT_TRUE(read_event(event).kinds.empty());
}

TEST(WallEventTest, AFileOfferInAnIqConcernsItsRecipient) {
  v1::Event event = direct();
  event.clear_others();
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
  event.mutable_other()->set_name("es_OUT");
  event.set_raw(
      "<iq xmlns='jabber:client' type='set' to='bob@y/desk'><jingle xmlns='urn:xmpp:jingle:1'>"
      "<content><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a</name>"
      "</file></description></content></jingle></iq>");
  EXPECT_EQ(text(event), "file ann@x > bob@y");
  event.set_raw(
      "<iq xmlns='jabber:client' type='set' to='bob@y'><si xmlns='http://jabber.org/protocol/si'>"
      "<file xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='a' size='1'/></si>"
      "</iq>");
  EXPECT_EQ(text(event), "file ann@x > bob@y");
  event.set_raw("<iq xmlns='jabber:client' type='get' to='bob@y'/>");
  EXPECT_TRUE(read_event(event).kinds.empty());
  event.set_raw("<iq");
  EXPECT_TRUE(read_event(event).kinds.empty());
}

TEST(WallEventTest, WhatEndsSomethingIsNeverExamined) {
  for (const bool is_room : {true, false}) {
    v1::Event event = is_room ? room() : direct();
    event.mutable_left();
    EXPECT_TRUE(read_event(event).kinds.empty());
    event.mutable_login();
    EXPECT_TRUE(read_event(event).kinds.empty());
    event.mutable_logout();
    EXPECT_TRUE(read_event(event).kinds.empty());
    event.mutable_history_read();
    EXPECT_TRUE(read_event(event).kinds.empty());
  }
}

TEST(WallEventTest, NobodyElseIsConcernedByWhatOneSendsToOneself) {
  v1::Event event = direct();
  event.mutable_others(0)->set_address("ann@x/desk");
  event.mutable_message_posted();
  EXPECT_TRUE(read_event(event).kinds.empty());
  event.clear_actor();
  EXPECT_TRUE(read_event(event).kinds.empty());
  EXPECT_TRUE(read_event({}).kinds.empty());
}

TEST(WallEventTest, GroupsAreKnownUnlessTheDirectoryFailed) {
  v1::Event event = direct();
  event.mutable_message_posted();
  event.mutable_actor()->add_groups("CN=Traders,DC=x");
  event.mutable_others(0)->set_resolution(v1::Party::RESOLUTION_FAILED);
  const WallEvent wall = read_event(event);
  EXPECT_EQ(wall.actor.groups, (std::vector<std::string>{"cn=traders,dc=x"}));
  EXPECT_FALSE(wall.actor.are_groups_unknown);
  EXPECT_TRUE(wall.others[0].are_groups_unknown);
}

}  // namespace
}  // namespace verbatim::wall
