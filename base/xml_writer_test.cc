#include "base/xml_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "base/xml_schema.h"
#include "base/xml_text.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::base {
namespace {

XmlWriter::Sink append_to(std::string& out) {
  return [&out](std::string_view bytes) {
    out.append(bytes);
    return Status();
  };
}

TEST(XmlWriter, NestsAndIndents) {
  std::string out;
  XmlWriter writer(append_to(out));
  writer.start_element("a");
  writer.start_element("b");
  writer.attribute("c", "d");
  writer.end_element();
  writer.start_element("e");
  writer.text("f");
  writer.end_element();
  writer.end_element();
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<a>\n  <b c=\"d\"/>\n  <e>f</e>\n</a>\n");
}

// Story: text with everything that markup gives a meaning; a parser gives it back byte for byte.
TEST(XmlWriter, AttributesSurviveARoundTrip) {
  const std::string nasty =
      "<&\"'> ]]> \r\n \t line\nfeed \xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D \xF0\x9F\x98\x80 &amp; &#13;";
  std::string out;
  XmlWriter writer(append_to(out));
  writer.start_element("a");
  writer.attribute("b", nasty);
  writer.end_element();
  ASSERT_TRUE(writer.finish().ok());
  testing::FaultFileSystem disk;
  ASSERT_TRUE(write_file_atomically(disk, "/a.xml", out).ok());
  Result<XmlRoot> root = read_xml_root(disk, "/a.xml");
  ASSERT_TRUE(root) << root.error().to_string();
  // The attribute holds the value as written; libxml2's SAX gives it with references replaced.
  EXPECT_EQ(root->attributes["b"], nasty);
}

TEST(XmlWriter, CarriageReturnInTextIsAReference) {
  std::string out;
  XmlWriter writer(append_to(out));
  writer.start_element("a");
  writer.text("x\r\ny]]>\xE2\x82\xAC");
  writer.end_element();
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_NE(out.find("<a>x&#13;\ny]]&gt;\xE2\x82\xAC</a>"), std::string::npos) << out;
}

TEST(XmlWriter, AnErrorOfTheSinkSticks) {
  int calls = 0;
  XmlWriter writer([&calls](std::string_view) {
    ++calls;
    return resource_exhausted("disk full");
  });
  writer.start_element("a");
  for (int i = 0; i < 1000; ++i) writer.text(std::string(100, 'x'));
  writer.end_element();
  EXPECT_EQ(writer.finish().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(writer.finish().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(calls, 1);
}

TEST(XmlText, ReplacesWhatXmlCannotCarryAndSaysSo) {
  EXPECT_TRUE(to_xml_text("tab\t lf\n cr\r \xEF\xBF\xBD").is_exact);
  using std::string_literals::operator""s;
  const struct {
    std::string given;
    std::string wanted;
  } cases[] = {{"a\0b"s,
                "a\xEF\xBF\xBD"
                "b"},
               {"\x01\x1F", "\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"\xEF\xBF\xBE", "\xEF\xBF\xBD"},                          // U+FFFE
               {"\xEF\xBF\xBF.", "\xEF\xBF\xBD."},                        // U+FFFF
               {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // a surrogate
               {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},                  // overlong
               {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"}};                 // cut
  for (const auto& c : cases) {
    const XmlText text = to_xml_text(c.given);
    EXPECT_EQ(text.text, c.wanted);
    EXPECT_FALSE(text.is_exact);
    EXPECT_FALSE(is_xml_text(c.given));
    EXPECT_TRUE(is_xml_text(text.text));
  }
}

// Every byte at every place of a word, beside bytes that could borrow or carry.
TEST(XmlText, TheFastPathAgreesWithTheCharacters) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const char beside : {' ', '\x7F', '\x1F', '!', '\t'}) {
      for (size_t place = 0; place < 16; ++place) {
        std::string text(16, beside);
        text[place] = static_cast<char>(byte);
        std::string slow;
        for (const char c : text) slow += to_xml_text(std::string(1, c)).text;
        EXPECT_EQ(to_xml_text(text).text, slow) << byte << " " << place;
      }
    }
  }
}

TEST(Base64, RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    Result<std::string> back = from_base64(to_base64(bytes));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  EXPECT_EQ(to_base64("word"), "d29yZA==");
  EXPECT_FALSE(from_base64("d29yZA="));
  EXPECT_FALSE(from_base64("d29y ZA="));
  EXPECT_FALSE(from_base64("****"));
}

}  // namespace
}  // namespace verbatim::base
