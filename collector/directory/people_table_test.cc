#include "collector/directory/people_table.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::collector {
namespace {

constexpr std::string_view kHeading = "address,name,email,department,groups\n";

PeopleTable parsed(const std::string& csv) {
  auto table = parse_people(csv, 1'000);
  EXPECT_TRUE(table.has_value()) << (table.has_value() ? "" : table.error().message());
  return table.has_value() ? *std::move(table) : PeopleTable();
}

std::string refusal(const std::string& csv, size_t max_count = 1'000) {
  const auto table = parse_people(csv, max_count);
  EXPECT_FALSE(table.has_value());
  return table.has_value() ? "" : table.error().message();
}

TEST(PeopleTable, APersonIsFoundByTheNormalisedAddress) {
  const PeopleTable table =
      parsed(std::string(kHeading) + "Ann@Example.COM,Ann Other,ann@mail.example,Sales,a; b ;;c\n");
  ASSERT_EQ(table.size(), 1u);
  const Person& ann = table.at("ann@example.com");
  EXPECT_EQ(ann.name, "Ann Other");
  EXPECT_EQ(ann.email, "ann@mail.example");
  EXPECT_EQ(ann.department, "Sales");
  EXPECT_EQ(ann.groups, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(PeopleTable, ColumnsStandInAnyOrderAndAllButTheAddressMayBeMissing) {
  const PeopleTable table = parsed("groups,address\r\nx;y,a@x\r\n");
  EXPECT_EQ(table.at("a@x").groups, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(table.at("a@x").name, "");
}

TEST(PeopleTable, QuotedFieldsHoldCommasQuotesAndLineEnds) {
  const PeopleTable table =
      parsed(std::string(kHeading) + "a@x,\"Other, \"\"Ann\"\"\nof Sales\",,,\nb@x,Bob,,,");
  EXPECT_EQ(table.at("a@x").name, "Other, \"Ann\"\nof Sales");
  EXPECT_EQ(table.at("b@x").name, "Bob");
}

TEST(PeopleTable, AByteOrderMarkAndEmptyLinesAreNothing) {
  EXPECT_EQ(parsed("\xEF\xBB\xBF" + std::string(kHeading) + "\n\r\na@x,A,,,\n\n").size(), 1u);
  EXPECT_EQ(parsed(std::string(kHeading)).size(), 0u);
}

TEST(PeopleTable, EachBadLineIsNamedByItsNumberAndReasonAlone) {
  const std::string text = std::string(kHeading) +
                           "a@x,\"two\nlines\",,,\n"  // lines 2 and 3
                           "b@x,Secret\n"             // 4
                           "no-address,Secret,,,\n"   // 5
                           "A@X,Secret,,,\n"          // 6
                           "c@x,Sec\"ret,,,\n"        // 7
                           "d@x,\"Secret\"x,,,\n"     // 8
                           "e@x,\xFF,,,\n"            // 9
                           "f@x/phone,Secret,,,\n"    // 10
                           "g@x,\"Secret,,,\n";       // 11
  const std::string reasons = refusal(text);
  EXPECT_EQ(reasons,
            "line 4: 2 fields, not 5; line 5: no address of a person; line 6: the address stands "
            "there twice; line 7: a quote inside a field without quotes; line 8: text behind a "
            "closing quote; line 9: not UTF-8; line 10: no address of a person; line 11: a quote "
            "that does not end");
}

TEST(PeopleTable, NoMoreThanTenBadLinesAreNamed) {
  std::string text(kHeading);
  for (int i = 0; i < 12; ++i) text += "x\n";
  const std::string reasons = refusal(text);
  EXPECT_NE(reasons.find("line 11: "), std::string::npos);
  EXPECT_EQ(reasons.find("line 12: "), std::string::npos);
  EXPECT_TRUE(reasons.ends_with("; and 2 more")) << reasons;
}

TEST(PeopleTable, AHeadingThatIsNoneIsRefused) {
  EXPECT_EQ(refusal(""), "line 1: no heading");
  EXPECT_EQ(refusal("name,email\n"), "line 1: no column address");
  EXPECT_EQ(refusal("address,address\n"), "line 1: two columns address");
  EXPECT_EQ(refusal("address,phone\n"),
            "line 1: column 2 is none of address, name, email, department, groups");
}

TEST(PeopleTable, MorePeopleThanMayBeKeptAreRefused) {
  EXPECT_EQ(refusal("address\na@x\nb@x\n", 1), "more people than cache_max_count=1");
}

TEST(PeopleTable, NoCutOfTheTextIsTakenForSomethingElseThanTextOrRefused) {
  const std::string text = std::string(kHeading) + "a@x,\"A \"\"B\"\"\",e,d,g;h\r\nb@x,B,,,\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    const auto table = parse_people(text.substr(0, size), 10);
    if (table.has_value()) {
      EXPECT_LE(table->size(), 2u);
    } else {
      EXPECT_TRUE(table.error().message().starts_with("line ")) << size;
    }
  }
}

}  // namespace
}  // namespace verbatim::collector
