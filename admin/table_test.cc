#include "admin/table.h"

#include <gtest/gtest.h>

namespace verbatim::admin {
namespace {

Table two_columns() { return Table({{"NAME"}, {"COUNT", Align::kRight}}); }

TEST(Table, NumbersStandToTheRightAndNoLineEndsWithBlanks) {
  Table table = two_columns();
  table.add_row({"a-long-name", "7"});
  table.add_row({"b", "1,000"});
  EXPECT_EQ(table.to_text(false),
            "NAME         COUNT\n"
            "a-long-name      7\n"
            "b            1,000\n");
}

TEST(Table, LettersOutsideAsciiDoNotShiftColumns) {
  Table table = two_columns();
  table.add_row({"r\xc3\xa4t", "1"});
  table.add_row({"rooms", "2"});
  EXPECT_EQ(table.to_text(false), "NAME   COUNT\nr\xc3\xa4t        1\nrooms      2\n");
}

TEST(Table, ColourIsOnlyThereWhenAllowed) {
  Table table = two_columns();
  table.add_row({Cell("down", Mood::kBad), "1"});
  EXPECT_EQ(table.to_text(false).find('\x1b'), std::string::npos);
  EXPECT_NE(table.to_text(true).find("\x1b[1;31mdown\x1b[0m"), std::string::npos);
}

TEST(Table, AnEmptyTableIsItsTitles) {
  EXPECT_TRUE(two_columns().is_empty());
  EXPECT_EQ(two_columns().to_text(false), "NAME  COUNT\n");
}

}  // namespace
}  // namespace verbatim::admin
