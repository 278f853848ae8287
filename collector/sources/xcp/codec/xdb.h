// The <xdb/> envelope of the link: request and reply share id and ns, from and to change places
// (jabberd 1.4; docs/xcp-link.md).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/xml_element.h"
#include "collector/sources/xcp/codec/event_names.h"

namespace verbatim::collector {

struct Xdb {
  std::string id;
  std::string from;
  std::string to;
  std::string ns;    // of the payload
  std::string type;  // get, set, result, error
  // True where the node waits for an answer.
  bool is_awaited() const { return type == "get"; }
};

// Takes the attributes as they are; missing ones are empty.
Xdb parse_xdb(const base::XmlElement& element);

// The bytes between the xdb's own tags; empty for <xdb .../>. Takes what an XmlStreamParser gave.
std::string_view xdb_payload(std::string_view raw);

struct Reply {
  enum class Kind { kPass, kPassStanza, kHandle, kError };
  Kind kind = Kind::kPass;
  base::XmlElement stanza;  // kPassStanza
  std::string reason;       // kError: for people; kHandle: what the sender may be told
  bool is_final = false;    // kError: decided, so that asking again does not help
};

// What may be said: kPass in place of kHandle and kPassStanza where the class allows only PASS. An
// error is no answer to the event but says that there is none, so every class allows it; kNone must
// not be answered at all.
Reply allowed_reply(ReplyClass reply_class, Reply reply);

}  // namespace verbatim::collector
