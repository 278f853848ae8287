#include "base/xml_writer.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/xml_text.h"

namespace verbatim::base {
namespace {

constexpr size_t kBufferSize = size_t{32} * 1024;

// True for each byte that is written as it is.
using PlainBytes = std::array<bool, 256>;

constexpr PlainBytes all_but(std::string_view escaped) {
  PlainBytes plain{};
  for (bool& is_plain : plain) is_plain = true;
  for (const char c : escaped) plain[static_cast<unsigned char>(c)] = false;
  return plain;
}

constexpr PlainBytes kPlainInText = all_but("<>&\"\r");
constexpr PlainBytes kPlainInAttribute = all_but("<>&\"\r\n\t");

// `value` itself where XML can carry it, else a copy in `changed`.
std::string_view legal_text(std::string_view value, std::string& changed) {
  if (is_xml_text(value)) return value;
  changed = to_xml_text(value).text;
  return changed;
}

// True for eight bytes that are written as they are everywhere: no markup, no quote, no control.
bool is_plain_word(const char* at) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = 0x8080808080808080;
  // The high bit of some byte is set where a byte is 0, or where one is below `bound`.
  const auto has_zero = [](uint64_t word) { return (word - kOnes) & ~word & kHighBits; };
  const auto has_below = [](uint64_t word, uint64_t bound) {
    return (word - kOnes * bound) & ~word & kHighBits;
  };
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  // '<' and '>' differ in bit 1 only, '"' and '&' in bit 2.
  return (has_zero((word | kOnes * 0x02) ^ kOnes * '>') |
          has_zero((word | kOnes * 0x04) ^ kOnes * '&') | has_below(word, 0x20)) == 0;
}

std::string_view escaped(char c) {
  switch (c) {
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '&':
      return "&amp;";
    case '"':
      return "&quot;";
    case '\r':
      return "&#13;";
    case '\n':
      return "&#10;";
    default:
      return "&#9;";
  }
}

void append_text(std::string& out, std::string_view value, const PlainBytes& plain) {
  std::string changed;
  const std::string_view legal = legal_text(value, changed);
  size_t begin = 0;
  for (size_t at = 0; at < legal.size(); ++at) {
    while (legal.size() - at > sizeof(uint64_t) && is_plain_word(legal.data() + at)) {
      at += sizeof(uint64_t);
    }
    if (plain[static_cast<unsigned char>(legal[at])]) continue;
    out.append(legal, begin, at - begin);
    out += escaped(legal[at]);
    begin = at + 1;
  }
  out.append(legal, begin);
}

}  // namespace

XmlWriter::XmlWriter(Sink sink) : sink_(std::move(sink)) {
  buffer_.reserve(kBufferSize + 8 * 1024);
  buffer_ += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
}

void XmlWriter::start_element(std::string_view name) {
  if (!open_.empty() && !open_.back().has_content) {
    buffer_ += ">\n";
    open_.back().has_content = true;
  }
  indent(open_.size());
  buffer_ += '<';
  buffer_ += name;
  open_.push_back({names_.size(), false});
  names_ += name;
  flush_full();
}

void XmlWriter::attribute(std::string_view name, std::string_view value) {
  CHECK(!open_.empty() && !open_.back().has_content,
        "invariant I2: an attribute needs an element, before its content");
  buffer_ += ' ';
  buffer_ += name;
  buffer_ += "=\"";
  append_text(buffer_, value, kPlainInAttribute);
  buffer_ += '"';
  flush_full();
}

void XmlWriter::text(std::string_view value) {
  CHECK(!open_.empty(), "invariant I2: text needs an element");
  if (!open_.back().has_content) buffer_ += '>';
  open_.back().has_content = true;
  may_indent_end_ = false;
  append_text(buffer_, value, kPlainInText);
  flush_full();
}

void XmlWriter::end_element() {
  CHECK(!open_.empty(), "invariant I2: end without start");
  const Element element = open_.back();
  open_.pop_back();
  if (element.has_content) {
    if (may_indent_end_) indent(open_.size());
    buffer_ += "</";
    buffer_.append(names_, element.name_at);
    buffer_ += ">\n";
  } else {
    buffer_ += "/>\n";
  }
  may_indent_end_ = true;
  names_.resize(element.name_at);
  flush_full();
}

void XmlWriter::flush_full() {
  // After an error it is emptied, too: what follows is not wanted.
  if (buffer_.size() < kBufferSize) return;
  if (status_.ok()) status_ = sink_(buffer_);
  buffer_.clear();
}

Status XmlWriter::finish() {
  CHECK(open_.empty(), "invariant I2: an element has not ended");
  if (status_.ok() && !buffer_.empty()) status_ = sink_(buffer_);
  buffer_.clear();
  return status_;
}

}  // namespace verbatim::base
