#include "collector/sources/xcp/codec/message_facts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "collector/sources/xcp/codec/test_xml.h"

namespace verbatim::collector {
namespace {

using Kind = MessageFacts::Kind;

MessageFacts read(const std::string& attributes, const std::string& children,
                  const MessageContext& context = {}) {
  return read_message(
      parse_xml("<message xmlns='jabber:client' " + attributes + ">" + children + "</message>"),
      context);
}

const MessageContext kRoomCopy = {.room = "r@muc.x", .are_ids_trusted = true, .is_delivery = true};
const MessageContext kRoomPost = {.room = "r@muc.x"};

TEST(MessageFacts, APostKeepsItsTextToTheLetter) {
  const MessageFacts facts = read("id='m1' xml:lang='en'",
                                  "<body> a &lt;b&gt; &amp; \n\xD7\xA9 \xF0\x9F\x98\x80 </body>"
                                  "<html xmlns='http://jabber.org/protocol/xhtml-im'><body "
                                  "xmlns='http://www.w3.org/1999/xhtml'><b>a</b></body></html>"
                                  "<reply xmlns='urn:xmpp:reply:0' id='m0'/>");
  EXPECT_EQ(facts.kind, Kind::kPosted);
  EXPECT_EQ(facts.text.plain(), " a <b> & \n\xD7\xA9 \xF0\x9F\x98\x80 ");
  EXPECT_EQ(facts.text.language(), "en");
  EXPECT_EQ(facts.text.rich_media_type(), "application/xhtml+xml");
  EXPECT_EQ(facts.references.message_id(), "m1");
  EXPECT_EQ(facts.references.reply_to_id(), "m0");
}

TEST(MessageFacts, AnEmptyBodyIsATextAndNoBodyIsNone) {
  EXPECT_TRUE(read("", "<body/>").has_text);
  EXPECT_EQ(read("", "<body/>").kind, Kind::kPosted);
  EXPECT_FALSE(read("", "").has_text);
}

TEST(MessageFacts, EditsAndRetractionsNameTheFirstVersion) {
  const MessageFacts edit =
      read("id='m2'", "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>");
  EXPECT_EQ(edit.kind, Kind::kEdited);
  EXPECT_EQ(edit.references.target_message_id(), "m1");
  EXPECT_EQ(edit.text.plain(), "new");
  const MessageFacts retraction =
      read("id='m3'",
           "<retract xmlns='urn:xmpp:message-retract:1' id='s1'/><body>gone</body>"
           "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>");
  EXPECT_EQ(retraction.kind, Kind::kDeleted);
  EXPECT_EQ(retraction.references.target_message_id(), "s1");
  EXPECT_EQ(retraction.text.plain(), "gone");
  const MessageFacts old = read("",
                                "<apply-to xmlns='urn:xmpp:fasten:0' id='o1'>"
                                "<retract xmlns='urn:xmpp:message-retract:0'/></apply-to>");
  EXPECT_EQ(old.kind, Kind::kDeleted);
  EXPECT_EQ(old.references.target_message_id(), "o1");
}

TEST(MessageFacts, OnlyTheRoomItselfModerates) {
  const std::string moderated =
      "<retract xmlns='urn:xmpp:message-retract:1' id='s1'>"
      "<moderated xmlns='urn:xmpp:message-moderate:1' by='r@muc.x/mod'/>"
      "<reason>spam</reason></retract>";
  const MessageFacts real = read("type='groupchat' from='r@muc.x'", moderated, kRoomCopy);
  EXPECT_EQ(real.kind, Kind::kDeleted);
  EXPECT_TRUE(real.retraction->by_moderator());
  EXPECT_EQ(real.retraction->reason(), "spam");
  EXPECT_FALSE(
      read("type='groupchat' from='r@muc.x/eve'", moderated, kRoomCopy).retraction->by_moderator());
  const std::string body = "<body>a message was removed</body>";
  EXPECT_EQ(read("type='groupchat' from='r@muc.x'", moderated + body, kRoomCopy).kind,
            Kind::kDeleted);
}

// Who marks a post as a retraction must not get it past those who look at posts.
TEST(MessageFacts, WordsFilesAndEncryptionBesideARetractionArePosted) {
  const std::string retract = "<retract xmlns='urn:xmpp:message-retract:1' id='nonsense'/>";
  const std::string fallback =
      "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'";
  for (const std::string type : {"type='chat'", "type='groupchat'"}) {
    const std::vector<std::string> contents = {
        "<body>secret</body>",
        "<x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>",
        "<encrypted xmlns='urn:xmpp:omemo:2'/>",
        "<body>part</body>" + fallback + "><body start='0' end='2'/></fallback>",
        "<body>of something else</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:other'/>",
        "<body>and a file</body><x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>" +
            fallback + "/>"};
    for (const std::string& content : contents) {
      const MessageFacts facts = read(type, retract + content);
      EXPECT_EQ(facts.kind, Kind::kPosted) << content;
      EXPECT_TRUE(facts.retraction.has_value());
      EXPECT_EQ(facts.references.target_message_id(), "nonsense");
    }
    EXPECT_EQ(read(type, retract).kind, Kind::kDeleted);
    EXPECT_EQ(read(type, retract + "<body>b</body>" + fallback + "><body/></fallback>").kind,
              Kind::kDeleted);
  }
}

TEST(MessageFacts, ASubjectHasNeitherBodyNorThread) {
  EXPECT_EQ(read("type='groupchat'", "<subject>s</subject>").kind, Kind::kSubject);
  EXPECT_EQ(read("type='groupchat'", "<subject/>").kind, Kind::kSubject);
  EXPECT_EQ(read("type='groupchat'", "<subject>s</subject><body>b</body>").kind, Kind::kPosted);
  EXPECT_EQ(read("type='chat'", "<subject/>").kind, Kind::kNotice);
}

TEST(MessageFacts, ASubjectThatIsNotTheRoomsIsReadAsAText) {
  const MessageFacts chat = read("type='chat'", "<subject>s</subject>");
  EXPECT_EQ(chat.kind, Kind::kPosted);
  EXPECT_EQ(chat.text.plain(), "s");
  EXPECT_EQ(read("type='groupchat'", "<subject>s</subject><thread>t</thread>").kind, Kind::kPosted);
  // A file beside the room's subject is not lost with it.
  EXPECT_EQ(read("type='groupchat'",
                 "<subject>s</subject><x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>")
                .kind,
            Kind::kPosted);
}

TEST(MessageFacts, InvitationsMediatedDeclinedAndDirect) {
  const std::string user = "<x xmlns='http://jabber.org/protocol/muc#user'>";
  const MessageFacts mediated =
      read("to='r@muc.x'", user + "<invite to='b@x'><reason>come</reason></invite></x>", kRoomPost);
  EXPECT_EQ(mediated.kind, Kind::kInvited);
  EXPECT_EQ(mediated.invited, "b@x");
  EXPECT_EQ(mediated.invitation->reason(), "come");
  EXPECT_FALSE(mediated.invitation->is_direct());
  const MessageFacts declined = read("to='r@muc.x'", user + "<decline to='a@x'/></x>", kRoomPost);
  EXPECT_EQ(declined.kind, Kind::kInvited);
  EXPECT_TRUE(declined.invitation->declined());
  const std::string direct = "<x xmlns='jabber:x:conference' jid='r@muc.x' reason='come'/>";
  EXPECT_EQ(read("", direct).kind, Kind::kInvited);
  EXPECT_TRUE(read("", direct).invitation->is_direct());
  EXPECT_EQ(read("", direct).invitation->reason(), "come");
  EXPECT_EQ(read("", direct).room, "r@muc.x");
  EXPECT_EQ(read("type='groupchat'", direct + "<body>b</body>").kind, Kind::kPosted);
}

TEST(MessageFacts, AnInvitationBesideWordsFilesOrEncryptionIsAPost) {
  const std::string conference = "<x xmlns='jabber:x:conference' jid='r@muc.x' reason='come'/>";
  const std::string invite =
      "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='friend@x'/></x>";
  for (const std::string& ornament : {conference, invite}) {
    for (const char* const content :
         {"<body>secret</body>", "<subject>secret</subject>",
          "<x xmlns='jabber:x:oob'><url>https://u.x/x.exe</url></x>",
          "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
          "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>",
          "<body>b</body><retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"
          "<fallback xmlns='urn:xmpp:fallback:0'/>"}) {
      const MessageFacts facts = read("type='chat' to='b@x'", ornament + content);
      EXPECT_EQ(facts.kind, Kind::kPosted) << ornament << content;
      EXPECT_TRUE(facts.invitation->is_direct());
      EXPECT_EQ(facts.invited, "");  // nobody has invited that friend
    }
  }
  // A whisper, at the session and at the room; a message from another server; all of a room.
  const std::string words = "<body>psst</body>" + invite;
  EXPECT_EQ(read("type='chat' to='r@muc.x/Bob'", words, kRoomPost).kind, Kind::kPosted);
  EXPECT_EQ(read("from='eve@y'", words, {.room = "", .is_delivery = true}).kind, Kind::kPosted);
  EXPECT_EQ(read("type='groupchat' to='r@muc.x'", words, kRoomPost).kind, Kind::kPosted);
  EXPECT_EQ(read("type='groupchat' to='r@muc.x'", invite, kRoomPost).kind, Kind::kPosted);
}

TEST(MessageFacts, WhatTheRoomWritesBesideItsInvitationLeavesItOne) {
  const std::string invite =
      "<body>Ann invites you</body>"
      "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@x'/></x>";
  const MessageFacts facts = read("from='r@muc.x' to='b@x'", invite, kRoomCopy);
  EXPECT_EQ(facts.kind, Kind::kInvited);
  EXPECT_FALSE(facts.invitation->is_direct());
  EXPECT_EQ(facts.text.plain(), "Ann invites you");
  EXPECT_EQ(read("from='r@muc.x/Eve' to='b@x'", invite, kRoomCopy).kind, Kind::kPosted);
}

TEST(MessageFacts, FilesByLinkAndBySharing) {
  const MessageFacts facts =
      read("",
           "<body>https://up.x/d/a.pdf</body>"
           "<x xmlns='jabber:x:oob'><url>https://up.x/d/a.pdf?k=1</url></x>"
           "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>"
           "<name>b.png</name><media-type>image/png</media-type><size>42</size></file>"
           "<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://u/b'/>"
           "</sources></file-sharing>");
  EXPECT_EQ(facts.kind, Kind::kPosted);
  ASSERT_EQ(facts.files.size(), 2u);
  EXPECT_EQ(facts.files[0].name(), "a.pdf");
  EXPECT_EQ(facts.files[0].size_bytes(), -1);
  EXPECT_EQ(facts.files[1].url(), "https://u/b");
  EXPECT_EQ(facts.files[1].size_bytes(), 42);
}

TEST(MessageFacts, CopiesAreNoPostsUnlessTheyCarryABodyOfTheirOwn) {
  const std::string forwarded =
      "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>old</body>"
      "</message></forwarded>";
  for (const std::string word : {"sent", "received"}) {
    const std::string carbon =
        "<" + word + " xmlns='urn:xmpp:carbons:2'>" + forwarded + "</" + word + ">";
    EXPECT_EQ(read("", carbon).kind, Kind::kNotice);
    EXPECT_EQ(read("", carbon).notice, "carbon copy");
    EXPECT_EQ(read("", carbon + "<body>hidden</body>").kind, Kind::kPosted);
  }
  EXPECT_EQ(read("", forwarded).notice, "forwarded copy");
}

TEST(MessageFacts, ADelayFromTheRoomIsHistoryOnlyOnTheWayToARecipient) {
  const std::string replay =
      "<body>old</body><delay xmlns='urn:xmpp:delay' from='r@muc.x' stamp='2026-01-01T00:00:00Z'/>";
  const std::string attributes = "type='groupchat' from='r@muc.x/nick'";
  EXPECT_EQ(read(attributes, replay, kRoomCopy).notice, "history replay");
  // What a user sends with a delay is a new post: the delay is the user's claim.
  EXPECT_EQ(read(attributes, replay, {.room = "r@muc.x"}).kind, Kind::kPosted);
  const std::string elsewhere = "<body>x</body><delay xmlns='urn:xmpp:delay' from='eve@x'/>";
  EXPECT_EQ(read(attributes, elsewhere, kRoomCopy).kind, Kind::kPosted);
}

TEST(MessageFacts, HintsNotToStoreAreIgnored) {
  EXPECT_EQ(read("",
                 "<body>b</body><no-store xmlns='urn:xmpp:hints'/>"
                 "<no-permanent-store xmlns='urn:xmpp:hints'/>")
                .kind,
            Kind::kPosted);
}

TEST(MessageFacts, EncryptedMessagesSaySo) {
  const MessageFacts facts =
      read("",
           "<encrypted xmlns='eu.siacs.conversations.axolotl'/>"
           "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>"
           "<body>I sent you an encrypted message</body>");
  EXPECT_TRUE(facts.is_encrypted);
  EXPECT_EQ(facts.kind, Kind::kPosted);
  EXPECT_EQ(read("", "<encrypted xmlns='urn:xmpp:omemo:2'/>").kind, Kind::kPosted);
}

TEST(MessageFacts, OnlyTheRoomsStanzaIdCounts) {
  const std::string ids =
      "<body>b</body><stanza-id xmlns='urn:xmpp:sid:0' by='eve@x' id='forged'/>"
      "<stanza-id xmlns='urn:xmpp:sid:0' by='r@muc.x' id='real'/>";
  EXPECT_EQ(read("type='groupchat'", ids, kRoomCopy).references.stanza_id(), "real");
  EXPECT_EQ(read("type='groupchat'", ids, {.room = "r@muc.x"}).references.stanza_id(), "");
  EXPECT_EQ(read("type='chat'", ids, {.room = "", .are_ids_trusted = true}).references.stanza_id(),
            "");
}

TEST(MessageFacts, WhatSaysNothingIsANotice) {
  const std::pair<std::string, std::string> notices[] = {
      {"<active xmlns='http://jabber.org/protocol/chatstates'/>", "chat state"},
      {"<received xmlns='urn:xmpp:receipts' id='1'/>", "receipt"},
      {"<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", "marker"},
      {"<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions>",
       "reaction"},
      {"", "no content"},
  };
  for (const auto& [xml, notice] : notices) {
    EXPECT_EQ(read("", xml).kind, Kind::kNotice);
    EXPECT_EQ(read("", xml).notice, notice);
    EXPECT_EQ(read("", xml + "<body>b</body>").kind, Kind::kPosted);
  }
  EXPECT_EQ(read("type='error'", "<body>b</body><error type='cancel'/>").notice, "error");
  EXPECT_EQ(read("type='error'", "<body>b</body>").kind, Kind::kPosted);
}

}  // namespace
}  // namespace verbatim::collector
