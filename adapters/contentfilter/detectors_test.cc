#include "adapters/contentfilter/detectors.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::content {
namespace {

using Found = std::vector<std::string>;

Found texts(const std::string& text, const std::vector<rules::TextSpan>& spans) {
  Found found;
  for (const rules::TextSpan& span : spans) {
    found.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}
Found cards(const std::string& text) { return texts(text, find_card_numbers(text)); }
Found ibans(const std::string& text) { return texts(text, find_ibans(text)); }

// The numbers that card networks publish for tests.
TEST(DetectorsTest, CardNumbersAreFoundByTheirCheckDigit) {
  for (const char* card : {"4111111111111111", "4012888888881881", "5555555555554444",
                           "378282246310005", "6011111111111117", "4222222222222",
                           "4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005"}) {
    EXPECT_EQ(cards("my card " + std::string(card) + "."), Found{card});
  }
  for (const char* other :
       {"4111111111111112", "411111111111", "0000000000000000", "44111111111111111",
        "41111111111111110", "4111  1111 1111 1111", "1234567890123456", "x", ""}) {
    EXPECT_EQ(cards(other), Found{}) << other;
  }
}

TEST(DetectorsTest, CardNumbersAreFoundBesideOtherNumbers) {
  EXPECT_EQ(cards("17 4111 1111 1111 1111 12"), Found{"4111 1111 1111 1111"});
  EXPECT_EQ(cards("4111111111111111 5555555555554444"),
            (Found{"4111111111111111", "5555555555554444"}));
  EXPECT_EQ(cards(std::string(100'000, '4')), Found{});
}

// The examples of the IBAN registry.
TEST(DetectorsTest, IbansAreFoundByLengthAndCheckDigits) {
  for (const char* iban :
       {"de89370400440532013000", "gb29 nwbk 6016 1331 9268 19", "fr1420041010050500013m02606",
        "no9386011117947", "mt84malt011000012345mtlcast001s", "ch93 0076 2011 6238 5295 7"}) {
    EXPECT_EQ(ibans("to " + std::string(iban) + " please"), Found{iban});
    EXPECT_EQ(ibans(std::string(iban)), Found{iban});
  }
  for (const char* other :
       {"de88370400440532013000", "de8937040044053201300", "zz89370400440532013000",
        "xde89370400440532013000", "de89370400440532013000x", "de", "de89", ""}) {
    EXPECT_EQ(ibans(other), Found{}) << other;
  }
}

}  // namespace
}  // namespace verbatim::content
