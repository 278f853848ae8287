// EventCodec: the seam between the link and the payload of its events.
//
// The payload of Cisco's own events is not public; ours (urn:x-verbatim:xcp-event:1) is one
// implementation, and another can take its place without a change to link or flow of the nodes that
// dial us. Beyond it stand the <xdb/> envelope (xdb.h), the handshake, and that a stanza is one of
// jabber:client. Compliance servers that we dial are spoken to in our payload alone
// (collector/policy/link/link_codec.h), which would need its own counterpart.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/xml_element.h"
#include "collector/broker/roster.h"
#include "collector/policy/policy_question.h"
#include "collector/sources/xcp/codec/event_names.h"
#include "collector/sources/xcp/codec/xdb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// A part of what the node says is there after a (re)connect.
struct SnapshotPart {
  enum class Kind { kSessions, kRoom, kEnd };
  Kind kind = Kind::kEnd;
  uint32_t part = 1;
  uint32_t parts = 1;
  std::vector<v1::Party> sessions;  // kSessions
  v1::Conversation room;            // kRoom
  std::vector<Occupant> occupants;  // kRoom
};

struct DecodedEvent {
  std::string name;
  std::string packet_type;  // JSM events: message, presence, iq, subscription; may be empty
  ReplyClass reply_class = ReplyClass::kFree;
  // Numbering of the node's tap; 0 if it gave none.
  uint64_t boot = 0;
  uint64_t sequence = 0;
  // What of Event.raw policies see, and how a change of theirs becomes the event's; no change where
  // the event carries no stanza.
  StanzaOf stanza_of = nullptr;
  ApplyChange apply_change = {};
  // True where the node only tells: it has happened, or goes on whatever is answered.
  bool is_told = false;
  // False: `event` is the raw input as Other "undecodable".
  bool is_understood = true;
  // Set for a snapshot; then `event` is of no meaning.
  std::optional<SnapshotPart> snapshot;
  // Complete but for source.name; source_key is set.
  v1::Event event;
};

class EventCodec {
 public:
  // True for the domain of a room service; tells room traffic from direct chat in JSM events.
  using IsRoomDomain = std::function<bool(const std::string& domain)>;

  virtual ~EventCodec() = default;

  // The `ns` of the envelopes that this codec reads.
  virtual const std::string& ns() const = 0;

  // Never fails: what is not understood becomes Other "undecodable" with the bytes as received.
  // `raw`: the whole <xdb> as received.
  virtual DecodedEvent decode(const Xdb& xdb, const base::XmlElement& element, std::string_view raw,
                              const IsRoomDomain& is_room_domain) const = 0;

  // The answer to `xdb`, to stand in a stream whose namespace is `stream_ns`.
  virtual std::string encode(const Xdb& xdb, const Reply& reply,
                             std::string_view stream_ns) const = 0;
};

}  // namespace verbatim::collector
