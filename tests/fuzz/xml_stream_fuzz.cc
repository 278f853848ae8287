// XmlStreamParser over any bytes: it never crashes, gives the same items however the bytes are cut,
// keeps its limits, and every tree it gives survives writing and reading.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/xml_stream_parser.h"

namespace {

using verbatim::base::XmlElement;
using verbatim::base::XmlStreamItem;
using verbatim::base::XmlStreamLimits;
using verbatim::base::XmlStreamParser;

constexpr size_t kStanzaMaxBytes = 16 << 10;

XmlStreamLimits limits() {
  XmlStreamLimits small;
  small.stanza_max_bytes = kStanzaMaxBytes;
  small.markup_max_bytes = 4 << 10;
  small.depth_max = 20;
  small.attributes_max_count = 32;
  small.elements_max_count = 500;
  return small;
}

std::vector<XmlStreamItem> parse(std::string_view bytes, size_t piece_bytes, bool& is_error) {
  XmlStreamParser parser(limits());
  std::vector<XmlStreamItem> items;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, piece_bytes);
    bytes.remove_prefix(piece.size());
    const bool is_fine = parser.feed(piece);
    while (auto item = parser.next()) items.push_back(std::move(*item));
    if (!is_fine) break;
  }
  is_error = parser.error().has_value();
  return items;
}

void check_round_trip(const XmlElement& element) {
  bool is_error = false;
  const std::string text = "<stream xmlns='s'>" + element.to_xml("s");
  XmlStreamParser parser(XmlStreamLimits{});
  is_error = !parser.feed(text);
  CHECK(!is_error, "what was written can be read");
  CHECK(parser.next().has_value(), "the header is there");
  const auto again = parser.next();
  CHECK(again.has_value() && again->element == element, "and means the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece_bytes = 1 + data[0] % 64;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool is_error_whole = false;
  bool is_error_cut = false;
  const auto whole = parse(bytes, bytes.size() + 1, is_error_whole);
  const auto cut = parse(bytes, piece_bytes, is_error_cut);
  // When an error is noticed may differ, as the library looks ahead; what comes before may not.
  for (size_t i = 0; i < whole.size() && i < cut.size(); ++i) {
    CHECK(whole[i].kind == cut[i].kind && whole[i].raw == cut[i].raw &&
              whole[i].element == cut[i].element,
          "an item does not depend on where the bytes are cut");
  }
  const bool has_ended = !whole.empty() && whole.back().kind == XmlStreamItem::Kind::kEnd;
  if (has_ended) CHECK(!is_error_cut && whole.size() == cut.size(), "nor does the end");
  for (const XmlStreamItem& item : whole) {
    if (item.kind != XmlStreamItem::Kind::kStanza) continue;
    CHECK(item.raw.size() <= kStanzaMaxBytes, "I1");
    CHECK(item.raw.front() == '<' && item.raw.back() == '>', "I3");
    check_round_trip(item.element);
  }
  return 0;
}
