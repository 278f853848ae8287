#include "adapters/contentfilter/stanza_text.h"

#include <gtest/gtest.h>

#include "adapters/rules/stanza.h"

namespace verbatim::content {
namespace {

using Kind = StanzaEdit::Kind;

base::XmlElement parse(const std::string& raw) {
  const auto stanza = rules::parse_stanza(raw);
  EXPECT_TRUE(stanza) << raw;
  return stanza ? *stanza : base::XmlElement();
}
// "element:text", joined by "|".
std::string texts(const std::string& raw) {
  std::string all;
  for (const StanzaText& text : texts_of(parse(raw))) {
    all += (all.empty() ? "" : "|") + std::to_string(text.element) + ":" + text.text;
  }
  return all;
}
std::string edit(const std::string& raw, const std::vector<StanzaEdit>& edits) {
  return edit_stanza(raw, parse(raw), edits);
}

constexpr const char* kHead = "<message xmlns='jabber:client' to=\"b@y\"  from='a@x' id='1'>";

TEST(StanzaTextTest, EveryTextThatPeopleMaySeeIsFound) {
  EXPECT_EQ(
      texts(kHead + std::string("<subject>s</subject><body>b</body><body xml:lang='de'>d</body>"
                                "<x xmlns='jabber:x:oob'><url>u</url><desc>e</desc></x>"
                                "<made-up xmlns='urn:new'>n<deep>p</deep></made-up></message>")),
      "1:s|2:b|3:d|5:u|6:e|7:n|8:p");
}

TEST(StanzaTextTest, WhatMachinesReadIsLeftOut) {
  EXPECT_EQ(texts(kHead + std::string("<thread>t</thread>"
                                      "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>p"
                                      "</payload></encrypted><body>b</body></message>")),
            "4:b");
}

TEST(StanzaTextTest, XhtmlIsOneTextAndABlankStandsForATag) {
  const auto found = texts_of(
      parse(kHead + std::string("<html xmlns='http://jabber.org/protocol/xhtml-im'>"
                                "<body xmlns='http://www.w3.org/1999/xhtml'><p>se<b>cret</b></p>"
                                "<p>x</p></body></html><body>b</body></message>")));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].kind, StanzaText::Kind::kHtml);
  EXPECT_EQ(found[0].text, "secretx");
  EXPECT_NE(found[0].spaced_text.find(" cret "), std::string::npos);
  EXPECT_EQ(found[1].element, 6U);
  EXPECT_EQ(found[1].kind, StanzaText::Kind::kBody);
}

TEST(StanzaTextTest, TheReasonOfADirectInvitationIsAText) {
  EXPECT_EQ(texts(kHead +
                  std::string("<x xmlns='jabber:x:conference' jid='r@m' reason='why'/></message>")),
            "1:why");
}

TEST(StanzaTextTest, AnEditLeavesAllOtherBytesAsTheyWere) {
  const std::string raw = kHead + std::string(
                                      "<body >a &amp; <![CDATA[<b>]]>c</body>"
                                      "<active  xmlns='urn:a' q=\"'>'\"/>\n</message>");
  EXPECT_EQ(
      edit(raw, {{Kind::kSetText, 1, "x < y"}}),
      kHead + std::string("<body >x &lt; y</body><active  xmlns='urn:a' q=\"'>'\"/>\n</message>"));
}

TEST(StanzaTextTest, AnElementIsRemovedWithAllInIt) {
  EXPECT_EQ(edit(kHead + std::string("<html><body>b</body></html><body>c</body></message>"),
                 {{Kind::kRemove, 1, {}}, {Kind::kSetText, 3, "d"}}),
            kHead + std::string("<body>d</body></message>"));
}

TEST(StanzaTextTest, TextBetweenChildrenMovesToTheFirstPlace) {
  EXPECT_EQ(edit(kHead + std::string("<body>con<x xmlns='u'/>fidential</body></message>"),
                 {{Kind::kSetText, 1, "[removed]"}}),
            kHead + std::string("<body>[removed]<x xmlns='u'/></body></message>"));
}

// Where bytes cannot be changed in place the tree is written anew.
TEST(StanzaTextTest, AnAttributeGoesByWritingTheStanzaAnew) {
  const std::string made =
      edit(kHead + std::string("<x xmlns='jabber:x:conference' jid='r@m' reason='why'/></message>"),
           {{Kind::kRemoveReason, 1, {}}});
  EXPECT_EQ(parse(made),
            parse(kHead + std::string("<x xmlns='jabber:x:conference' jid='r@m'/></message>")));
}

TEST(StanzaTextTest, WhatIsSetComesBackFromAParserAsItWas) {
  for (const char* text : {"plain", "<body>&amp;]]>\"'", " x\n\ty ", "\xF0\x9F\x98\x80", ""}) {
    const std::string made =
        edit(kHead + std::string("<body>old</body></message>"), {{Kind::kSetText, 1, text}});
    const base::XmlElement stanza = parse(made);
    EXPECT_EQ(stanza.child("body", "jabber:client")->text(), text);
    EXPECT_EQ(stanza.attribute("id"), "1");
  }
}

TEST(StanzaTextTest, EncryptionIsKnownByWhatAnnouncesIt) {
  for (const char* element :
       {"<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        "<encrypted xmlns='urn:xmpp:omemo:2'/>", "<openpgp xmlns='urn:xmpp:openpgp:0'/>",
        "<x xmlns='jabber:x:encrypted'/>"}) {
    EXPECT_TRUE(is_encrypted(parse(kHead + std::string(element) + "</message>"))) << element;
  }
  EXPECT_FALSE(is_encrypted(parse(kHead + std::string("<body>x</body></message>"))));
}

}  // namespace
}  // namespace verbatim::content
