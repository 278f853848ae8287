#include "adapters/contentfilter/content_rules.h"

#include <gtest/gtest.h>

namespace verbatim::content {
namespace {

std::string refusal(const std::string& toml) {
  return CompiledContent::create(toml, "content.toml").error().message();
}
std::string rule(const std::string& rest) {
  return "[[rules]]\nname = \"r\"\naction = \"block\"\n" + rest;
}

TEST(ContentRulesTest, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_EQ(refusal(rule("")), "content.toml:1: rules.0: has nothing to look for");
  EXPECT_EQ(refusal(rule("expressions = [\"a\", \"(\"]\n")),
            "content.toml:4: rules.0.expressions.1: missing ): (");
  EXPECT_EQ(refusal(rule("expressions = [\"a*\"]\n")),
            "content.toml:4: rules.0.expressions.0: matches the empty text, and so every text");
  EXPECT_EQ(refusal(rule("phrases = [\"--\"]\n")),
            "content.toml:4: rules.0.phrases.0: has no word in it");
  EXPECT_EQ(refusal(rule("detectors = [\"ssn\"]\n")),
            "content.toml:4: rules.0.detectors.0: expected one of card_number, iban, not \"ssn\"");
  EXPECT_EQ(refusal(rule("phrases = [\"a\"]\nexplanation = \"{kind}\"\n")).substr(0, 36),
            "content.toml:5: rules.0.explanation:");
  EXPECT_EQ(refusal("[[disclaimers]]\nname = \"d\"\n"),
            "content.toml:1: disclaimers.0.text: must be given");
  EXPECT_EQ(refusal("time_zone = \"Mars\"\n"),
            "content.toml:1: time_zone: no such time zone: \"Mars\"");
}

TEST(ContentRulesTest, FilesAreMatchedByNameAndSize) {
  const auto content = CompiledContent::create(
      rule("file_names = [\"*.EXE\", \"plan?.doc\"]\nfile_size_above_bytes = 100\n"), "c");
  ASSERT_TRUE(content);
  const auto matches = [&](const std::string& name, int64_t size) {
    v1::FileReference file;
    file.set_name(name);
    file.set_size_bytes(size);
    return CompiledContent::matches_file((*content)->rules()[0], file);
  };
  EXPECT_TRUE(matches("Setup.exe", -1));
  EXPECT_TRUE(matches("PLAN1.doc", 0));
  EXPECT_FALSE(matches("plan.doc", 100));
  EXPECT_TRUE(matches("a.txt", 101));
  EXPECT_FALSE(matches("a.txt", -1));
}

TEST(ContentRulesTest, MatchesComeInTheOrderOfTheirPlaces) {
  const auto content = CompiledContent::create(
      rule("phrases = [\"alpha\"]\n") +
          "[[rules]]\nname = \"s\"\naction = \"notify\"\nexpressions = [\"[0-9]{4}\"]\n"
          "detectors = [\"card_number\"]\n",
      "c");
  ASSERT_TRUE(content) << content.error().message();
  EXPECT_EQ((*content)->find("1234 alpha 5678"),
            (std::vector<Match>{{1, {0, 4}}, {0, {5, 10}}, {1, {11, 15}}}));
}

}  // namespace
}  // namespace verbatim::content
