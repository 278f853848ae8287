#include "admin/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace verbatim::admin {
namespace {

TEST(Text, CountsAreGroupedByThousands) {
  EXPECT_EQ(human_count(int64_t{0}), "0");
  EXPECT_EQ(human_count(int64_t{999}), "999");
  EXPECT_EQ(human_count(int64_t{1000}), "1,000");
  EXPECT_EQ(human_count(int64_t{-1234567}), "-1,234,567");
  EXPECT_EQ(human_count(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
  EXPECT_EQ(human_count(std::numeric_limits<uint64_t>::max()), "18,446,744,073,709,551,615");
}

TEST(Text, SizesTakeTheUnitThatFits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(64 << 20), "64 MiB");
  EXPECT_EQ(human_bytes((1 << 20) - 1), "1 MiB");
  EXPECT_EQ(human_bytes(-1), "-");
}

TEST(Text, AgesTakeTheTwoUnitsThatMatter) {
  EXPECT_EQ(human_age(0), "-");
  EXPECT_EQ(human_age(250), "250 ms");
  EXPECT_EQ(human_age(3200), "3.2 s");
  EXPECT_EQ(human_age(250'000), "4 min 10 s");
  EXPECT_EQ(human_age(7'500'000), "2 h 5 min");
  EXPECT_EQ(human_age(273'600'000), "3 d 4 h");
}

TEST(Text, StatesOfALinkAreWrittenAsTheGuideWritesThem_C090) {
  EXPECT_EQ(enum_name("LINK_STATE_GONE", "LINK_STATE_"), "GONE");
  EXPECT_EQ(enum_word("DECISION_PASS_CHANGED", "DECISION_"), "pass changed");
}

TEST(Text, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(utc_time(0), "-");
  EXPECT_EQ(utc_time(1'772'366'405'250'000'000), "2026-03-01 12:00:05.250Z");
  EXPECT_EQ(utc_time(-1), "1969-12-31 23:59:59.999Z");
}

TEST(Text, ForeignTextCannotSteerTheTerminal) {
  EXPECT_EQ(printable("r\xc3\xa4t@x"), "r\xc3\xa4t@x");
  EXPECT_EQ(printable("\x1b[2Jgone\n"), "\\u001b[2Jgone\\u000a");
  EXPECT_EQ(printable("a\xe2\x80\xae"), "a\\u202e");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u009b");
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
}

TEST(Text, EveryByteIsPrintedAsValidText) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string shown = printable(std::string(1, static_cast<char>(byte)));
    for (const char letter : shown) {
      EXPECT_GE(letter, 0x20) << byte;
    }
  }
}

TEST(Text, EnumNamesBecomeWords) {
  EXPECT_EQ(enum_word("EVENT_KIND_ROOM_CREATED", "EVENT_KIND_"), "room created");
  EXPECT_EQ(enum_word("OTHER", "EVENT_KIND_"), "other");
}

TEST(Text, AgesAndSizesAreReadFromCommandLines) {
  EXPECT_EQ(*parse_age_ms("250ms"), 250);
  EXPECT_EQ(*parse_age_ms("30s"), 30'000);
  EXPECT_EQ(*parse_age_ms("5m"), 300'000);
  EXPECT_EQ(*parse_age_ms("2h"), 7'200'000);
  EXPECT_EQ(*parse_age_ms("7d"), 604'800'000);
  EXPECT_EQ(*parse_bytes("1000"), 1'000);
  EXPECT_EQ(*parse_bytes("64MiB"), 67'108'864);
  for (const char* text : {"", "5", "s", "-1s", "1.5h", "5 m", "9223372036854775807d"}) {
    EXPECT_FALSE(parse_age_ms(text)) << text;
  }
  for (const char* text : {"", "1GB", "-1", "1e3", "9223372036854775807KiB"}) {
    EXPECT_FALSE(parse_bytes(text)) << text;
  }
}

TEST(Text, OpaqueBytesAreShownInHexAndShort) {
  EXPECT_EQ(short_hex(""), "-");
  EXPECT_EQ(short_hex(std::string("\x00\xff", 2)), "00ff");
  EXPECT_EQ(short_hex(std::string(17, 'a')), "61616161616161616161616161616161...");
}

TEST(Text, WidthCountsCodePoints) { EXPECT_EQ(display_width("r\xc3\xa4t"), 3U); }

}  // namespace
}  // namespace verbatim::admin
