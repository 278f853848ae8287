#include "collector/sources/xcp/xcp_link.h"

#include <array>
#include <utility>

#include "collector/sources/xcp/handshake.h"

namespace verbatim::collector {
namespace {

using base::XmlElement;
using base::XmlStreamItem;

constexpr std::string_view kStreams = "http://etherx.jabber.org/streams";
constexpr std::string_view kStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams";
constexpr std::string_view kStanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas";
constexpr std::string_view kDiscoInfo = "http://jabber.org/protocol/disco#info";
constexpr std::string_view kAccept = "jabber:component:accept";

constexpr std::array<std::string_view, 3> kStreamNamespaces = {"jabber:component:connect", kAccept,
                                                               "jabber:client"};

bool is_stream_namespace(std::string_view ns) {
  for (const std::string_view known : kStreamNamespaces) {
    if (ns == known) return true;
  }
  return false;
}

base::XmlStreamLimits handshake_limits() {
  base::XmlStreamLimits limits;
  limits.stanza_max_bytes = XcpLink::kHandshakeMaxBytes;
  limits.markup_max_bytes = XcpLink::kHandshakeMaxBytes;
  limits.depth_max = 8;
  limits.elements_max_count = 64;
  return limits;
}

base::XmlStreamLimits active_limits(size_t stanza_max_bytes) {
  base::XmlStreamLimits limits;
  limits.stanza_max_bytes = stanza_max_bytes;
  return limits;
}

// Swaps the addresses of a request.
XmlElement reply_to(const XmlElement& request, const std::string& type) {
  XmlElement reply(request.name(), request.ns());
  reply.set_attribute("type", type);
  if (request.has_attribute("id")) reply.set_attribute("id", request.attribute("id"));
  if (request.has_attribute("to")) reply.set_attribute("from", request.attribute("to"));
  if (request.has_attribute("from")) reply.set_attribute("to", request.attribute("from"));
  return reply;
}

}  // namespace

XcpLink::XcpLink(uint64_t number, XcpLinkOptions options, std::chrono::nanoseconds now,
                 XcpLinkObserver& observer)
    : number_(number),
      options_(std::move(options)),
      observer_(observer),
      parser_(handshake_limits()),
      stream_id_(make_stream_id()),
      stream_ns_(kAccept),
      handshake_deadline_(now + options_.handshake_timeout),
      now_(now) {}

void XcpLink::on_bytes(std::string_view bytes) {
  if (!wants_input()) return;
  received_bytes_ += bytes.size();
  if (state_ == State::kConnected && received_bytes_ > 2 * kHandshakeMaxBytes) {
    return fail("policy-violation", "too much before the handshake");
  }
  parser_.feed(bytes);
  pump();
}

void XcpLink::pump() {
  while (wants_input() && (state_ != State::kActive || observer_.has_room(*this))) {
    const auto item = parser_.next();
    if (!item) {
      const auto& error = parser_.error();
      if (error) fail(error->condition, "stream error: " + error->detail);
      return;
    }
    switch (item->kind) {
      case XmlStreamItem::Kind::kHeader:
        on_header(*item);
        break;
      case XmlStreamItem::Kind::kStanza:
        on_stanza(*item);
        break;
      case XmlStreamItem::Kind::kEnd:
        drain("closed by the node");
        break;
    }
  }
}

void XcpLink::on_end_of_input() {
  if (state_ == State::kClosed) return;
  if (state_ != State::kDraining) reason_ = "connection lost";
  state_ = State::kClosed;
}

void XcpLink::on_tick(std::chrono::nanoseconds now) {
  now_ = now;
  if (state_ != State::kConnected) return;
  if (now >= handshake_deadline_) return fail("connection-timeout", "no handshake in time");
  const bool is_reverse_due = has_header_ && !peer_stream_id_.empty() && !has_sent_digest_ &&
                              now >= header_time_ + options_.reverse_delay;
  if (!is_reverse_due || !options_.is_reverse_allowed) return;
  has_sent_digest_ = true;
  write("<handshake>" + handshake_digest(peer_stream_id_, options_.secret) + "</handshake>");
}

void XcpLink::on_header(const XmlStreamItem& header) {
  const XmlElement& element = header.element;
  has_header_ = true;
  header_time_ = now_;
  if (!element.is("stream", kStreams)) {
    return fail("invalid-namespace", "the header is no XMPP stream");
  }
  if (!is_stream_namespace(header.default_namespace)) {
    return fail("invalid-namespace", "unknown stream namespace");
  }
  stream_ns_ = header.default_namespace;
  const bool is_in_to = element.attribute("to") == options_.component;
  if (!is_in_to && element.attribute("from") != options_.component) {
    return fail("host-unknown", "unknown component name");
  }
  peer_stream_id_ = element.attribute("id");
  // XEP-0114, sections 3 and 4: the name comes back in the other attribute.
  open_stream(is_in_to ? "from" : "to", element.attribute("version") == "1.0");
}

void XcpLink::open_stream(const std::string& role_attribute, bool wants_features) {
  if (has_opened_) return;
  has_opened_ = true;
  std::string header = "<?xml version='1.0'?><stream:stream xmlns='" + stream_ns_ +
                       "' xmlns:stream='" + std::string(kStreams) + "' id='" + stream_id_ + "'";
  if (!role_attribute.empty()) {
    header += " " + role_attribute + "='" + base::escape_xml(options_.component, true) + "'";
  }
  if (wants_features) header += " version='1.0'";
  header += ">";
  if (wants_features) header += "<stream:features/>";
  write(header);
}

void XcpLink::on_stanza(const XmlStreamItem& stanza) {
  const XmlElement& element = stanza.element;
  if (element.is("error", kStreams)) {
    reason_ = "the node ended the stream with an error";
    return drain(reason_);
  }
  if (element.is("features", kStreams)) return;
  if (element.is("handshake", stream_ns_)) return on_handshake(element);
  if (state_ != State::kActive) return fail("not-authorized", "a stanza before the handshake");
  on_active_stanza(stanza);
}

void XcpLink::on_handshake(const XmlElement& element) {
  if (state_ == State::kActive) return;
  const bool is_answer = has_sent_digest_ && element.text().empty();
  if (!is_answer && !is_handshake(element.text(), stream_id_, options_.secret)) {
    return fail("not-authorized", "wrong digest");
  }
  if (!observer_.admit(*this)) return fail("conflict", "another link of this name is active");
  if (!is_answer) write("<handshake/>");
  activate();
}

void XcpLink::activate() {
  state_ = State::kActive;
  was_active_ = true;
  reason_ = "authenticated";
  parser_.set_limits(active_limits(options_.stanza_max_bytes));
  if (options_.send_component_presence) {
    XmlElement presence("presence", stream_ns_);
    presence.set_attribute("to", "presence@-internal").set_attribute("from", options_.component);
    XmlElement& x =
        presence.add_child(XmlElement("x", "http://www.jabber.com/schemas/component-presence.xsd"));
    x.set_attribute("version", "0", "http://www.jabber.com/config");
    x.set_attribute("protocol-version", "1.0");
    write(presence.to_xml(stream_ns_));
  }
  observer_.on_active(*this);
}

void XcpLink::on_active_stanza(const XmlStreamItem& stanza) {
  const XmlElement& element = stanza.element;
  if (element.is("xdb", stream_ns_)) {
    const std::string type = element.attribute("type");
    if (element.attribute("ns") == options_.payload_ns && (type == "get" || type == "set")) {
      return observer_.on_xdb(*this, element, stanza.raw);
    }
    return on_foreign_xdb(element);
  }
  if (element.is("iq", stream_ns_)) on_iq(element);
  // Component presence, routes and anything else a router pushes unasked: accepted and ignored.
}

void XcpLink::on_foreign_xdb(const XmlElement& xdb) {
  if (xdb.attribute("type") != "get") return;
  XmlElement reply = reply_to(xdb, "result");
  reply.set_attribute("ns", xdb.attribute("ns"));
  send(reply.to_xml(stream_ns_));
}

void XcpLink::on_iq(const XmlElement& iq) {
  const std::string type = iq.attribute("type");
  if (type != "get" && type != "set") return;
  if (type == "get" && iq.child("query", kDiscoInfo) != nullptr) {
    XmlElement reply = reply_to(iq, "result");
    reply.add_child(XmlElement("query", std::string(kDiscoInfo)));
    return send(reply.to_xml(stream_ns_));
  }
  XmlElement reply = reply_to(iq, "error");
  XmlElement& error = reply.add_child(XmlElement("error", stream_ns_));
  error.set_attribute("type", "cancel");
  error.add_child(XmlElement("service-unavailable", std::string(kStanzaErrors)));
  send(reply.to_xml(stream_ns_));
}

void XcpLink::write(std::string_view bytes) {
  output_ += bytes;
  if (output_.size() <= options_.output_max_bytes) return;
  has_failed_ = true;
  state_ = State::kClosed;
  reason_ = "the node does not read its answers";
}

void XcpLink::send(std::string_view xml) {
  if (state_ == State::kActive || state_ == State::kDraining) write(xml);
}

void XcpLink::drain(const std::string& reason) {
  if (!wants_input()) return;
  const bool is_active = state_ == State::kActive;
  state_ = State::kDraining;
  reason_ = reason;
  if (!is_active) finish();
}

void XcpLink::finish() {
  if (state_ == State::kClosed) return;
  if (has_opened_) write("</stream:stream>");
  state_ = State::kClosed;
}

void XcpLink::fail(const std::string& condition, const std::string& reason) {
  if (state_ == State::kClosed) return;
  open_stream("", false);
  write("<stream:error><" + condition + " xmlns='" + std::string(kStreamErrors) +
        "'/></stream:error></stream:stream>");
  state_ = State::kClosed;
  reason_ = reason;
  has_failed_ = true;
}

}  // namespace verbatim::collector
