#include "base/xml_stream_parser.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include <algorithm>
#include <mutex>

#include "base/check.h"
#include "base/utf8.h"

namespace verbatim::base {
namespace {

// The library keeps every name it has seen; beyond this the stream ends.
constexpr size_t kNamesMaxBytes = 4 << 20;

std::string to_text(const xmlChar* text) {
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

void ignore_library_message(void*, const char*, ...) {}

}  // namespace

struct XmlStreamParser::State {
  explicit State(const XmlStreamLimits& stream_limits);
  ~State() { xmlFreeParserCtxt(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void fail(const char* condition, const char* detail);
  bool feed_slice(std::string_view slice);
  // Follows "<" and ">" only as far as needed to bound one tag.
  bool is_markup_bounded(std::string_view slice);
  void drop_blanks_between_stanzas();
  std::string take_raw();

  void start_element(const xmlChar* name, const xmlChar* ns, int namespace_count,
                     const xmlChar** namespaces, int attribute_count, const xmlChar** attributes);
  void end_element();
  void characters(std::string_view text);

  static State& of(void* context) {
    return *static_cast<State*>(static_cast<xmlParserCtxtPtr>(context)->_private);
  }
  static xmlSAXHandler handler();

  XmlStreamLimits limits;
  xmlParserCtxtPtr context = nullptr;
  std::optional<XmlStreamError> error;
  std::deque<XmlStreamItem> items;

  Utf8Checker utf8;
  char quote = 0;          // inside a quoted attribute value
  bool in_markup = false;  // between "<" and ">"
  size_t markup_bytes = 0;

  std::string raw;               // received since the last complete item
  size_t raw_offset = 0;         // position in the stream of raw[0]
  std::vector<XmlElement> open;  // the stanza being read, outermost first
  int depth = 0;
  size_t element_count = 0;
  bool has_ended = false;
};

XmlStreamParser::State::State(const XmlStreamLimits& stream_limits) : limits(stream_limits) {
  static std::once_flag once;
  std::call_once(once, [] { xmlInitParser(); });
  xmlSAXHandler sax = handler();
  context = xmlCreatePushParserCtxt(&sax, nullptr, nullptr, 0, nullptr);
  CHECK(context != nullptr, "the XML library has no memory for a parser");
  context->_private = this;
  // NOENT replaces the five entities; no other can be declared, see internalSubset and getEntity.
  // HUGE lifts the library's own limits: ours are tighter where it matters, and configurable.
  xmlCtxtUseOptions(context, XML_PARSE_NOENT | XML_PARSE_NONET | XML_PARSE_HUGE |
                                 XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC);
  // XMPP is UTF-8 (RFC 6120, section 11.6); nothing is guessed from the first bytes.
  xmlSwitchEncoding(context, XML_CHAR_ENCODING_UTF8);
  xmlDictSetLimit(context->dict, kNamesMaxBytes);
}

xmlSAXHandler XmlStreamParser::State::handler() {
  xmlSAXHandler sax = {};
  sax.initialized = XML_SAX2_MAGIC;
  sax.startElementNs = [](void* self, const xmlChar* name, const xmlChar*, const xmlChar* ns,
                          int namespace_count, const xmlChar** namespaces, int attribute_count, int,
                          const xmlChar** attributes) {
    of(self).start_element(name, ns, namespace_count, namespaces, attribute_count, attributes);
  };
  sax.endElementNs = [](void* self, const xmlChar*, const xmlChar*, const xmlChar*) {
    of(self).end_element();
  };
  sax.characters = [](void* self, const xmlChar* text, int size) {
    of(self).characters({reinterpret_cast<const char*>(text), static_cast<size_t>(size)});
  };
  sax.ignorableWhitespace = sax.characters;
  sax.cdataBlock = sax.characters;
  sax.internalSubset = [](void* self, const xmlChar*, const xmlChar*, const xmlChar*) {
    of(self).fail("restricted-xml", "document type");
  };
  sax.processingInstruction = [](void* self, const xmlChar*, const xmlChar*) {
    of(self).fail("restricted-xml", "processing instruction");
  };
  sax.comment = [](void* self, const xmlChar*) { of(self).fail("restricted-xml", "comment"); };
  sax.reference = [](void* self, const xmlChar*) {
    of(self).fail("restricted-xml", "entity reference");
  };
  sax.getEntity = [](void* self, const xmlChar* name) -> xmlEntityPtr {
    xmlEntityPtr predefined = xmlGetPredefinedEntity(name);
    if (predefined == nullptr) of(self).fail("restricted-xml", "entity reference");
    return predefined;
  };
  sax.warning = ignore_library_message;
  sax.error = ignore_library_message;
  return sax;
}

void XmlStreamParser::State::fail(const char* condition, const char* detail) {
  if (!error && !has_ended) error = XmlStreamError{condition, detail};
  xmlStopParser(context);
}

void XmlStreamParser::State::start_element(const xmlChar* name, const xmlChar* ns,
                                           int namespace_count, const xmlChar** namespaces,
                                           int attribute_count, const xmlChar** attributes) {
  if (error) return;
  // Undeclared prefixes: the library goes on, but nobody could say what is meant.
  if (context->nsWellFormed == 0) return fail("not-well-formed", "wrong namespaces");
  if (++depth > limits.depth_max) return fail("policy-violation", "elements nested too deep");
  if (namespace_count + attribute_count > limits.attributes_max_count) {
    return fail("policy-violation", "too many attributes");
  }
  if (++element_count > limits.elements_max_count) {
    return fail("policy-violation", "too many elements");
  }
  XmlElement element(to_text(name), to_text(ns));
  for (int i = 0; i < attribute_count; ++i) {
    const xmlChar** attribute = attributes + i * 5;  // name, prefix, namespace, begin, end
    element.set_attribute(to_text(attribute[0]),
                          std::string(reinterpret_cast<const char*>(attribute[3]),
                                      reinterpret_cast<const char*>(attribute[4])),
                          to_text(attribute[2]));
  }
  if (depth > 1) {
    open.push_back(std::move(element));
    return;
  }
  XmlStreamItem header;
  header.kind = XmlStreamItem::Kind::kHeader;
  header.element = std::move(element);
  for (int i = 0; i < namespace_count; ++i) {
    if (namespaces[i * 2] == nullptr) header.default_namespace = to_text(namespaces[i * 2 + 1]);
  }
  items.push_back(std::move(header));
  element_count = 0;
  take_raw();
}

// All that was received up to where the parser stands; what follows stays.
std::string XmlStreamParser::State::take_raw() {
  const long consumed = xmlByteConsumed(context);
  CHECK(consumed >= 0 && static_cast<size_t>(consumed) >= raw_offset &&
            static_cast<size_t>(consumed) <= raw_offset + raw.size(),
        "I3: the XML library's position lies in what was received");
  const size_t size = static_cast<size_t>(consumed) - raw_offset;
  std::string taken = raw.substr(0, size);
  raw.erase(0, size);
  raw_offset += size;
  return taken;
}

void XmlStreamParser::State::end_element() {
  if (error) return;
  --depth;
  if (depth == 0) {
    items.emplace_back();
    items.back().kind = XmlStreamItem::Kind::kEnd;
    has_ended = true;
    xmlStopParser(context);
    return;
  }
  XmlElement done = std::move(open.back());
  open.pop_back();
  if (!open.empty()) {
    open.back().add_child(std::move(done));
    return;
  }
  std::string bytes = take_raw();
  bytes.erase(0, bytes.find('<') == std::string::npos ? 0 : bytes.find('<'));
  if (bytes.size() > limits.stanza_max_bytes) return fail("policy-violation", "stanza too large");
  XmlStreamItem stanza;
  stanza.element = std::move(done);
  stanza.raw = std::move(bytes);
  items.push_back(std::move(stanza));
  element_count = 0;
}

void XmlStreamParser::State::characters(std::string_view text) {
  if (error) return;
  if (!open.empty()) {
    open.back().add_text(text);
  } else if (!is_blank(text)) {
    fail("not-well-formed", "text between stanzas");
  }
}

bool XmlStreamParser::State::is_markup_bounded(std::string_view slice) {
  for (const char character : slice) {
    if (!in_markup) {
      in_markup = character == '<';
      markup_bytes = 0;
    } else if (++markup_bytes > limits.markup_max_bytes) {
      return false;
    } else if (quote != 0) {
      if (character == quote) quote = 0;
    } else if (character == '"' || character == '\'') {
      quote = character;
    } else if (character == '>') {
      in_markup = false;
    }
  }
  return true;
}

void XmlStreamParser::State::drop_blanks_between_stanzas() {
  if (depth != 1) return;
  // ">": the end of the header's own tag, which the library has not passed when it reports it.
  const size_t blanks = std::min(raw.find_first_not_of(" \t\r\n>"), raw.size());
  raw.erase(0, blanks);
  raw_offset += blanks;
}

bool XmlStreamParser::State::feed_slice(std::string_view slice) {
  if (!utf8.feed(slice)) {
    fail("not-well-formed", "not UTF-8");
    return false;
  }
  if (!is_markup_bounded(slice)) {
    fail("policy-violation", "tag too large");
    return false;
  }
  raw.append(slice);
  const int code = xmlParseChunk(context, slice.data(), static_cast<int>(slice.size()), 0);
  if (!error && !has_ended && (code != XML_ERR_OK || context->disableSAX != 0)) {
    fail("not-well-formed", "not well-formed XML");
  }
  if (error) return false;
  drop_blanks_between_stanzas();
  if (raw.size() > limits.stanza_max_bytes) fail("policy-violation", "stanza too large");
  return !error;
}

XmlStreamParser::XmlStreamParser(const XmlStreamLimits& limits)
    : state_(std::make_unique<State>(limits)) {}

XmlStreamParser::~XmlStreamParser() = default;

void XmlStreamParser::set_limits(const XmlStreamLimits& limits) { state_->limits = limits; }

bool XmlStreamParser::feed(std::string_view bytes) {
  while (!bytes.empty() && !state_->error && !state_->has_ended) {
    const std::string_view slice = bytes.substr(0, kSliceBytes);
    bytes.remove_prefix(slice.size());
    if (!state_->feed_slice(slice)) {
      state_->raw.clear();
      state_->open.clear();
    }
  }
  return !state_->error;
}

std::optional<XmlStreamItem> XmlStreamParser::next() {
  if (state_->items.empty()) return std::nullopt;
  XmlStreamItem item = std::move(state_->items.front());
  state_->items.pop_front();
  return item;
}

const std::optional<XmlStreamError>& XmlStreamParser::error() const { return state_->error; }

}  // namespace verbatim::base
