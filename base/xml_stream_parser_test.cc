#include "base/xml_stream_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace verbatim::base {
namespace {

using Kind = XmlStreamItem::Kind;

const std::string kHeader =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='c.x' id='a&amp;b' xml:lang='en'>";
const std::string kStanza =
    "<xdb id='1' type='get' ns='u'><e xmlns='u' a=\"x'y\"><m xmlns='jabber:client'>"
    "<body>h\xC3\xA9 &lt;&amp;&#x1F600; <![CDATA[<raw>]]></body><empty/></m></e></xdb>";

XmlStreamLimits small_limits() {
  XmlStreamLimits limits;
  limits.stanza_max_bytes = 20000;
  limits.markup_max_bytes = 4000;
  limits.depth_max = 10;
  limits.attributes_max_count = 8;
  limits.elements_max_count = 100;
  return limits;
}

struct Outcome {
  std::vector<XmlStreamItem> items;
  std::string condition;
};

Outcome parse(const std::vector<std::string>& pieces) {
  XmlStreamParser parser(small_limits());
  Outcome outcome;
  for (const std::string& piece : pieces) {
    parser.feed(piece);
    while (auto item = parser.next()) outcome.items.push_back(std::move(*item));
  }
  if (parser.error()) outcome.condition = parser.error()->condition;
  return outcome;
}

void expect_whole(const Outcome& outcome, const std::string& where) {
  ASSERT_EQ(outcome.condition, "") << where;
  ASSERT_EQ(outcome.items.size(), 4u) << where;
  EXPECT_EQ(outcome.items[0].kind, Kind::kHeader);
  EXPECT_EQ(outcome.items[0].default_namespace, "jabber:component:accept");
  EXPECT_EQ(outcome.items[1].raw, kStanza) << where;
  EXPECT_EQ(outcome.items[2].raw, "<handshake/>") << where;
  EXPECT_EQ(outcome.items[3].kind, Kind::kEnd);
}

TEST(XmlStreamParser, GivesHeaderStanzasAndEnd) {
  const Outcome outcome = parse({kHeader + " \n" + kStanza + "  <handshake/></stream:stream>"});
  expect_whole(outcome, "whole");
  const XmlElement& header = outcome.items[0].element;
  EXPECT_TRUE(header.is("stream", "http://etherx.jabber.org/streams"));
  EXPECT_EQ(header.attribute("id"), "a&b");
  EXPECT_EQ(header.attribute("lang", "http://www.w3.org/XML/1998/namespace"), "en");
  const XmlElement& stanza = outcome.items[1].element;
  EXPECT_TRUE(stanza.is("xdb", "jabber:component:accept"));
  const XmlElement* event = stanza.child("e", "u");
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->attribute("a"), "x'y");
  EXPECT_EQ(event->child("m", "jabber:client")->child("body", "jabber:client")->text(),
            "h\xC3\xA9 <&\xF0\x9F\x98\x80 <raw>");
}

TEST(XmlStreamParser, CutAnywhereGivesTheSame) {
  const std::string all = kHeader + "\n" + kStanza + " <handshake/></stream:stream>";
  for (size_t at = 0; at <= all.size(); ++at) {
    expect_whole(parse({all.substr(0, at), all.substr(at)}), "cut at " + std::to_string(at));
  }
  std::vector<std::string> bytes;
  for (const char byte : all) bytes.emplace_back(1, byte);
  expect_whole(parse(bytes), "byte by byte");
}

TEST(XmlStreamParser, EveryLengthCutGivesAPrefixAndNoError) {
  const std::string all = kHeader + kStanza + "<handshake/></stream:stream>";
  for (size_t size = 0; size < all.size(); ++size) {
    const Outcome outcome = parse({all.substr(0, size)});
    EXPECT_EQ(outcome.condition, "") << size;
    EXPECT_LT(outcome.items.size(), 4u);
  }
}

TEST(XmlStreamParser, EveryByteFlippedGivesItemsOrAnError) {
  const std::string all = kHeader + kStanza + "<handshake/></stream:stream>";
  for (size_t at = 0; at < all.size(); ++at) {
    for (const unsigned mask : {0x01u, 0x20u, 0x80u, 0xFFu}) {
      std::string flipped = all;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ mask);
      const Outcome outcome = parse({flipped});
      for (const XmlStreamItem& item : outcome.items) {
        if (item.kind == Kind::kStanza) {
          EXPECT_TRUE(item.raw.front() == '<' && item.raw.back() == '>') << at;
        }
      }
    }
  }
}

TEST(XmlStreamParser, RawAndTreeSurviveSerialisation) {
  const Outcome first = parse({kHeader + kStanza});
  ASSERT_EQ(first.items.size(), 2u);
  const std::string text = first.items[1].element.to_xml("jabber:component:accept");
  const Outcome second = parse({kHeader + text});
  ASSERT_EQ(second.items.size(), 2u) << text;
  EXPECT_EQ(first.items[1].element, second.items[1].element);
}

struct Refused {
  const char* name;
  std::string bytes;  // after the header
  const char* condition;
};

std::string repeat(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(XmlStreamParser, RefusesWhatXmppForbidsAndWhatIsTooMuch) {
  const std::vector<Refused> cases = {
      {"comment", "<a><!-- x --></a>", "restricted-xml"},
      {"comment between", "<!-- x --><a/>", "restricted-xml"},
      {"processing instruction", "<a><?php x ?></a>", "restricted-xml"},
      {"undefined entity", "<a>&lol;</a>", "restricted-xml"},
      {"entity in attribute", "<a b='&lol;'/>", "restricted-xml"},
      {"text between stanzas", "hello <a/>", "not-well-formed"},
      {"crossed tags", "<a><b></a></b>", "not-well-formed"},
      {"attribute twice", "<a b='1' b='2'/>", "not-well-formed"},
      {"undeclared prefix", "<q:a/>", "not-well-formed"},
      {"undeclared prefix of an attribute", "<a q:b='1'/>", "not-well-formed"},
      {"zero byte", std::string("<a>\0</a>", 8), "not-well-formed"},
      {"control character reference", "<a>&#1;</a>", "not-well-formed"},
      {"surrogate", "<a>\xED\xA0\x80</a>", "not-well-formed"},
      {"overlong", "<a>\xC1\xBF</a>", "not-well-formed"},
      {"above U+10FFFF", "<a>\xF4\x90\x80\x80</a>", "not-well-formed"},
      {"overlong in attribute", "<a b='\xE0\x80\xAF'/>", "not-well-formed"},
      {"deep", repeat("<a>", 10), "policy-violation"},
      {"attributes", "<a b='' c='' d='' e='' f='' g='' h='' i='' j=''/>", "policy-violation"},
      {"elements", "<a>" + repeat("<b/>", 100) + "</a>", "policy-violation"},
      {"long tag", "<a b='" + std::string(4100, 'x') + "'/>", "policy-violation"},
      {"long text", "<a>" + std::string(20001, 'x'), "policy-violation"},
      {"long whole stanza", "<a>" + std::string(20001, 'x') + "</a>", "policy-violation"},
  };
  for (const Refused& refused : cases) {
    EXPECT_EQ(parse({kHeader + refused.bytes}).condition, refused.condition) << refused.name;
    std::vector<std::string> bytes = {kHeader};
    for (const char byte : refused.bytes) bytes.emplace_back(1, byte);
    EXPECT_EQ(parse(bytes).condition, refused.condition) << refused.name << " byte by byte";
  }
}

TEST(XmlStreamParser, RefusesADocumentTypeBeforeItsEntitiesExist) {
  std::string bomb = "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'aaaaaaaaaaaaaaaa'>";
  bomb += "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>";
  EXPECT_EQ(parse({bomb + "<s>&c;</s>"}).condition, "restricted-xml");
}

TEST(XmlStreamParser, StopsAtTheLimitWhileReading) {
  XmlStreamParser parser(small_limits());
  ASSERT_TRUE(parser.feed(kHeader));
  ASSERT_TRUE(parser.next().has_value());
  ASSERT_TRUE(parser.feed("<a>"));
  const std::string block(1000, 'x');
  size_t fed = 0;
  while (fed < 100'000'000 && parser.feed(block)) fed += block.size();
  EXPECT_LE(fed, small_limits().stanza_max_bytes + XmlStreamParser::kSliceBytes);
  EXPECT_EQ(parser.error()->condition, "policy-violation");
}

TEST(XmlStreamParser, KeepAlivesDoNotAddUp) {
  XmlStreamParser parser(small_limits());
  ASSERT_TRUE(parser.feed(kHeader));
  for (int i = 0; i < 30000; ++i) ASSERT_TRUE(parser.feed(" \n")) << i << parser.error()->detail;
  ASSERT_TRUE(parser.feed("<a/>"));
  ASSERT_TRUE(parser.next().has_value());
  EXPECT_EQ(parser.next()->raw, "<a/>");
}

TEST(XmlStreamParser, ManyStanzasOneAfterTheOther) {
  XmlStreamParser parser(small_limits());
  ASSERT_TRUE(parser.feed(kHeader));
  ASSERT_TRUE(parser.next().has_value());
  for (int i = 0; i < 20000; ++i) {
    const std::string stanza = "<a n='" + std::to_string(i) + "'>" + std::string(40, 'y') + "</a>";
    ASSERT_TRUE(parser.feed(stanza));
    ASSERT_EQ(parser.next()->raw, stanza);
  }
}

TEST(XmlElement, EscapesWhatXmlCannotCarry) {
  XmlElement element("a", "");
  element.set_attribute("b", "1\n2\t\"'<");
  element.add_text("x < y & z > \r \x01");
  EXPECT_EQ(element.to_xml(),
            "<a b='1&#10;2&#9;&quot;&apos;&lt;'>x &lt; y &amp; z &gt; &#13; \xEF\xBF\xBD</a>");
}

}  // namespace
}  // namespace verbatim::base
