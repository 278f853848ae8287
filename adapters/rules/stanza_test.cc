#include "adapters/rules/stanza.h"

#include <gtest/gtest.h>

namespace verbatim::rules {
namespace {

TEST(StanzaTest, ExactlyOneStanzaIsRead) {
  const auto stanza = parse_stanza("<message to='a@b'><body>x &amp; y</body></message>");
  ASSERT_TRUE(stanza);
  EXPECT_TRUE(stanza->is("message", "jabber:client"));
  EXPECT_EQ(stanza->child("body", "jabber:client")->text(), "x & y");
  EXPECT_TRUE(parse_stanza("<message xmlns='jabber:client'/>"));
  for (const char* wrong : {"", "text", "<message>", "<message/><message/>", "<message/><mess",
                            "<message/>x", "<!DOCTYPE a><message/>", "<message>&x;</message>",
                            "<message>\xFF</message>", "</stream:stream>", "<m/></stream:stream>",
                            "<!-- c --><message/>", "<message a='1' a='2'/>", "<p:message/>"}) {
    EXPECT_FALSE(parse_stanza(wrong)) << wrong;
  }
}

TEST(StanzaTest, DepthIsBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_stanza(deep));
}

}  // namespace
}  // namespace verbatim::rules
