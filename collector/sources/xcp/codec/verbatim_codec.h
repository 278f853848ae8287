// VerbatimCodec: the payload of our own taps, urn:x-verbatim:xcp-event:1 (docs/xcp-link.md).
//
// I1 Every input gives an event; what is not understood keeps its bytes as Other "undecodable".
// I2 Event.raw is the <xdb> as received; the source key's digest is over the bytes between its
// tags.
//
// Threads: any; it has no state.
#pragma once

#include "collector/sources/xcp/codec/event_codec.h"

namespace verbatim::collector {

inline constexpr std::string_view kEventNamespace = "urn:x-verbatim:xcp-event:1";

class VerbatimCodec final : public EventCodec {
 public:
  const std::string& ns() const override;
  DecodedEvent decode(const Xdb& xdb, const base::XmlElement& element, std::string_view raw,
                      const IsRoomDomain& is_room_domain) const override;
  std::string encode(const Xdb& xdb, const Reply& reply, std::string_view stream_ns) const override;
};

// Turns `event` into Other "undecodable" in the source's own conversation; raw, source and keys
// stay.
void make_undecodable(v1::Event& event, const std::string& reason);

}  // namespace verbatim::collector
