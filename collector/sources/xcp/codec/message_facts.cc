#include "collector/sources/xcp/codec/message_facts.h"

#include <charconv>
#include <optional>

namespace verbatim::collector {
namespace {

using base::XmlElement;
using Kind = MessageFacts::Kind;

constexpr std::string_view kClient = "jabber:client";
constexpr std::string_view kXml = "http://www.w3.org/XML/1998/namespace";
constexpr std::string_view kMucUser = "http://jabber.org/protocol/muc#user";
constexpr std::string_view kCarbons = "urn:xmpp:carbons:2";
constexpr std::string_view kForward = "urn:xmpp:forward:0";
constexpr std::string_view kDelay = "urn:xmpp:delay";
constexpr std::string_view kStanzaIds = "urn:xmpp:sid:0";
constexpr std::string_view kCorrect = "urn:xmpp:message-correct:0";
constexpr std::string_view kRetract = "urn:xmpp:message-retract:1";
constexpr std::string_view kRetractOld = "urn:xmpp:message-retract:0";
constexpr std::string_view kModerate = "urn:xmpp:message-moderate:1";
constexpr std::string_view kModerateOld = "urn:xmpp:message-moderate:0";
constexpr std::string_view kFasten = "urn:xmpp:fasten:0";
constexpr std::string_view kFileSharing = "urn:xmpp:sfs:0";
constexpr std::string_view kFileMetadata = "urn:xmpp:file:metadata:0";
constexpr std::string_view kUrlData = "http://jabber.org/protocol/url-data";

std::string bare(const std::string& address) { return address.substr(0, address.find('/')); }

std::string child_text(const XmlElement* parent, std::string_view name, std::string_view ns) {
  const XmlElement* child = parent == nullptr ? nullptr : parent->child(name, ns);
  return child == nullptr ? std::string() : child->text();
}

// The body without a language first, else the first one (RFC 6121, section 5.2.3); all of them
// stand in the raw bytes.
const XmlElement* find_body(const XmlElement& message) {
  const auto bodies = message.children("body", kClient);
  for (const XmlElement* body : bodies) {
    if (!body->has_attribute("lang", kXml)) return body;
  }
  return bodies.empty() ? nullptr : bodies.front();
}

void read_text(const XmlElement& message, MessageFacts& facts) {
  const XmlElement* body = find_body(message);
  if (body == nullptr) return;
  facts.has_text = true;
  facts.text.set_plain(body->text());
  facts.text.set_language(body->has_attribute("lang", kXml) ? body->attribute("lang", kXml)
                                                            : message.attribute("lang", kXml));
  const XmlElement* html = message.child("html", "http://jabber.org/protocol/xhtml-im");
  if (html == nullptr) return;
  facts.text.set_rich(html->to_xml());
  facts.text.set_rich_media_type("application/xhtml+xml");
}

bool is_encrypted(const XmlElement& message) {
  return message.child("encryption", "urn:xmpp:eme:0") != nullptr ||
         message.child("encrypted", "eu.siacs.conversations.axolotl") != nullptr ||
         message.child("encrypted", "urn:xmpp:omemo:2") != nullptr ||
         message.child("openpgp", "urn:xmpp:openpgp:0") != nullptr ||
         message.child("x", "jabber:x:encrypted") != nullptr;
}

int64_t parse_size(const std::string& text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : -1;
}

// The last part of a URL's path, for links that name no file.
std::string name_in_url(const std::string& url) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  const size_t slash = path.rfind('/');
  const size_t scheme = path.find("://");
  if (slash == std::string::npos || (scheme != std::string::npos && slash < scheme + 3)) return {};
  return path.substr(slash + 1);
}

void read_files(const XmlElement& message, MessageFacts& facts) {
  for (const XmlElement* link : message.children("x", "jabber:x:oob")) {
    v1::FileReference& file = facts.files.emplace_back();
    file.set_url(child_text(link, "url", "jabber:x:oob"));
    const std::string description = child_text(link, "desc", "jabber:x:oob");
    file.set_name(description.empty() ? name_in_url(file.url()) : description);
    file.set_size_bytes(-1);
  }
  for (const XmlElement* sharing : message.children("file-sharing", kFileSharing)) {
    const XmlElement* metadata = sharing->child("file", kFileMetadata);
    const XmlElement* sources = sharing->child("sources", kFileSharing);
    const XmlElement* source = sources == nullptr ? nullptr : sources->child("url-data", kUrlData);
    v1::FileReference& file = facts.files.emplace_back();
    if (source != nullptr) file.set_url(source->attribute("target"));
    file.set_name(child_text(metadata, "name", kFileMetadata));
    file.set_media_type(child_text(metadata, "media-type", kFileMetadata));
    file.set_size_bytes(parse_size(child_text(metadata, "size", kFileMetadata)));
  }
}

void read_references(const XmlElement& message, const MessageContext& context,
                     MessageFacts& facts) {
  v1::References& references = facts.references;
  references.set_message_id(message.attribute("id"));
  if (references.message_id().empty()) {
    const XmlElement* origin = message.child("origin-id", kStanzaIds);
    if (origin != nullptr) references.set_message_id(origin->attribute("id"));
  }
  if (const XmlElement* reply = message.child("reply", "urn:xmpp:reply:0")) {
    references.set_reply_to_id(reply->attribute("id"));
  }
  if (context.room.empty() || !context.are_ids_trusted) return;
  for (const XmlElement* id : message.children("stanza-id", kStanzaIds)) {
    if (id->attribute("by") == context.room) references.set_stanza_id(id->attribute("id"));
  }
}

bool is_history_replay(const XmlElement& message, const MessageContext& context) {
  if (!context.is_delivery || message.attribute("type") != "groupchat") return false;
  const XmlElement* delay = message.child("delay", kDelay);
  if (delay == nullptr) return message.child("x", "jabber:x:delay") != nullptr;
  const std::string from = bare(delay->attribute("from"));
  return from.empty() || from == bare(message.attribute("from"));
}

// XEP-0424 in its present form, and as it was applied by XEP-0422 before.
const XmlElement* find_retraction(const XmlElement& message, std::string& target) {
  const XmlElement* retract = message.child("retract", kRetract);
  if (retract != nullptr) {
    target = retract->attribute("id");
    return retract;
  }
  const XmlElement* apply = message.child("apply-to", kFasten);
  if (apply == nullptr) return nullptr;
  target = apply->attribute("id");
  const XmlElement* moderated = apply->child("moderated", kModerateOld);
  if (moderated != nullptr) return moderated;
  return apply->child("retract", kRetractOld);
}

bool read_retraction(const XmlElement& message, const MessageContext& context,
                     MessageFacts& facts) {
  std::string target;
  const XmlElement* retract = find_retraction(message, target);
  if (retract == nullptr || target.empty()) return false;
  facts.kind = Kind::kDeleted;
  facts.references.set_target_message_id(target);
  facts.reason = child_text(retract, "reason", retract->ns());
  const bool names_moderator =
      retract->ns() == kModerateOld || retract->child("moderated", kModerate) != nullptr;
  // Only the room itself can say so (XEP-0425, section 5).
  facts.by_moderator =
      names_moderator && !context.room.empty() && message.attribute("from") == context.room;
  return true;
}

bool read_invitation(const XmlElement& message, const MessageContext& context,
                     MessageFacts& facts) {
  const XmlElement* user = message.child("x", kMucUser);
  const XmlElement* invite = user == nullptr ? nullptr : user->child("invite", kMucUser);
  const XmlElement* decline = user == nullptr ? nullptr : user->child("decline", kMucUser);
  const XmlElement* found = invite != nullptr ? invite : decline;
  // People invite through a room. Beside words that go straight to somebody it is an ornament, and
  // must not make a message something else.
  const bool is_ornament = !context.is_delivery && context.room.empty() && facts.has_text;
  if (found != nullptr && !is_ornament) {
    facts.kind = invite != nullptr ? Kind::kInvited : Kind::kDeclined;
    facts.invited = found->attribute("to");
    facts.reason = child_text(found, "reason", kMucUser);
    return true;
  }
  const XmlElement* direct = message.child("x", "jabber:x:conference");
  // In a groupchat it is an ornament of a post.
  if (direct == nullptr || message.attribute("type") == "groupchat") return false;
  if (direct->attribute("jid").empty()) return false;
  facts.kind = Kind::kInvitedDirect;
  facts.room = direct->attribute("jid");
  facts.reason = direct->attribute("reason");
  return true;
}

bool read_subject(const XmlElement& message, MessageFacts& facts) {
  const XmlElement* subject = message.child("subject", kClient);
  if (subject == nullptr || message.attribute("type") != "groupchat" || facts.has_text ||
      message.child("thread", kClient) != nullptr) {
    return false;
  }
  facts.kind = Kind::kSubject;
  facts.has_text = true;
  facts.text.set_plain(subject->text());
  return true;
}

std::string notice_of(const XmlElement& message) {
  if (message.child_in(kCarbons) != nullptr) return "carbon copy";
  if (message.child("forwarded", kForward) != nullptr) return "forwarded copy";
  if (message.child("reactions", "urn:xmpp:reactions:0") != nullptr) return "reaction";
  if (message.child_in("urn:xmpp:receipts") != nullptr) return "receipt";
  if (message.child_in("urn:xmpp:chat-markers:0") != nullptr) return "marker";
  if (message.child_in("http://jabber.org/protocol/chatstates") != nullptr) return "chat state";
  return "no content";
}

}  // namespace

MessageFacts read_message(const XmlElement& message, const MessageContext& context) {
  MessageFacts facts;
  read_references(message, context, facts);
  if (message.attribute("type") == "error") {
    facts.notice = "error";
    return facts;
  }
  if (is_history_replay(message, context)) {
    facts.notice = "history replay";
    return facts;
  }
  read_text(message, facts);
  read_files(message, facts);
  facts.is_encrypted = is_encrypted(message);
  if (read_retraction(message, context, facts) || read_invitation(message, context, facts)) {
    return facts;
  }
  const XmlElement* replace = message.child("replace", kCorrect);
  const bool has_content = facts.has_text || !facts.files.empty() || facts.is_encrypted;
  if (replace != nullptr && !replace->attribute("id").empty() && has_content) {
    facts.kind = Kind::kEdited;
    facts.references.set_target_message_id(replace->attribute("id"));
    return facts;
  }
  if (read_subject(message, facts)) return facts;
  if (has_content) {
    facts.kind = Kind::kPosted;
  } else {
    facts.notice = notice_of(message);
  }
  return facts;
}

}  // namespace verbatim::collector
