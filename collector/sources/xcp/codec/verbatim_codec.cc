#include "collector/sources/xcp/codec/verbatim_codec.h"

#include <charconv>

#include "base/sha256.h"
#include "collector/sources/xcp/codec/event_builder.h"
#include "collector/sources/xcp/codec/snapshot.h"
#include "collector/sources/xcp/codec/stanza_change.h"
#include "collector/sources/xcp/codec/xmpp_time.h"

namespace verbatim::collector {
namespace {

using base::XmlElement;

uint64_t parse_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

// "jsm-1.NODE" and "tc-1.NODE" are two components of one node.
std::string node_of(const std::string& from) {
  const bool is_component = from.starts_with("jsm-") || from.starts_with("tc-");
  const size_t dot = from.find('.');
  return is_component && dot != std::string::npos ? from.substr(dot + 1) : from;
}

v1::Event begin_event(const Xdb& xdb, std::string_view raw, const std::string& name) {
  v1::Event event;
  event.mutable_source()->set_node(node_of(xdb.from));
  event.mutable_source()->set_protocol("xcp");
  event.mutable_source()->set_raw_event(name);
  v1::SourceKey::Link& key = *event.mutable_source_key()->mutable_link();
  key.set_component(xdb.to);
  key.set_from(xdb.from);
  key.set_id(xdb.id);
  key.set_payload_sha256(base::sha256(xdb_payload(raw)));
  event.set_raw(std::string(raw));
  event.set_raw_media_type("application/xml");
  return event;
}

}  // namespace

void make_undecodable(v1::Event& event, const std::string& reason) {
  event.clear_actor();
  event.clear_others();
  event.clear_original_text();
  event.clear_references();
  event.mutable_conversation()->Clear();
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
  if (event.phase() == v1::PHASE_UNSPECIFIED) event.set_phase(v1::PHASE_ATTEMPT);
  event.mutable_other()->set_name("undecodable");
  event.mutable_other()->set_reason(reason);
}

const std::string& VerbatimCodec::ns() const {
  static const std::string name(kEventNamespace);
  return name;
}

DecodedEvent VerbatimCodec::decode(const Xdb& xdb, const XmlElement& element, std::string_view raw,
                                   const IsRoomDomain& is_room_domain) const {
  DecodedEvent decoded;
  const XmlElement* event = element.child("event", kEventNamespace);
  if (event != nullptr) decoded.name = event->attribute("name");
  decoded.event = begin_event(xdb, raw, decoded.name);
  decoded.stanza_of = stanza_within;
  std::string reason = "no event in it";
  const EventName* name = nullptr;
  if (event != nullptr) {
    decoded.packet_type = event->attribute("ptype");
    decoded.boot = parse_number(event->attribute("boot"));
    decoded.sequence = parse_number(event->attribute("seq"));
    decoded.event.set_source_time_unix_ns(parse_xmpp_time(event->attribute("time")));
    name = find_event_name(decoded.name);
    reason = "unknown event name";
    if (decoded.name == "x-snapshot") {
      decoded.snapshot = read_snapshot(*event, reason);
      if (decoded.snapshot) return decoded;
    }
  }
  if (name != nullptr) {
    decoded.reply_class = name->reply_class;
    decoded.is_told = event->attribute("told") == "1";
    const EventInput input{*name, *event, event->first_child(), is_room_domain};
    if (build_event(input, decoded.event, reason)) {
      const bool has_stanza = input.stanza != nullptr && input.stanza->ns() == "jabber:client";
      if (has_stanza) decoded.apply_change = apply_stanza_change;
      if (decoded.is_told) decoded.event.set_phase(v1::PHASE_CONFIRMED);
      return decoded;
    }
  }
  decoded.is_understood = false;
  make_undecodable(decoded.event, reason);
  return decoded;
}

std::string VerbatimCodec::encode(const Xdb& xdb, const Reply& reply,
                                  std::string_view stream_ns) const {
  XmlElement answer("xdb", std::string(stream_ns));
  answer.set_attribute("id", xdb.id);
  answer.set_attribute("type", reply.kind == Reply::Kind::kError ? "error" : "result");
  answer.set_attribute("from", xdb.to);
  answer.set_attribute("to", xdb.from);
  answer.set_attribute("ns", ns());
  if (reply.kind == Reply::Kind::kError) {
    XmlElement& error = answer.add_child(XmlElement("error", std::string(stream_ns)));
    error.set_attribute("code", reply.is_final ? "403" : "500");
    error.set_attribute("type", reply.is_final ? "cancel" : "wait");
    error.add_text(reply.reason);
  } else {
    const char* const word = reply.kind == Reply::Kind::kHandle ? "handle" : "pass";
    XmlElement& verdict = answer.add_child(XmlElement(word, ns()));
    if (reply.kind == Reply::Kind::kPassStanza) verdict.add_child(reply.stanza);
    if (reply.kind == Reply::Kind::kHandle && !reply.reason.empty()) verdict.add_text(reply.reason);
  }
  return answer.to_xml(stream_ns);
}

}  // namespace verbatim::collector
