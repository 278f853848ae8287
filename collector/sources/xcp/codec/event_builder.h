// Builds the canonical body, conversation and parties of one named event of the node.
#pragma once

#include <string>

#include "base/xml_element.h"
#include "collector/sources/xcp/codec/event_codec.h"
#include "collector/sources/xcp/codec/event_names.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

struct EventInput {
  const EventName& name;
  const base::XmlElement& event;   // <event/>
  const base::XmlElement* stanza;  // its child, or null
  const EventCodec::IsRoomDomain& is_room_domain;
};

// Fills phase, conversation, actor, others, texts, references and body. Takes an event whose source
// is set. Gives false with `reason` where something that the body needs is missing.
bool build_event(const EventInput& input, v1::Event& event, std::string& reason);

}  // namespace verbatim::collector
