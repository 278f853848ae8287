#include "collector/broker/jid.h"

#include <gtest/gtest.h>
#include <stringprep.h>

namespace verbatim::collector {
namespace {

TEST(Jid, CaseOfNodeAndDomainDoesNotMatterAndThatOfTheResourceDoes) {
  const Jid jid = parse_jid("Alice@Example.COM/Phone");
  EXPECT_TRUE(jid.is_valid);
  EXPECT_EQ(jid.bare(), "alice@example.com");
  EXPECT_EQ(jid.resource, "Phone");
  EXPECT_EQ(jid.full(), "alice@example.com/Phone");
}

TEST(Jid, UnicodeIsFoldedAndComposed) {
  EXPECT_EQ(parse_jid("J\u00dcRGEN@example.com").node, "j\u00fcrgen");
  EXPECT_EQ(parse_jid("ju\u0308rgen@example.com").node, "j\u00fcrgen");  // u and combining dots
  EXPECT_EQ(parse_jid("stra\u00dfe@example.com").node, "strasse");
}

TEST(Jid, AnALabelEqualsItsUnicodeForm) {
  EXPECT_EQ(parse_jid("a@xn--bcher-kva.example").bare(), parse_jid("a@B\u00dccher.example").bare());
}

TEST(Jid, NewerCharactersThanUnicode32Pass) {
  const Jid jid = parse_jid("\U0001F600@example.com");
  EXPECT_TRUE(jid.is_valid);
  EXPECT_EQ(jid.node, "\U0001F600");
}

TEST(Jid, OnlyTheFirstSlashAndTheFirstAtBeforeItSplit) {
  const Jid jid = parse_jid("room@conference.example/nick@home/2");
  EXPECT_EQ(jid.bare(), "room@conference.example");
  EXPECT_EQ(jid.resource, "nick@home/2");
}

TEST(Jid, ADomainAloneIsAnAddressAndItsTrailingDotGoes) {
  EXPECT_TRUE(parse_jid("example.com").is_valid);
  EXPECT_EQ(parse_jid("a@example.com.").bare(), "a@example.com");
}

TEST(Jid, WhatCannotBePreparedIsKeptInLowerCase) {
  for (const char* bad : {"a b@example.com", "@example.com", "a@", "", "a\x01@example.com"}) {
    EXPECT_FALSE(parse_jid(bad).is_valid) << bad;
  }
  EXPECT_EQ(parse_jid("A B@Example.com").bare(), "a b@example.com");
  EXPECT_FALSE(parse_jid(std::string(1'024, 'a') + "@example.com").is_valid);
  EXPECT_TRUE(parse_jid(std::string(1'023, 'a') + "@example.com").is_valid);
  EXPECT_FALSE(parse_jid("\xff\xfe@example.com").is_valid);
}

TEST(Jid, AUriIsKeptWhole) {
  for (const char* uri : {"ma-chan://example.com/4711", "sip+x://alice@example.com/;gruu"}) {
    EXPECT_EQ(parse_jid(uri).bare(), uri);
    EXPECT_EQ(parse_jid(uri).resource, "");
  }
  EXPECT_EQ(parse_jid("MA-CHAN://Example.com/AB").bare(), "ma-chan://example.com/ab");
  EXPECT_EQ(parse_jid("a@example.com/x://y").bare(), "a@example.com");
  EXPECT_EQ(parse_jid("sip:alice@example.com").bare(), "sip:alice@example.com");
}

// The short way for plain addresses gives what the library gives.
TEST(Jid, EveryAsciiCharacterIsPreparedAsTheLibraryDoesIt) {
  const auto library = [](std::string text, const Stringprep_profile* profile) {
    text.resize(100, '\0');
    const auto none = static_cast<Stringprep_profile_flags>(0);
    if (stringprep(text.data(), text.size(), none, profile) != STRINGPREP_OK) return std::string();
    return std::string(text.c_str());
  };
  for (char c = ' '; c < 127; ++c) {
    const std::string part = std::string("Ab") + c + "C0";
    if (c != '/' && c != '@') {
      const std::string node = library(part, stringprep_xmpp_nodeprep);
      const Jid jid = parse_jid(part + "@x");
      EXPECT_EQ(jid.is_valid, !node.empty()) << part;
      EXPECT_EQ(jid.is_valid ? jid.node : "", node);
      EXPECT_EQ(parse_jid("a@" + part).domain, library(part, stringprep_nameprep));
    }
    EXPECT_EQ(parse_jid("a@x/" + part).resource, library(part, stringprep_xmpp_resourceprep));
  }
}

TEST(Jid, PreparingTwiceChangesNothing) {
  for (const char* text : {"Alice@Example.com/Phone", "J\u00dcRGEN@B\u00dccher.example", "A B@X"}) {
    const std::string once = parse_jid(text).full();
    EXPECT_EQ(parse_jid(once).full(), once);
  }
}

}  // namespace
}  // namespace verbatim::collector
