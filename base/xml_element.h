// XmlElement: a small XML tree of our own, so that no code outside base/xml_*.cc sees the XML
// library.
//
// It holds what XMPP needs: elements, attributes and text, with namespaces resolved. Prefixes are
// not kept: to_xml() declares namespaces anew, so its text means the same but may differ byte by
// byte from what was read. Depth is bounded by whoever builds the tree (base/xml_stream_parser.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace verbatim::base {

struct XmlAttribute {
  std::string ns;  // empty for an attribute without prefix
  std::string name;
  std::string value;

  bool operator==(const XmlAttribute&) const = default;
};

struct XmlNode;

// Threads: none of its own; a value.
class XmlElement {
 public:
  XmlElement();
  XmlElement(std::string name, std::string ns);
  ~XmlElement();
  XmlElement(const XmlElement&);
  XmlElement(XmlElement&&) noexcept;
  XmlElement& operator=(const XmlElement&);
  XmlElement& operator=(XmlElement&&) noexcept;

  const std::string& name() const { return name_; }
  const std::string& ns() const { return ns_; }
  bool is(std::string_view name, std::string_view ns) const { return name_ == name && ns_ == ns; }

  const std::vector<XmlAttribute>& attributes() const { return attributes_; }
  // Value of the attribute without namespace (or in `ns`); empty if there is none.
  std::string attribute(std::string_view name, std::string_view ns = {}) const;
  bool has_attribute(std::string_view name, std::string_view ns = {}) const;
  // Replaces the value of an attribute that is there.
  XmlElement& set_attribute(std::string name, std::string value, std::string ns = {});

  // Elements and texts in document order.
  const std::vector<XmlNode>& nodes() const { return nodes_; }
  // First child element of that name and namespace, or null; valid while this element is unchanged.
  const XmlElement* child(std::string_view name, std::string_view ns) const;
  // First child element of that namespace, or null.
  const XmlElement* child_in(std::string_view ns) const;
  // First child element, or null.
  const XmlElement* first_child() const;
  // All child elements; all of that name and namespace.
  std::vector<const XmlElement*> children() const;
  std::vector<const XmlElement*> children(std::string_view name, std::string_view ns) const;
  bool has_children() const { return first_child() != nullptr; }
  // Its own text, without that of its children.
  std::string text() const;

  XmlElement& add_child(XmlElement child);
  // Joins a text that is already last.
  void add_text(std::string_view text);

  // `context_ns`: default namespace at the place where the text will stand.
  std::string to_xml(std::string_view context_ns = {}) const;

  bool operator==(const XmlElement&) const;

 private:
  std::string name_;
  std::string ns_;
  std::vector<XmlAttribute> attributes_;
  std::vector<XmlNode> nodes_;
};

// An element or, where is_text, a text.
struct XmlNode {
  bool is_text = false;
  std::string text;
  XmlElement element;

  bool operator==(const XmlNode&) const = default;
};

// Only here is XmlNode complete, which the vector of them needs (clang insists).
inline XmlElement::XmlElement() = default;
inline XmlElement::XmlElement(std::string name, std::string ns)
    : name_(std::move(name)), ns_(std::move(ns)) {}
inline XmlElement::~XmlElement() = default;
inline XmlElement::XmlElement(const XmlElement&) = default;
inline XmlElement::XmlElement(XmlElement&&) noexcept = default;
inline XmlElement& XmlElement::operator=(const XmlElement&) = default;
inline XmlElement& XmlElement::operator=(XmlElement&&) noexcept = default;

// With & < > " ' as predefined entities, and CR, LF and TAB as character references where
// `in_attribute`. Characters that XML 1.0 cannot carry become U+FFFD.
std::string escape_xml(std::string_view text, bool in_attribute = false);

}  // namespace verbatim::base
