// The stanza that a question carries (Event.raw), as a tree.
//
// The collector has parsed it already with tighter limits, so what cannot be read here is something
// else than XML; whoever must not let anything pass unseen has to refuse it.
//
// Threads: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/xml_element.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::rules {

// Nothing where it is no well-formed stanza. Text that declares no namespace is in jabber:client.
std::optional<base::XmlElement> parse_stanza(std::string_view raw);

// What a stanza offers as files without being a message: SI (XEP-0096) and Jingle (XEP-0234).
std::vector<v1::FileReference> file_offers(const base::XmlElement& stanza);

}  // namespace verbatim::rules
