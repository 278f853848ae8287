// VerbatimCodec over any payload that is XML: every input becomes an event that the collector can
// complete, with its bytes kept.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/xml_stream_parser.h"
#include "collector/broker/completer.h"
#include "collector/sources/xcp/codec/verbatim_codec.h"

using namespace verbatim;             // NOLINT: a program of one file
using namespace verbatim::collector;  // NOLINT: the same

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const VerbatimCodec codec;
  static const Completer completer(*Profile::create("all"), {});
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  base::XmlStreamParser parser(base::XmlStreamLimits{});
  parser.feed("<stream:stream xmlns:stream='s' xmlns='jabber:component:connect'>");
  parser.next();
  parser.feed("<xdb id='1' type='get' from='tc-1.n' to='op' ns='urn:x-verbatim:xcp-event:1'>" +
              std::string(payload) + "</xdb>");
  while (const auto item = parser.next()) {
    if (item->kind != base::XmlStreamItem::Kind::kStanza) continue;
    const Xdb xdb = parse_xdb(item->element);
    DecodedEvent decoded =
        codec.decode(xdb, item->element, item->raw,
                     [](const std::string& domain) { return domain.starts_with("muc"); });
    if (decoded.snapshot) continue;
    decoded.event.mutable_source()->set_name("fuzz");
    CHECK(decoded.event.raw() == item->raw, "I2: the bytes are kept");
    const auto complete = completer.complete(decoded.event);
    CHECK(complete.has_value(), complete.error().message());
    CHECK(!codec.encode(xdb, {}, "jabber:client").empty(), "every request can be answered");
  }
  return 0;
}
