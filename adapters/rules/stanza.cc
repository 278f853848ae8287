#include "adapters/rules/stanza.h"

#include <charconv>

#include "base/xml_stream_parser.h"

namespace verbatim::rules {
namespace {

using base::XmlElement;

constexpr std::string_view kHeader =
    "<stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>";
constexpr std::string_view kSiFile = "http://jabber.org/protocol/si/profile/file-transfer";
constexpr std::string_view kJingleFile = "urn:xmpp:jingle:apps:file-transfer:";

// Wider than the collector's own: what it let through is read here.
base::XmlStreamLimits limits() {
  base::XmlStreamLimits wide;
  wide.stanza_max_bytes = 32U << 20;
  wide.markup_max_bytes = 4U << 20;
  wide.depth_max = 200;
  wide.attributes_max_count = 4'096;
  wide.elements_max_count = 1'000'000;
  return wide;
}

int64_t parse_size(const std::string& text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : -1;
}

std::string child_text(const XmlElement& parent, std::string_view name) {
  const XmlElement* child = parent.child(name, parent.ns());
  return child == nullptr ? std::string() : child->text();
}

void add_offers(const XmlElement& element, std::vector<v1::FileReference>& files) {
  const bool is_si = element.is("file", kSiFile);
  const bool is_jingle = element.name() == "file" && element.ns().starts_with(kJingleFile);
  if (is_si || is_jingle) {
    v1::FileReference& file = files.emplace_back();
    file.set_name(is_si ? element.attribute("name") : child_text(element, "name"));
    file.set_size_bytes(
        parse_size(is_si ? element.attribute("size") : child_text(element, "size")));
  }
  for (const XmlElement* child : element.children()) add_offers(*child, files);
}

}  // namespace

std::optional<XmlElement> parse_stanza(std::string_view raw) {
  base::XmlStreamParser parser(limits());
  if (!parser.feed(kHeader) || !parser.feed(raw)) return std::nullopt;
  parser.next();  // the header
  auto stanza = parser.next();
  if (!stanza || stanza->kind != base::XmlStreamItem::Kind::kStanza) return std::nullopt;
  // Exactly one: what follows it would be delivered unseen.
  if (parser.next() || stanza->raw != raw) return std::nullopt;
  return std::move(stanza->element);
}

std::vector<v1::FileReference> file_offers(const XmlElement& stanza) {
  std::vector<v1::FileReference> files;
  if (stanza.name() == "iq") add_offers(stanza, files);
  return files;
}

}  // namespace verbatim::rules
