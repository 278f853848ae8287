// What an XMPP message stanza says, by the rules of the XEPs an archive has to know.
//
// The rules guard against a sender who dresses a post as something else: what carries words, files
// or encrypted content for people is a post or an edit, whatever stands beside it. Only what has
// none of them is an invitation, a deletion or a notice. Two exceptions, which keep their words: an
// invitation through the room, and a deletion of whose body its sender says that it is a fallback.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/xml_element.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

struct MessageFacts {
  enum class Kind {
    kPosted,
    kEdited,   // XEP-0308
    kDeleted,  // XEP-0424, XEP-0425
    kSubject,  // XEP-0045, section 8.1
    kInvited,  // XEP-0045 section 7.8, XEP-0249
    kNotice,   // nothing that was said: chat state, receipt, marker, copy, replay, error
  };

  Kind kind = Kind::kNotice;
  // kNotice: "chat state", "receipt", "marker", "reaction", "carbon copy", "forwarded copy",
  // "history replay", "error", "no content".
  std::string notice;
  bool is_encrypted = false;             // XEP-0380, XEP-0384
  bool has_text = false;                 // false: `text` is of no meaning
  v1::Text text;                         // the body, or where there is none the subject
  std::vector<v1::FileReference> files;  // XEP-0066, XEP-0447
  v1::References references;
  // Whatever the kind: a post may have both beside it.
  std::optional<v1::Invited> invitation;  // without files
  std::optional<v1::MessageDeleted> retraction;
  // Of an invitation through the room: the address invited, or who declined's inviter. Elsewhere
  // the sender may write there what it likes.
  std::string invited;
  std::string room;  // XEP-0249
};

struct MessageContext {
  // Bare address of the room, or empty outside rooms.
  std::string room;
  // True where the room or server has already removed ids that it did not give itself (XEP-0359,
  // section 5): only then an id inside the stanza is trusted.
  bool are_ids_trusted = false;
  // True where the message is a copy on its way to a recipient (es_IN, e_DELIVER): only then can it
  // be a replay of the room's history (XEP-0203). A delay in what a user sends is the user's claim.
  bool is_delivery = false;
};

// Takes a <message/> of jabber:client.
MessageFacts read_message(const base::XmlElement& message, const MessageContext& context);

}  // namespace verbatim::collector
