#include "adapters/rules/text_fold.h"

#include <gtest/gtest.h>

namespace verbatim::rules {
namespace {

// What stands in the original behind the first place of `needle` in its folded form.
std::string behind(const std::string& original, const std::string& needle) {
  const FoldedText folded(original);
  const size_t begin = folded.text().find(needle);
  if (begin == std::string::npos) return "(not found)";
  const TextSpan span = folded.original_span({begin, begin + needle.size()});
  return original.substr(span.begin, span.end - span.begin);
}

TEST(TextFoldTest, CaseWidthLigaturesAndInvisibleCharactersDoNotMatter) {
  EXPECT_EQ(fold("TOP Secret"), "top secret");
  EXPECT_EQ(fold("GR\xC3\x9C\xC3\x9F"
                 "E"),
            "gr\xC3\xBCsse");
  EXPECT_EQ(fold("\xEF\xBC\xB4\xEF\xBD\x8F\xEF\xBD\x90"), "top");  // full width
  EXPECT_EQ(fold("e\xEF\xAC\x83"
                 "cient"),
            "efficient");  // ligature
  EXPECT_EQ(fold("se\xE2\x80\x8B"
                 "cr\xC2\xAD"
                 "et"),
            "secret");                       // zero width, soft hyphen
  EXPECT_EQ(fold("u\xCC\x88"), "\xC3\xBC");  // combining
  EXPECT_EQ(fold(""), "");
}

TEST(TextFoldTest, WhatIsNotUtf8StaysAsItIs) {
  EXPECT_EQ(fold("A\xFFZ"), "a\xFFz");
  EXPECT_EQ(fold(std::string("a\0b", 3)), std::string("a\0b", 3));
}

TEST(TextFoldTest, SpansLeadBackToTheBytesOfTheOriginal) {
  EXPECT_EQ(behind("The TOP Secret plan", "top secret"), "TOP Secret");
  EXPECT_EQ(behind("\xC3\x84 TOP Secret \xC3\x84", "top secret"), "TOP Secret");
  EXPECT_EQ(behind("x se\xE2\x80\x8B"
                   "cret y",
                   "secret"),
            "se\xE2\x80\x8B"
            "cret");
  EXPECT_EQ(behind("\xEF\xBC\xB4\xEF\xBD\x8F\xEF\xBD\x90!", "top"),
            "\xEF\xBC\xB4\xEF\xBD\x8F\xEF\xBD\x90");
  EXPECT_EQ(behind("Stra\xC3\x9F"
                   "e",
                   "s"),
            "S");
  // Half of what one character became is the whole character.
  EXPECT_EQ(behind("a\xC3\x9F"
                   "b",
                   "sb"),
            "\xC3\x9F"
            "b");
  EXPECT_EQ(behind("\xE2\x80\x8B\xE2\x80\x8Bsecret", "secret"), "secret");
}

}  // namespace
}  // namespace verbatim::rules
