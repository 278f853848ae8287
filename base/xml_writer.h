// XmlWriter: an XML document written as a stream, in bounded memory.
//
// UTF-8, indented by two blanks where an element has no text. Whatever is given comes back from a
// parser as it was: markup, quotes and "]]>" are escaped; line feed, carriage return and tab in an
// attribute, and carriage return in text, are written as character references, which attribute and
// line-end normalisation (XML 1.0, sections 3.3.3 and 2.11) leave alone. Characters that XML cannot
// carry become U+FFFD (base/xml_text.h): ask is_xml_text() first where that matters.
//
// The bytes are those of libxml2's text writer with indentation, which xml_writer_test.cc holds it
// against: written before this one, archives must not change. Why not that writer: docs/adr/0041.
//
// I1 The first error sticks: later calls do nothing and finish() tells it.
// I2 Elements nest, attributes come before content: a violation is a bug of ours (CHECK).
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace verbatim::base {

class XmlWriter {
 public:
  // Takes the bytes in order, some KiB at a time. An error ends the writing.
  using Sink = std::function<Status(std::string_view)>;

  // Begins with the XML declaration.
  explicit XmlWriter(Sink sink);

  // `name` is a legal XML name, with prefix if any; namespace declarations are attributes.
  void start_element(std::string_view name);
  void attribute(std::string_view name, std::string_view value);
  void text(std::string_view value);
  void end_element();

  // Hands over what is left. Errors: the sink's. CHECKs that every element has ended.
  Status finish();
  // The first error so far.
  const Status& status() const { return status_; }

 private:
  // One that has not ended.
  struct Element {
    size_t name_at;  // in names_
    bool has_content;
  };

  void indent(size_t depth) { buffer_.append(2 * depth, ' '); }
  void flush_full();

  Sink sink_;
  Status status_;
  std::string buffer_;
  std::vector<Element> open_;
  std::string names_;  // of those in open_, one after the other
  // False behind text: blanks there would become part of it.
  bool may_indent_end_ = false;
};

}  // namespace verbatim::base
