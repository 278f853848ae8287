#include "base/xml_element.h"

#include <algorithm>

namespace verbatim::base {
namespace {

constexpr std::string_view kXmlNamespace = "http://www.w3.org/XML/1998/namespace";

auto find_attribute(const std::vector<XmlAttribute>& attributes, std::string_view name,
                    std::string_view ns) {
  return std::find_if(attributes.begin(), attributes.end(), [&](const XmlAttribute& attribute) {
    return attribute.name == name && attribute.ns == ns;
  });
}

void append_attribute(std::string& out, const XmlAttribute& attribute, size_t& prefix_count) {
  out += ' ';
  if (attribute.ns == kXmlNamespace) {
    out += "xml:";
  } else if (!attribute.ns.empty()) {
    const std::string prefix = "ns" + std::to_string(prefix_count++);
    out += "xmlns:" + prefix + "='" + escape_xml(attribute.ns, true) + "' " + prefix + ":";
  }
  out += attribute.name + "='" + escape_xml(attribute.value, true) + "'";
}

void append_element(std::string& out, const XmlElement& element, std::string_view context_ns) {
  out += "<" + element.name();
  if (element.ns() != context_ns) out += " xmlns='" + escape_xml(element.ns(), true) + "'";
  size_t prefix_count = 0;
  for (const XmlAttribute& attribute : element.attributes()) {
    append_attribute(out, attribute, prefix_count);
  }
  if (element.nodes().empty()) {
    out += "/>";
    return;
  }
  out += '>';
  for (const XmlNode& node : element.nodes()) {
    if (node.is_text) {
      out += escape_xml(node.text);
    } else {
      append_element(out, node.element, element.ns());
    }
  }
  out += "</" + element.name() + ">";
}

}  // namespace

std::string XmlElement::attribute(std::string_view name, std::string_view ns) const {
  const auto found = find_attribute(attributes_, name, ns);
  return found == attributes_.end() ? std::string() : found->value;
}

bool XmlElement::has_attribute(std::string_view name, std::string_view ns) const {
  return find_attribute(attributes_, name, ns) != attributes_.end();
}

XmlElement& XmlElement::set_attribute(std::string name, std::string value, std::string ns) {
  for (XmlAttribute& attribute : attributes_) {
    if (attribute.name == name && attribute.ns == ns) {
      attribute.value = std::move(value);
      return *this;
    }
  }
  attributes_.push_back({std::move(ns), std::move(name), std::move(value)});
  return *this;
}

const XmlElement* XmlElement::child(std::string_view name, std::string_view ns) const {
  for (const XmlNode& node : nodes_) {
    if (!node.is_text && node.element.is(name, ns)) return &node.element;
  }
  return nullptr;
}

const XmlElement* XmlElement::child_in(std::string_view ns) const {
  for (const XmlNode& node : nodes_) {
    if (!node.is_text && node.element.ns() == ns) return &node.element;
  }
  return nullptr;
}

const XmlElement* XmlElement::first_child() const {
  for (const XmlNode& node : nodes_) {
    if (!node.is_text) return &node.element;
  }
  return nullptr;
}

std::vector<const XmlElement*> XmlElement::children() const {
  std::vector<const XmlElement*> found;
  for (const XmlNode& node : nodes_) {
    if (!node.is_text) found.push_back(&node.element);
  }
  return found;
}

std::vector<const XmlElement*> XmlElement::children(std::string_view name,
                                                    std::string_view ns) const {
  std::vector<const XmlElement*> found = children();
  std::erase_if(found, [&](const XmlElement* element) { return !element->is(name, ns); });
  return found;
}

std::string XmlElement::text() const {
  std::string all;
  for (const XmlNode& node : nodes_) {
    if (node.is_text) all += node.text;
  }
  return all;
}

XmlElement& XmlElement::add_child(XmlElement child) {
  XmlNode node;
  node.element = std::move(child);
  nodes_.push_back(std::move(node));
  return nodes_.back().element;
}

void XmlElement::add_text(std::string_view text) {
  if (nodes_.empty() || !nodes_.back().is_text) {
    nodes_.emplace_back();
    nodes_.back().is_text = true;
  }
  nodes_.back().text += text;
}

std::string XmlElement::to_xml(std::string_view context_ns) const {
  std::string out;
  append_element(out, *this, context_ns);
  return out;
}

bool XmlElement::operator==(const XmlElement& other) const {
  return name_ == other.name_ && ns_ == other.ns_ && attributes_ == other.attributes_ &&
         nodes_ == other.nodes_;
}

std::string escape_xml(std::string_view text, bool in_attribute) {
  std::string out;
  out.reserve(text.size());
  for (const char character : text) {
    switch (character) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '\r':  // a parser turns a bare CR into LF (XML 1.0, section 2.11)
        out += "&#13;";
        break;
      case '\n':
        out += in_attribute ? "&#10;" : "\n";
        break;
      case '\t':
        out += in_attribute ? "&#9;" : "\t";
        break;
      default:
        if (static_cast<unsigned char>(character) < 0x20) {
          out += "\xEF\xBF\xBD";
        } else {
          out += character;
        }
    }
  }
  return out;
}

}  // namespace verbatim::base
