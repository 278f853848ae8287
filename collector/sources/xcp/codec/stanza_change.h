// The stanza of an event of the link, and what becomes of the event when a policy changes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/xml_element.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// The bytes of the stanza within an <xdb/> as received (Event.raw); empty where there is none.
// Namespaces that it uses have to be declared on itself, as the codec demands.
std::string_view stanza_within(std::string_view raw);

// Exactly one well-formed stanza of jabber:client; nothing for anything else.
std::optional<base::XmlElement> parse_stanza(std::string_view xml);

// Gives the event with its final text as the changed stanza has it; the raw bytes stay as received.
// Errors: kInvalidArgument where it is no stanza, or another one: its name, type, from, to and id
// are not for a policy to change.
Result<v1::Event> apply_stanza_change(const v1::Event& event, const std::string& changed_raw);

}  // namespace verbatim::collector
