#include "adapters/rules/explanation.h"

#include <gtest/gtest.h>

namespace verbatim::rules {
namespace {

const Placeholders kValues = {{"rule", "wall"}, {"sender", "{rule}"}};

TEST(ExplanationTest, PlaceholdersAreFilledOnce) {
  EXPECT_EQ(fill_explanation("{sender}: no ({rule})", kValues), "{rule}: no (wall)");
  EXPECT_EQ(fill_explanation("", kValues), "");
  EXPECT_EQ(fill_explanation("a { b } {", kValues), "a { b } {");
  EXPECT_EQ(fill_explanation("{{rule}}", kValues), "{wall}");
}

TEST(ExplanationTest, AnUnknownPlaceholderIsRefusedByName) {
  EXPECT_TRUE(check_explanation("{sender} {rule} { x }", kValues).ok());
  EXPECT_EQ(check_explanation("{rule} {room}", kValues).message(),
            "no such placeholder: {room}, known are {rule}, {sender}");
}

}  // namespace
}  // namespace verbatim::rules
