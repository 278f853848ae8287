#include "collector/sources/xcp/codec/stanza_change.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::collector {
namespace {

constexpr const char* kStanza =
    "<message xmlns='jabber:client' type='chat' id='m1' from='a@x/r' to='b@x'><body>hello</body>"
    "</message>";

std::string changed(const std::string& from, const std::string& to) {
  std::string stanza = kStanza;
  return stanza.replace(stanza.find(from), from.size(), to);
}

v1::Event event() {
  v1::Event event;
  event.set_raw(std::string("<xdb id='1' to='>'><event name='es_OUT'>") + kStanza +
                "</event></xdb>");
  event.mutable_original_text()->set_plain("hello");
  event.mutable_message_posted();
  return event;
}

TEST(StanzaChange, TheStanzaIsFoundWithinTheBytesAsReceived) {
  EXPECT_EQ(stanza_within(event().raw()), kStanza);
  EXPECT_EQ(stanza_within("<xdb><event name='e_SESSION'/></xdb>"), "");
  EXPECT_EQ(stanza_within(""), "");
}

TEST(StanzaChange, AChangedBodyIsTheFinalTextAndAllElseStays_C037) {
  const auto after = apply_stanza_change(event(), changed("hello", "h***o"));
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->final_text().plain(), "h***o");
  EXPECT_EQ(after->original_text().plain(), "hello");
  EXPECT_EQ(after->raw(), event().raw());
}

TEST(StanzaChange, ABodyTakenAwayIsAnEmptyFinalText) {
  const auto after = apply_stanza_change(event(), changed("<body>hello</body>", ""));
  ASSERT_TRUE(after.has_value());
  EXPECT_TRUE(after->has_final_text());
  EXPECT_EQ(after->final_text().plain(), "");
}

TEST(StanzaChange, AChangeBesideTheTextLeavesNoFinalText) {
  const auto after = apply_stanza_change(event(), changed("</body>", "</body><x xmlns='urn:y'/>"));
  ASSERT_TRUE(after.has_value());
  EXPECT_FALSE(after->has_final_text());
}

TEST(StanzaChange, WhoSaysWhatToWhomIsNotForAPolicyToChange) {
  for (const auto& [from, to] :
       {std::pair{"id='m1'", "id='m2'"}, std::pair{"from='a@x/r'", "from='c@x/r'"},
        std::pair{"to='b@x'", "to='c@x'"}, std::pair{"type='chat'", "type='groupchat'"},
        std::pair{" id='m1'", ""}}) {
    EXPECT_EQ(apply_stanza_change(event(), changed(from, to)).error().code(),
              StatusCode::kInvalidArgument)
        << to;
  }
  EXPECT_FALSE(apply_stanza_change(event(),
                                   "<presence xmlns='jabber:client' type='chat' id='m1' "
                                   "from='a@x/r' to='b@x'/>")
                   .has_value());
}

TEST(StanzaChange, OnlyOneWholeStanzaIsTaken_C102) {
  const std::string stanza = kStanza;
  for (const std::string& wrong :
       {std::string(), std::string("text"), stanza + stanza, stanza.substr(0, 60),
        stanza + "</stream:stream>", stanza + "<", std::string("<message xmlns='other'/>"),
        stanza + "\xFF", std::string("<!DOCTYPE x>") + stanza}) {
    EXPECT_FALSE(parse_stanza(wrong).has_value()) << wrong;
  }
  for (size_t size = 0; size < stanza.size(); ++size) {
    EXPECT_FALSE(parse_stanza(stanza.substr(0, size)).has_value()) << size;
  }
  EXPECT_TRUE(parse_stanza(stanza).has_value());
}

}  // namespace
}  // namespace verbatim::collector
