// For tests of this folder: one element from text.
#pragma once

#include <string>

#include "base/check.h"
#include "base/xml_stream_parser.h"

namespace verbatim::collector {

// CHECKs that it is well-formed.
inline base::XmlElement parse_xml(const std::string& xml) {
  base::XmlStreamParser parser(base::XmlStreamLimits{});
  CHECK(parser.feed("<stream:stream xmlns:stream='s'>"), "the header is well-formed");
  CHECK(parser.next().has_value(), "the header is there");
  CHECK(parser.feed(xml), "the test's own XML is well-formed");
  auto item = parser.next();
  CHECK(item.has_value(), "the test's own XML is one element");
  return std::move(item->element);
}

}  // namespace verbatim::collector
