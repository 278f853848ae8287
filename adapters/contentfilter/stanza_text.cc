#include "adapters/contentfilter/stanza_text.h"

#include <algorithm>
#include <array>

#include "adapters/rules/stanza.h"
#include "adapters/rules/text_fold.h"

namespace verbatim::content {
namespace {

using base::XmlElement;
using rules::TextSpan;

constexpr std::string_view kXhtmlIm = "http://jabber.org/protocol/xhtml-im";
constexpr std::string_view kConference = "jabber:x:conference";

struct Name {
  std::string_view name;  // empty: every element of the namespace
  std::string_view ns;
};

constexpr std::array kEncrypted = {Name{"encryption", "urn:xmpp:eme:0"},
                                   Name{"encrypted", "eu.siacs.conversations.axolotl"},
                                   Name{"encrypted", "urn:xmpp:omemo:1"},
                                   Name{"encrypted", "urn:xmpp:omemo:2"},
                                   Name{"openpgp", "urn:xmpp:openpgp:0"},
                                   Name{"x", "jabber:x:encrypted"},
                                   Name{"e2e", "urn:ietf:params:xml:ns:xmpp-e2e"}};

// With everything in them.
constexpr std::array kForMachines = {
    Name{"thread", "jabber:client"},      Name{"", "eu.siacs.conversations.axolotl"},
    Name{"", "urn:xmpp:omemo:1"},         Name{"", "urn:xmpp:omemo:2"},
    Name{"", "urn:xmpp:openpgp:0"},       Name{"", "jabber:x:encrypted"},
    Name{"", "jabber:x:signed"},          Name{"", "urn:ietf:params:xml:ns:xmpp-e2e"},
    Name{"", "urn:xmpp:hashes:2"},        Name{"", "urn:xmpp:bob"},
    Name{"", "vcard-temp:x:update"},      Name{"", "http://jabber.org/protocol/ibb"},
    Name{"data", "urn:xmpp:avatar:data"}, Name{"priority", "jabber:client"}};

template <size_t N>
bool is_one_of(const XmlElement& element, const std::array<Name, N>& names) {
  return std::any_of(names.begin(), names.end(), [&element](const Name& name) {
    return element.ns() == name.ns && (name.name.empty() || element.name() == name.name);
  });
}

size_t count_of(const XmlElement& element) {
  size_t count = 1;
  for (const XmlElement* child : element.children()) count += count_of(*child);
  return count;
}

// What XHTML-IM shows or offers beside its text (XEP-0071, section 6): set apart, as an attribute
// cannot be a part of a word.
void add_attributes(const XmlElement& element, StanzaText& text) {
  for (const std::string_view name : {"alt", "title", "href", "src"}) {
    if (element.has_attribute(name)) text.spaced_text += ' ' + element.attribute(name) + ' ';
  }
}

void add_whole_text(const XmlElement& element, StanzaText& text) {
  add_attributes(element, text);
  for (const base::XmlNode& node : element.nodes()) {
    if (node.is_text) {
      text.text += node.text;
      text.spaced_text += node.text;
    } else {
      text.spaced_text += ' ';
      add_whole_text(node.element, text);
      text.spaced_text += ' ';
    }
  }
}

void collect(const XmlElement& element, int depth, size_t& next, std::vector<StanzaText>& texts) {
  const size_t index = next;
  if (is_one_of(element, kForMachines)) {
    next += count_of(element);
    return;
  }
  if (element.is("html", kXhtmlIm)) {
    next += count_of(element);
    StanzaText html{StanzaText::Kind::kHtml, index, {}, {}};
    add_whole_text(element, html);
    texts.push_back(std::move(html));
    return;
  }
  ++next;
  if (std::string text = element.text(); text.find_first_not_of(" \t\r\n") != std::string::npos) {
    const bool is_body = depth == 1 && element.name() == "body";
    texts.push_back(
        {is_body ? StanzaText::Kind::kBody : StanzaText::Kind::kText, index, std::move(text), {}});
  }
  if (depth > 0 && element.is("x", kConference) && element.has_attribute("reason")) {
    texts.push_back({StanzaText::Kind::kAttribute, index, element.attribute("reason"), {}});
  }
  for (const XmlElement* child : element.children()) collect(*child, depth + 1, next, texts);
}

const StanzaEdit* edit_of(const std::vector<StanzaEdit>& edits, size_t element) {
  const auto found = std::find_if(edits.begin(), edits.end(), [element](const StanzaEdit& edit) {
    return edit.element == element;
  });
  return found == edits.end() ? nullptr : &*found;
}

// The tree as it is to be. A text takes the place of the element's first.
XmlElement edited(const XmlElement& element, const std::vector<StanzaEdit>& edits, size_t& next) {
  const StanzaEdit* edit = edit_of(edits, next++);
  XmlElement made(element.name(), element.ns());
  for (const base::XmlAttribute& attribute : element.attributes()) {
    const bool is_dropped = edit != nullptr && edit->kind == StanzaEdit::Kind::kRemoveReason &&
                            attribute.name == "reason" && attribute.ns.empty();
    if (!is_dropped) made.set_attribute(attribute.name, attribute.value, attribute.ns);
  }
  const bool has_new_text = edit != nullptr && edit->kind == StanzaEdit::Kind::kSetText;
  bool is_written = false;
  for (const base::XmlNode& node : element.nodes()) {
    if (node.is_text) {
      if (!has_new_text) made.add_text(node.text);
      if (has_new_text && !is_written && !edit->text.empty()) made.add_text(edit->text);
      is_written = true;
      continue;
    }
    const StanzaEdit* of_child = edit_of(edits, next);
    if (of_child != nullptr && of_child->kind == StanzaEdit::Kind::kRemove) {
      next += count_of(node.element);
    } else {
      made.add_child(edited(node.element, edits, next));
    }
  }
  return made;
}

// Where an element and its own texts stand in the bytes.
struct ElementBytes {
  TextSpan all;
  std::vector<TextSpan> texts;
};

size_t tag_end(std::string_view raw, size_t begin) {
  char quote = 0;
  for (size_t i = begin; i < raw.size(); ++i) {
    if (quote != 0) {
      if (raw[i] == quote) quote = 0;
    } else if (raw[i] == '"' || raw[i] == '\'') {
      quote = raw[i];
    } else if (raw[i] == '>') {
      return i + 1;
    }
  }
  return raw.size();
}

// Of what a parser has taken: tags, texts and CDATA sections, nothing else.
std::vector<ElementBytes> locate(std::string_view raw) {
  constexpr std::string_view kCdata = "<![CDATA[";
  std::vector<ElementBytes> elements;
  std::vector<size_t> open;
  for (size_t at = 0; at < raw.size();) {
    size_t end = raw.size();
    if (raw[at] != '<' || raw.substr(at).starts_with(kCdata)) {
      if (raw[at] != '<') {
        end = std::min(raw.find('<', at), raw.size());
      } else if (const size_t close = raw.find("]]>", at); close != std::string_view::npos) {
        end = close + 3;
      }
      if (!open.empty()) elements[open.back()].texts.push_back({at, end});
    } else if (raw.substr(at).starts_with("</")) {
      end = tag_end(raw, at);
      if (!open.empty()) {
        elements[open.back()].all.end = end;
        open.pop_back();
      }
    } else {
      end = tag_end(raw, at);
      elements.push_back({{at, end}, {}});
      if (raw[end - 2] != '/') open.push_back(elements.size() - 1);
    }
    at = end;
  }
  return elements;
}

struct Splice {
  TextSpan span;
  std::string text;
};

// Nothing where an edit has no bytes to change.
std::optional<std::vector<Splice>> splices_of(std::string_view raw,
                                              const std::vector<StanzaEdit>& edits) {
  const auto elements = locate(raw);
  std::vector<Splice> splices;
  for (const StanzaEdit& edit : edits) {
    if (edit.element >= elements.size() || edit.kind == StanzaEdit::Kind::kRemoveReason) {
      return std::nullopt;
    }
    const ElementBytes& bytes = elements[edit.element];
    if (edit.kind == StanzaEdit::Kind::kRemove) {
      splices.push_back({bytes.all, {}});
      continue;
    }
    if (bytes.texts.empty()) return std::nullopt;
    for (size_t i = 0; i < bytes.texts.size(); ++i) {
      splices.push_back({bytes.texts[i], i == 0 ? base::escape_xml(edit.text) : std::string()});
    }
  }
  std::sort(splices.begin(), splices.end(), [](const Splice& one, const Splice& other) {
    return one.span.begin < other.span.begin;
  });
  return splices;
}

std::string spliced(std::string_view raw, const std::vector<Splice>& splices) {
  std::string made;
  size_t from = 0;
  for (const Splice& splice : splices) {
    if (splice.span.begin < from) continue;  // in what is removed
    made += raw.substr(from, splice.span.begin - from);
    made += splice.text;
    from = splice.span.end;
  }
  made += raw.substr(from);
  return made;
}

}  // namespace

std::vector<StanzaText> texts_of(const XmlElement& stanza) {
  std::vector<StanzaText> texts;
  size_t next = 0;
  collect(stanza, 0, next, texts);
  return texts;
}

bool is_encrypted(const XmlElement& stanza) {
  const auto children = stanza.children();
  return std::any_of(children.begin(), children.end(),
                     [](const XmlElement* child) { return is_one_of(*child, kEncrypted); });
}

std::string edit_stanza(std::string_view raw, const XmlElement& stanza,
                        const std::vector<StanzaEdit>& edits) {
  size_t next = 0;
  const XmlElement wanted = edited(stanza, edits, next);
  if (const auto splices = splices_of(raw, edits)) {
    std::string made = spliced(raw, *splices);
    const auto read = rules::parse_stanza(made);
    if (read && *read == wanted) return made;
  }
  return wanted.to_xml();
}

}  // namespace verbatim::content
