#include "base/xml_writer.h"

#include <gtest/gtest.h>
#include <libxml/xmlwriter.h>

#include <cstdlib>
#include <random>
#include <string>
#include <utility>

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
  for (int i = 0; i < 2000; ++i) writer.text(std::string(100, 'x'));
  writer.end_element();
  EXPECT_EQ(writer.finish().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(writer.finish().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(calls, 1);
}

// libxml2's writer under the same calls.
class LibraryWriter {
 public:
  LibraryWriter() : bytes_(xmlBufferCreate()), writer_(xmlNewTextWriterMemory(bytes_, 0)) {
    xmlTextWriterSetIndent(writer_, 1);
    xmlTextWriterSetIndentString(writer_, as_xml("  "));
    xmlTextWriterStartDocument(writer_, "1.0", "UTF-8", nullptr);
  }
  ~LibraryWriter() {
    if (writer_ != nullptr) xmlFreeTextWriter(writer_);
    xmlBufferFree(bytes_);
  }
  LibraryWriter(const LibraryWriter&) = delete;
  LibraryWriter& operator=(const LibraryWriter&) = delete;

  void start_element(const std::string& name) { xmlTextWriterStartElement(writer_, as_xml(name)); }
  void attribute(const std::string& name, const std::string& value) {
    xmlTextWriterWriteAttribute(writer_, as_xml(name), as_xml(to_xml_text(value).text));
  }
  void text(const std::string& value) {
    xmlTextWriterWriteString(writer_, as_xml(to_xml_text(value).text));
  }
  void end_element() { xmlTextWriterEndElement(writer_); }
  std::string finish() {
    xmlTextWriterEndDocument(writer_);
    xmlFreeTextWriter(std::exchange(writer_, nullptr));
    return {reinterpret_cast<const char*>(xmlBufferContent(bytes_)),
            static_cast<size_t>(xmlBufferLength(bytes_))};
  }

 private:
  static const xmlChar* as_xml(const std::string& text) {
    return reinterpret_cast<const xmlChar*>(text.c_str());
  }

  xmlBufferPtr bytes_;
  xmlTextWriterPtr writer_;
};

// Random documents with everything that is escaped, replaced or mixed.
class RandomDocument {
 public:
  explicit RandomDocument(uint64_t seed) : random_(seed) {}

  template <class Writer>
  void write(Writer& writer, int depth = 0) {
    writer.start_element("e" + std::to_string(below(4)) +
                         (below(8) == 0 ? std::string(20, 'n') : ""));
    for (size_t i = below(4); i > 0; --i) writer.attribute("a" + std::to_string(i), some_text());
    for (size_t i = below(depth < 6 ? 5 : 1); i > 0; --i) {
      if (below(3) == 0) {
        writer.text(some_text());
      } else {
        write(writer, depth + 1);
      }
    }
    writer.end_element();
  }

 private:
  size_t below(size_t bound) { return random_() % bound; }
  std::string some_text() {
    static const char* const kParts[] = {"<",
                                         ">",
                                         "&",
                                         "\"",
                                         "'",
                                         "\r",
                                         "\n",
                                         "\t",
                                         "]]>",
                                         "\x01",
                                         "\x7F",
                                         "\x80",
                                         "\xD7\xA9",
                                         "\xC2\x80",
                                         "\xE2\x82\xAC",
                                         "\xEF\xBF\xBF",
                                         "\xEF\xBF\xBD",
                                         "\xF0\x9F\x98\x80",
                                         "\xF4\x8F\xBF\xBD",
                                         "",
                                         "plain words ",
                                         "x",
                                         "  "};
    std::string text;
    for (size_t i = below(6); i > 0; --i) text += kParts[below(std::size(kParts))];
    if (below(50) == 0) text += std::string(40'000, 'y');
    return text;
  }

  std::mt19937_64 random_;
};

TEST(XmlWriter, WritesTheBytesOfLibxml2) {
  const char* given = std::getenv("TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < first + 200; ++seed) {
    std::string out;
    XmlWriter writer(append_to(out));
    RandomDocument(seed).write(writer);
    ASSERT_TRUE(writer.finish().ok());
    LibraryWriter library;
    RandomDocument(seed).write(library);
    ASSERT_EQ(out, library.finish()) << "TEST_SEED=" << seed;
  }
}

// Every byte at every place of a word, beside bytes that could borrow or carry.
TEST(XmlWriter, EveryByteIsEscapedWhereverItStands) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const char beside : {' ', '\x7F', '!', '#', '\'', '=', '?', '$'}) {
      for (size_t place = 0; place < 20; ++place) {
        std::string text(20, beside);
        text[place] = static_cast<char>(byte);
        std::string out;
        XmlWriter writer(append_to(out));
        LibraryWriter library;
        const auto write = [&text](auto& to) {
          to.start_element("e");
          to.attribute("a", text);
          to.text(text);
          to.end_element();
        };
        write(writer);
        write(library);
        ASSERT_TRUE(writer.finish().ok());
        ASSERT_EQ(out, library.finish()) << byte << " " << place;
      }
    }
  }
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
