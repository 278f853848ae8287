#include "collector/sources/xcp/codec/xdb.h"

#include "base/check.h"

namespace verbatim::collector {

Xdb parse_xdb(const base::XmlElement& element) {
  return {.id = element.attribute("id"),
          .from = element.attribute("from"),
          .to = element.attribute("to"),
          .ns = element.attribute("ns"),
          .type = element.attribute("type")};
}

std::string_view xdb_payload(std::string_view raw) {
  char quote = 0;
  for (size_t at = 0; at < raw.size(); ++at) {
    const char character = raw[at];
    if (quote != 0) {
      if (character == quote) quote = 0;
    } else if (character == '"' || character == '\'') {
      quote = character;
    } else if (character == '>') {
      if (at > 0 && raw[at - 1] == '/') return {};
      const size_t end = raw.rfind("</");
      return end == std::string_view::npos || end < at + 1 ? std::string_view()
                                                           : raw.substr(at + 1, end - at - 1);
    }
  }
  return {};
}

Reply allowed_reply(ReplyClass reply_class, Reply reply) {
  CHECK(reply_class != ReplyClass::kNone, "an event of class R5 is never answered");
  if (reply_class == ReplyClass::kFree || reply.kind == Reply::Kind::kError) return reply;
  return {.kind = Reply::Kind::kPass, .stanza = {}, .reason = {}};
}

}  // namespace verbatim::collector
