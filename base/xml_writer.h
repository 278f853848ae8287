// XmlWriter: an XML document written as a stream, in bounded memory, by libxml2's text writer.
//
// UTF-8, indented by two blanks where an element has no text. Whatever is given comes back from a
// parser as it was: markup, quotes and "]]>" are escaped; line feed, carriage return and tab in an
// attribute, and carriage return in text, are written as character references, which attribute and
// line-end normalisation (XML 1.0, sections 3.3.3 and 2.11) leave alone. Characters that XML cannot
// carry become U+FFFD (base/xml_text.h): ask is_xml_text() first where that matters.
//
// I1 The first error sticks: later calls do nothing and finish() tells it.
// I2 Elements nest, attributes come before content: a violation is a bug of ours (CHECK).
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

class XmlWriter {
 public:
  // Takes the bytes in order, a few KiB at a time. An error ends the writing.
  using Sink = std::function<Status(std::string_view)>;

  // Writes the XML declaration at once.
  explicit XmlWriter(Sink sink);
  ~XmlWriter();
  XmlWriter(XmlWriter&&) noexcept;
  XmlWriter& operator=(XmlWriter&&) noexcept;

  // `name` is a legal XML name, with prefix if any; namespace declarations are attributes.
  void start_element(const std::string& name);
  void attribute(const std::string& name, const std::string& value);
  void text(const std::string& value);
  void end_element();

  // Hands over what is left. Errors: the sink's, or kResourceExhausted (memory).
  // CHECKs that every element has ended.
  Status finish();
  // The first error so far.
  const Status& status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::base
