#include "collector/sources/xcp/codec/message_facts.h"

#include <algorithm>
#include <charconv>

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
constexpr std::string_view kFallback = "urn:xmpp:fallback:0";
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

// XEP-0045, section 8.1.
bool is_room_subject(const XmlElement& message) {
  return message.attribute("type") == "groupchat" && message.child("subject", kClient) != nullptr &&
         message.child("body", kClient) == nullptr && message.child("thread", kClient) == nullptr;
}

// People read a subject without a body, too; the empty one says something in a room only.
void read_subject(const XmlElement& message, MessageFacts& facts) {
  const std::string subject = child_text(&message, "subject", kClient);
  facts.has_text = !subject.empty() || is_room_subject(message);
  if (facts.has_text) facts.text.set_plain(subject);
}

void read_text(const XmlElement& message, MessageFacts& facts) {
  const XmlElement* body = find_body(message);
  if (body == nullptr) return read_subject(message, facts);
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

void read_retraction(const XmlElement& message, const MessageContext& context,
                     MessageFacts& facts) {
  std::string target;
  const XmlElement* retract = find_retraction(message, target);
  if (retract == nullptr || target.empty()) return;
  facts.references.set_target_message_id(target);
  v1::MessageDeleted& retraction = facts.retraction.emplace();
  retraction.set_reason(child_text(retract, "reason", retract->ns()));
  const bool names_moderator =
      retract->ns() == kModerateOld || retract->child("moderated", kModerate) != nullptr;
  // Only the room itself can say so (XEP-0425, section 5).
  retraction.set_by_moderator(names_moderator && !context.room.empty() &&
                              message.attribute("from") == context.room);
}

// All of the body is for clients that know no retractions (XEP-0428). Before `for` there was none.
bool is_fallback_for_retraction(const XmlElement& message) {
  const auto fallbacks = message.children("fallback", kFallback);
  return std::any_of(fallbacks.begin(), fallbacks.end(), [](const XmlElement* fallback) {
    const std::string what = fallback->attribute("for");
    if (!what.empty() && what != kRetract && what != kRetractOld) return false;
    const XmlElement* body = fallback->child("body", kFallback);
    if (body == nullptr) return !fallback->has_children();
    return !body->has_attribute("start") && !body->has_attribute("end");
  });
}

// To the room, or from it: never what one writes to an occupant, or somewhere else.
bool goes_through_room(const XmlElement& message, const MessageContext& context) {
  if (context.room.empty()) return false;
  return message.attribute(context.is_delivery ? "from" : "to").find('/') == std::string::npos;
}

void read_invitation(const XmlElement& message, const MessageContext& context,
                     MessageFacts& facts) {
  const XmlElement* user = message.child("x", kMucUser);
  const XmlElement* invite = user == nullptr ? nullptr : user->child("invite", kMucUser);
  const XmlElement* decline = user == nullptr ? nullptr : user->child("decline", kMucUser);
  if (const XmlElement* found = invite != nullptr ? invite : decline) {
    v1::Invited& invitation = facts.invitation.emplace();
    invitation.set_is_direct(!goes_through_room(message, context));
    invitation.set_declined(invite == nullptr);
    invitation.set_reason(child_text(found, "reason", kMucUser));
    if (!invitation.is_direct()) facts.invited = found->attribute("to");
    return;
  }
  const XmlElement* direct = message.child("x", "jabber:x:conference");
  // In a groupchat it is an ornament of a post.
  if (direct == nullptr || message.attribute("type") == "groupchat") return;
  if (direct->attribute("jid").empty()) return;
  facts.room = direct->attribute("jid");
  facts.invitation.emplace().set_is_direct(true);
  facts.invitation->set_reason(direct->attribute("reason"));
}

// What stands beside words, files or encrypted content is noted, and changes nothing.
Kind kind_of_content(const XmlElement& message, MessageFacts& facts) {
  if (facts.retraction && !facts.invitation) {
    const bool is_fallback = message.child("body", kClient) != nullptr && facts.files.empty() &&
                             !facts.is_encrypted && is_fallback_for_retraction(message);
    return is_fallback || facts.retraction->by_moderator() ? Kind::kDeleted : Kind::kPosted;
  }
  const XmlElement* replace = message.child("replace", kCorrect);
  if (facts.invitation || replace == nullptr || replace->attribute("id").empty()) {
    return Kind::kPosted;
  }
  facts.references.set_target_message_id(replace->attribute("id"));
  return Kind::kEdited;
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

Kind kind_of(const XmlElement& message, MessageFacts& facts) {
  const bool is_subject = is_room_subject(message);
  const bool has_content =
      (facts.has_text && !is_subject) || !facts.files.empty() || facts.is_encrypted;
  // The room makes an invitation of its own of it; a groupchat it shows to all as it is.
  const bool is_shown_to_all = message.attribute("type") == "groupchat";
  if (facts.invitation && !facts.invitation->is_direct() && !is_shown_to_all) return Kind::kInvited;
  if (has_content || (facts.invitation && is_shown_to_all)) return kind_of_content(message, facts);
  if (is_subject) return Kind::kSubject;
  if (facts.invitation) return Kind::kInvited;
  return facts.retraction ? Kind::kDeleted : Kind::kNotice;
}

}  // namespace

MessageFacts read_message(const XmlElement& message, const MessageContext& context) {
  MessageFacts facts;
  read_references(message, context, facts);
  // A bounce repeats what its receiver had said, beside an <error/> (RFC 6120, section 8.3.1).
  // Without one it is a message like any other, whatever it calls itself.
  if (message.attribute("type") == "error" && message.child("error", kClient) != nullptr) {
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
  read_retraction(message, context, facts);
  read_invitation(message, context, facts);
  facts.kind = kind_of(message, facts);
  if (facts.kind == Kind::kNotice) facts.notice = notice_of(message);
  return facts;
}

}  // namespace verbatim::collector
