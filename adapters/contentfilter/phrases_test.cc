#include "adapters/contentfilter/phrases.h"

#include <gtest/gtest.h>

#include "adapters/rules/text_fold.h"

namespace verbatim::content {
namespace {

// What each match covers, in the folded text.
std::vector<std::string> find(const std::vector<std::string>& phrases, const std::string& text) {
  PhraseIndex index;
  for (size_t i = 0; i < phrases.size(); ++i) {
    EXPECT_TRUE(index.add(rules::fold(phrases[i]), static_cast<uint32_t>(i)).ok());
  }
  const std::string folded = rules::fold(text);
  std::vector<Match> matches;
  index.find(folded, matches);
  std::vector<std::string> found;
  for (const Match& match : matches) {
    found.push_back(folded.substr(match.span.begin, match.span.end - match.span.begin));
  }
  return found;
}
using Found = std::vector<std::string>;

TEST(PhrasesTest, APhraseIsFoundBetweenWordBoundaries) {
  EXPECT_EQ(find({"top secret"}, "this is TOP SECRET, you know"), Found{"top secret"});
  EXPECT_EQ(find({"top secret"}, "top secrets"), Found{});
  EXPECT_EQ(find({"top secret"}, "stop secret"), Found{});
  EXPECT_EQ(find({"top secret"}, "top-secret top...\n secret"),
            (Found{"top-secret", "top...\n secret"}));
  EXPECT_EQ(find({"top secret"}, "top very secret"), Found{});
  EXPECT_EQ(find({"top secret"}, "top top secret"), Found{"top secret"});
  EXPECT_EQ(find({"secret"}, ""), Found{});
  EXPECT_EQ(find({}, "secret"), Found{});
}

TEST(PhrasesTest, LettersOfAllScriptsAreLetters) {
  EXPECT_EQ(find({"gr\xC3\xBC\xC3\x9F"
                  "e"},
                 "Viele GR\xC3\x9CSSE!"),
            Found{"gr\xC3\xBCsse"});
  // "секрет" is not found in "секреты".
  EXPECT_EQ(find({"\xD1\x81\xD0\xB5\xD0\xBA\xD1\x80\xD0\xB5\xD1\x82"},
                 "\xD1\x81\xD0\xB5\xD0\xBA\xD1\x80\xD0\xB5\xD1\x82\xD1\x8B"),
            Found{});
  EXPECT_EQ(find({"secret"},
                 "se\xE2\x80\x8B"
                 "cret"),
            Found{"secret"});
  EXPECT_EQ(find({"secret"}, "secret\xCC\x81s"), Found{});  // a mark goes on with the word
}

// No blanks between words: found inside a run.
TEST(PhrasesTest, ScriptsWithoutBlanksAreFoundInsideARun) {
  const std::string secret = "\xE6\x9C\xBA\xE5\xAF\x86";  // 机密
  EXPECT_EQ(find({secret}, "\xE8\xBF\x99\xE6\x98\xAF" + secret + "\xE6\x96\x87\xE4\xBB\xB6"),
            Found{secret});
  EXPECT_EQ(find({secret}, "abc" + secret + "def"), Found{secret});
}

TEST(PhrasesTest, PhrasesThatShareWordsAreAllFound) {
  EXPECT_EQ(find({"project x", "project x ray", "x ray", "ray"}, "project x ray"),
            (Found{"project x", "project x ray", "x ray", "ray"}));
}

TEST(PhrasesTest, APhraseNeedsAWord) {
  PhraseIndex index;
  EXPECT_FALSE(index.add("", 0).ok());
  EXPECT_FALSE(index.add("... !", 0).ok());
  EXPECT_TRUE(index.is_empty());
}

TEST(PhrasesTest, BrokenTextIsRead) {
  EXPECT_EQ(find({"secret"}, "\xFF secret \xC3"), Found{"secret"});
}

}  // namespace
}  // namespace verbatim::content
