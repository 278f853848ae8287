#include "collector/sources/xcp/codec/stanza_change.h"

#include <utility>

#include "base/xml_stream_parser.h"
#include "collector/sources/xcp/codec/message_facts.h"
#include "collector/sources/xcp/codec/xdb.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kClient = "jabber:client";

v1::Text text_of(const base::XmlElement& message, const v1::Event& event) {
  MessageContext context;
  if (event.conversation().kind() == v1::CONVERSATION_KIND_ROOM) {
    context.room = event.conversation().address();
  }
  return read_message(message, context).text;
}

}  // namespace

std::string_view stanza_within(std::string_view raw) { return xdb_payload(xdb_payload(raw)); }

std::optional<base::XmlElement> parse_stanza(std::string_view xml) {
  base::XmlStreamParser parser(base::XmlStreamLimits{});
  if (!parser.feed("<stream:stream xmlns='jabber:client' xmlns:stream='s'>") || !parser.feed(xml))
    return std::nullopt;
  if (!parser.next().has_value()) return std::nullopt;
  auto item = parser.next();
  if (!item.has_value() || item->kind != base::XmlStreamItem::Kind::kStanza) return std::nullopt;
  // Nothing behind it, not even a beginning: only our own end of the stream may follow.
  if (parser.next().has_value() || !parser.feed("</stream:stream>")) return std::nullopt;
  const auto end = parser.next();
  if (!end.has_value() || end->kind != base::XmlStreamItem::Kind::kEnd) return std::nullopt;
  if (item->element.ns() != kClient) return std::nullopt;
  return std::move(item->element);
}

Result<v1::Event> apply_stanza_change(const v1::Event& event, const std::string& changed_raw) {
  const auto original = parse_stanza(stanza_within(event.raw()));
  if (!original) return invalid_argument("the event has no stanza that could be changed");
  const auto changed = parse_stanza(changed_raw);
  if (!changed) return invalid_argument("not one stanza");
  if (changed->name() != original->name()) return invalid_argument("another kind of stanza");
  for (const char* const name : {"from", "to", "id", "type"}) {
    if (changed->attribute(name) != original->attribute(name)) {
      return invalid_argument(std::string("another value of the attribute ") + name);
    }
  }
  v1::Event result = event;
  result.clear_final_text();
  if (changed->name() != "message") return result;
  v1::Text text = text_of(*changed, event);
  const bool is_same = text.SerializeAsString() == event.original_text().SerializeAsString();
  if (!is_same) *result.mutable_final_text() = std::move(text);
  return result;
}

}  // namespace verbatim::collector
