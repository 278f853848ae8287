// XmlStreamParser: reads one XMPP stream (RFC 6120) as bytes come in, cut anywhere.
//
// It gives the header, then each complete top-level stanza as a tree with its bytes as received,
// then the end. What XMPP forbids (document types, entities other than the five, processing
// instructions, comments: RFC 6120 section 11.1) and what exceeds a limit ends the stream with an
// error whose condition is the stream error to answer.
//
// I1 At no time does it hold more than the limits allow, whatever comes in: a stanza is refused
// while
//    it is read, at most kSliceBytes past the limit.
// I2 After an error nothing more is parsed; items completed before it can still be taken.
// I3 An item's raw bytes are exactly those received, from "<" to ">".
//
// Threads: one at a time. Libxml2 does the parsing; nothing is loaded from files or the network.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/xml_element.h"

namespace verbatim::base {

struct XmlStreamLimits {
  size_t stanza_max_bytes = 1 << 20;   // the header too
  size_t markup_max_bytes = 64 << 10;  // one tag or CDATA section
  int depth_max = 64;                  // the stream's own element is 1
  int attributes_max_count = 128;      // of one element, with namespace declarations
  size_t elements_max_count = 20000;   // of one stanza; each costs memory whatever its size
};

struct XmlStreamError {
  // A condition of RFC 6120 section 4.9.3: "not-well-formed", "restricted-xml", "policy-violation",
  // "unsupported-encoding".
  std::string condition;
  // For people; nothing of the input.
  std::string detail;
};

struct XmlStreamItem {
  enum class Kind { kHeader, kStanza, kEnd };

  Kind kind = Kind::kStanza;
  XmlElement element;             // kHeader: attributes only
  std::string default_namespace;  // kHeader: what a stanza without xmlns is in
  std::string raw;                // kStanza
};

class XmlStreamParser {
 public:
  static constexpr size_t kSliceBytes = 4096;

  explicit XmlStreamParser(const XmlStreamLimits& limits);
  ~XmlStreamParser();
  XmlStreamParser(const XmlStreamParser&) = delete;
  XmlStreamParser& operator=(const XmlStreamParser&) = delete;

  // Holds from the next byte on.
  void set_limits(const XmlStreamLimits& limits);

  // Takes the next bytes of the stream. False after an error, of now or before.
  bool feed(std::string_view bytes);

  // The next complete item, in the order received.
  std::optional<XmlStreamItem> next();

  const std::optional<XmlStreamError>& error() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::base
