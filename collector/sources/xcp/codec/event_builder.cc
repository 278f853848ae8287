#include "collector/sources/xcp/codec/event_builder.h"

#include <charconv>
#include <utility>

#include "collector/broker/jid.h"
#include "collector/sources/xcp/codec/message_facts.h"
#include "collector/sources/xcp/codec/xmpp_time.h"

namespace verbatim::collector {
namespace {

using base::XmlElement;

constexpr std::string_view kClient = "jabber:client";
constexpr std::string_view kMucOwner = "http://jabber.org/protocol/muc#owner";
constexpr std::string_view kData = "jabber:x:data";
// Three parts of 1,023 bytes and their separators (RFC 6122, section 2.1).
constexpr size_t kAddressMaxBytes = 3 * 1'023 + 2;

std::string bare(const std::string& address) { return address.substr(0, address.find('/')); }

std::string domain_of(const std::string& address) {
  const std::string without = bare(address);
  return without.substr(without.find('@') + 1);  // npos + 1 is 0
}

// Absent, or with a bare part, and no longer than RFC 6122 allows.
bool is_usable(const std::string& address) {
  return address.empty() ||
         (address.size() <= kAddressMaxBytes && !parse_jid(address).bare().empty());
}

void set_party(v1::Party& party, const std::string& address, const std::string& nickname) {
  party.set_address(address);
  party.set_nickname(nickname);
}

// One event on its way to its canonical form.
class Builder {
 public:
  Builder(const EventInput& input, v1::Event& event) : input_(input), event_(event) {}

  bool build(std::string& reason) {
    event_.set_phase(input_.name.phase);
    set_actor();
    set_conversation();
    build_body();
    if (reason_.empty()) check_people();
    reason = reason_;
    return reason.empty();
  }

 private:
  std::string attribute(std::string_view name) const { return input_.event.attribute(name); }
  std::string stanza_attribute(std::string_view name) const {
    return input_.stanza == nullptr ? std::string() : input_.stanza->attribute(name);
  }
  bool is_delivery() const {
    return input_.name.name == "es_IN" || input_.name.name == "e_DELIVER" ||
           input_.name.name == "e_OFFLINE";
  }
  std::string room() const {
    return event_.conversation().kind() == v1::CONVERSATION_KIND_ROOM
               ? bare(event_.conversation().address())
               : std::string();
  }

  void set_actor() {
    std::string address = attribute("actor");
    if (address.empty()) address = stanza_attribute("from");
    if (!address.empty()) set_party(*event_.mutable_actor(), address, attribute("actor-nick"));
  }

  void set_conversation() {
    v1::Conversation& conversation = *event_.mutable_conversation();
    std::string room = attribute("room");
    if (room.empty() && input_.name.is_room_event) room = stanza_room();
    if (room.empty() && is_groupchat()) room = is_delivery() ? stanza_from() : stanza_to();
    if (!room.empty()) {
      conversation.set_kind(v1::CONVERSATION_KIND_ROOM);
      conversation.set_address(bare(room));
      conversation.set_name(attribute("room-name"));
    } else if (event_.actor().address().empty()) {
      conversation.set_kind(v1::CONVERSATION_KIND_SOURCE);
    } else {
      conversation.set_kind(v1::CONVERSATION_KIND_PERSON);
      conversation.set_address(bare(event_.actor().address()));
    }
  }

  std::string stanza_from() const { return stanza_attribute("from"); }
  std::string stanza_to() const { return stanza_attribute("to"); }
  bool is_groupchat() const { return is_message() && stanza_attribute("type") == "groupchat"; }
  bool is_message() const {
    return input_.stanza != nullptr && input_.stanza->is("message", kClient);
  }
  // A packet to a room or an occupant carries the room's address; one to the service does not.
  std::string stanza_room() const {
    const std::string to = bare(stanza_to());
    return to.find('@') == std::string::npos ? std::string() : to;
  }

  void build_body();
  void build_other();
  void build_stanza();
  void build_message();
  void build_direct_conversation(std::string to);
  void apply_message(const MessageFacts& facts);
  void apply_invitation(const MessageFacts& facts);
  void build_presence();
  void build_room_created();
  void build_room_destroyed(bool by_service);
  void build_room_configured();
  void build_user_changed();
  void build_affiliation(bool is_removal);
  void build_joined();
  void build_left();
  void build_subject();
  void build_invited();
  void build_history();
  void add_target();
  void add_occupant();
  void check_people();

  const EventInput& input_;
  v1::Event& event_;
  std::string reason_;
};

void Builder::build_body() {
  switch (input_.name.shape) {
    case EventShape::kOther:
      return build_other();
    case EventShape::kLogin:
      event_.mutable_login()->set_client(attribute("client"));
      event_.mutable_login()->set_peer_address(attribute("peer"));
      return;
    case EventShape::kLogout:
      event_.mutable_logout()->set_reason(attribute("reason"));
      return;
    case EventShape::kStanza:
      return build_stanza();
    case EventShape::kOffline:
      if (!is_message()) return build_stanza();
      build_direct_conversation(stanza_to());
      event_.mutable_references()->set_message_id(stanza_attribute("id"));
      event_.mutable_message_delivered()->set_recipient_offline(true);
      return;
    case EventShape::kRoomCreated:
      return build_room_created();
    case EventShape::kRoomDestroyed:
      return build_room_destroyed(false);
    case EventShape::kRoomClosed:
      return build_room_destroyed(true);
    case EventShape::kRoomMessage:
      if (!is_message()) reason_ = "a message event without a message";
      [[fallthrough]];
    case EventShape::kRoomPacket:
      return is_message() ? build_message() : build_other();
    case EventShape::kRoomConfigured:
      return build_room_configured();
    case EventShape::kUserChanged:
      return build_user_changed();
    case EventShape::kAffiliation:
      return build_affiliation(false);
    case EventShape::kAffiliationRemoved:
      return build_affiliation(true);
    case EventShape::kJoined:
      return build_joined();
    case EventShape::kLeft:
      return build_left();
    case EventShape::kSubject:
      return build_subject();
    case EventShape::kInvited:
      return build_invited();
    case EventShape::kHistory:
      return build_history();
  }
}

void Builder::build_other() { event_.mutable_other()->set_name(std::string(input_.name.name)); }

void Builder::build_stanza() {
  if (input_.stanza == nullptr) {
    reason_ = "a stanza event without a stanza";
  } else if (is_message()) {
    build_message();
  } else if (input_.stanza->is("presence", kClient)) {
    build_presence();
  } else {
    build_other();
  }
}

void Builder::build_presence() {
  v1::PresenceChanged& presence = *event_.mutable_presence_changed();
  const std::string type = stanza_attribute("type");
  presence.set_type(type.empty() ? "available" : type);
  if (const XmlElement* show = input_.stanza->child("show", kClient))
    presence.set_show(show->text());
  if (const XmlElement* status = input_.stanza->child("status", kClient)) {
    presence.set_status(status->text());
  }
  const std::string to = stanza_to();
  if (!to.empty()) event_.add_others()->set_address(to);
}

// Who speaks with whom: the pair of bare addresses, or the room behind an occupant's address.
void Builder::build_direct_conversation(std::string to) {
  if (event_.conversation().kind() == v1::CONVERSATION_KIND_ROOM) return;
  v1::Conversation& conversation = *event_.mutable_conversation();
  if (to.empty()) to = bare(event_.actor().address());  // to oneself (RFC 6120, section 8.1.1.1)
  const std::string room_side = input_.is_room_domain(domain_of(to))              ? to
                                : input_.is_room_domain(domain_of(stanza_from())) ? stanza_from()
                                                                                  : std::string();
  if (!room_side.empty() && room_side.find('@') != std::string::npos) {
    conversation.set_kind(v1::CONVERSATION_KIND_ROOM);
    conversation.set_address(bare(room_side));
  } else {
    conversation.set_kind(v1::CONVERSATION_KIND_DIRECT);
    conversation.set_address(to);
  }
  event_.add_others()->set_address(to);
}

void Builder::build_message() {
  if (!is_groupchat()) build_direct_conversation(stanza_to());
  if (is_groupchat() && is_delivery()) add_target();  // whom this copy of the post goes to
  MessageContext context;
  context.room = room();
  context.is_delivery = is_delivery();
  context.are_ids_trusted = is_delivery() || input_.name.name == "onBeforeBroadcast";
  apply_message(read_message(*input_.stanza, context));
}

void Builder::apply_message(const MessageFacts& facts) {
  *event_.mutable_references() = facts.references;
  // The tap asked the room itself.
  if (!attribute("stanza-id").empty()) {
    event_.mutable_references()->set_stanza_id(attribute("stanza-id"));
  }
  if (facts.has_text) *event_.mutable_original_text() = facts.text;
  const bool is_private =
      event_.conversation().kind() == v1::CONVERSATION_KIND_ROOM && !is_groupchat();
  if (!facts.room.empty()) event_.mutable_references()->set_correlation(facts.room);
  switch (facts.kind) {
    case MessageFacts::Kind::kPosted: {
      v1::MessagePosted& posted = *event_.mutable_message_posted();
      posted.set_is_private(is_private);
      posted.set_is_encrypted(facts.is_encrypted);
      posted.mutable_files()->Assign(facts.files.begin(), facts.files.end());
      if (is_private) add_occupant();
      if (facts.invitation) *posted.mutable_invitation() = *facts.invitation;
      if (facts.retraction) *posted.mutable_retraction() = *facts.retraction;
      return;
    }
    case MessageFacts::Kind::kEdited:
      if (is_private) add_occupant();
      event_.mutable_message_edited()->set_is_private(is_private);
      event_.mutable_message_edited()->mutable_files()->Assign(facts.files.begin(),
                                                               facts.files.end());
      return;
    case MessageFacts::Kind::kDeleted:
      if (is_private) add_occupant();
      *event_.mutable_message_deleted() = *facts.retraction;
      event_.mutable_message_deleted()->set_is_private(is_private);
      return;
    case MessageFacts::Kind::kSubject:
      event_.mutable_subject_changed()->set_cleared(facts.text.plain().empty());
      return;
    case MessageFacts::Kind::kInvited:
      if (is_private && facts.invitation->is_direct()) add_occupant();
      return apply_invitation(facts);
    case MessageFacts::Kind::kNotice:
      event_.clear_original_text();
      build_other();
      event_.mutable_other()->set_reason(facts.notice);
      return;
  }
}

// Whom a private message in a room goes to: the person, where the room says who is behind the
// nickname.
void Builder::add_occupant() {
  if (event_.others_size() != 0) return;
  if (attribute("target").empty()) {
    event_.add_others()->set_address(stanza_to());
  } else {
    add_target();
  }
}

void Builder::apply_invitation(const MessageFacts& facts) {
  v1::Invited& invited = *event_.mutable_invited();
  invited = *facts.invitation;
  invited.mutable_files()->Assign(facts.files.begin(), facts.files.end());
  // Written by the sender: an address that is none is nobody, and must not make the rest
  // unreadable.
  if (facts.invited.empty() || !is_usable(facts.invited)) return;
  // The stanza itself only went to the room; the invited is whom it concerns.
  event_.clear_others();
  event_.add_others()->set_address(facts.invited);
}

void Builder::add_target() {
  const std::string target = attribute("target");
  if (target.empty() && attribute("target-nick").empty()) return;
  set_party(*event_.add_others(), target, attribute("target-nick"));
}

void Builder::build_room_created() {
  event_.mutable_room_created()->set_persistent(attribute("persistent") == "1");
}

void Builder::build_room_destroyed(bool by_service) {
  v1::RoomDestroyed& destroyed = *event_.mutable_room_destroyed();
  destroyed.set_by_service(by_service);
  destroyed.set_reason(attribute("reason"));
  destroyed.set_alternate_address(attribute("alternate"));
  // An owner's <iq><query><destroy jid><reason/></destroy></query></iq> (XEP-0045, section 10.9).
  const XmlElement* query =
      input_.stanza == nullptr ? nullptr : input_.stanza->child("query", kMucOwner);
  const XmlElement* destroy = query == nullptr ? nullptr : query->child("destroy", kMucOwner);
  if (destroy == nullptr) return;
  if (destroyed.alternate_address().empty()) {
    destroyed.set_alternate_address(destroy->attribute("jid"));
  }
  const XmlElement* reason = destroy->child("reason", kMucOwner);
  if (destroyed.reason().empty() && reason != nullptr) destroyed.set_reason(reason->text());
}

void Builder::build_room_configured() {
  auto& settings = *event_.mutable_room_configured()->mutable_settings();
  const XmlElement* query =
      input_.stanza == nullptr ? nullptr : input_.stanza->child("query", kMucOwner);
  const XmlElement* form = query == nullptr ? nullptr : query->child("x", kData);
  if (form == nullptr) return;
  for (const XmlElement* field : form->children("field", kData)) {
    std::string value;
    for (const XmlElement* line : field->children("value", kData)) {
      if (!value.empty()) value += '\n';
      value += line->text();
    }
    // A room's password is a secret (XEP-0045, section 10.1.3): that it was set is what counts.
    const std::string name = field->attribute("var");
    settings[name] = name == "muc#roomconfig_roomsecret" && !value.empty() ? "(set)" : value;
  }
}

void Builder::build_user_changed() {
  const std::string what = attribute("what");
  if (what == "join") return build_joined();
  if (what == "leave") return build_left();
  add_target();
  if (what == "nick" || (what.empty() && !attribute("new-nick").empty())) {
    event_.mutable_nickname_changed()->set_old_nickname(attribute("old-nick"));
    event_.mutable_nickname_changed()->set_new_nickname(attribute("new-nick"));
  } else if (what == "role" || (what.empty() && attribute("role") != attribute("old-role"))) {
    event_.mutable_role_changed()->set_old_role(attribute("old-role"));
    event_.mutable_role_changed()->set_new_role(attribute("role"));
    event_.mutable_role_changed()->set_reason(attribute("reason"));
  } else if (input_.stanza != nullptr && input_.stanza->is("presence", kClient)) {
    build_presence();
  } else {
    event_.mutable_presence_changed()->set_type("available");
  }
}

void Builder::build_affiliation(bool is_removal) {
  add_target();
  v1::AffiliationChanged& changed = *event_.mutable_affiliation_changed();
  changed.set_old_affiliation(attribute("old-affiliation"));
  const std::string affiliation = attribute("affiliation");
  changed.set_new_affiliation(is_removal && affiliation.empty() ? "none" : affiliation);
  changed.set_reason(attribute("reason"));
}

void Builder::build_joined() {
  add_target();
  event_.mutable_joined()->set_role(attribute("role"));
  event_.mutable_joined()->set_affiliation(attribute("affiliation"));
}

void Builder::build_left() {
  add_target();
  event_.mutable_left()->set_reason(attribute("reason"));
}

void Builder::build_subject() {
  if (!is_message() || input_.stanza->child("subject", kClient) == nullptr) {
    reason_ = "a subject event without a subject";
    return;
  }
  event_.mutable_references()->set_message_id(stanza_attribute("id"));
  if (!attribute("stanza-id").empty()) {
    event_.mutable_references()->set_stanza_id(attribute("stanza-id"));
  }
  const std::string subject = input_.stanza->child("subject", kClient)->text();
  event_.mutable_original_text()->set_plain(subject);
  event_.mutable_subject_changed()->set_cleared(subject.empty());
}

void Builder::build_invited() {
  add_target();
  event_.mutable_invited()->set_reason(attribute("reason"));
  if (!is_message()) return;
  const MessageFacts facts = read_message(
      *input_.stanza, {.room = room(), .are_ids_trusted = false, .is_delivery = false});
  *event_.mutable_references() = facts.references;
  if (facts.has_text) *event_.mutable_original_text() = facts.text;
  v1::Invited& invited = *event_.mutable_invited();
  invited.mutable_files()->Assign(facts.files.begin(), facts.files.end());
  if (facts.invitation) {
    invited.set_declined(facts.invitation->declined());
    if (invited.reason().empty()) invited.set_reason(facts.invitation->reason());
  }
  if (event_.others_size() == 0 && !facts.invited.empty() && is_usable(facts.invited)) {
    event_.add_others()->set_address(facts.invited);
  }
}

void Builder::build_history() {
  // A person's own archive (XEP-0313), here only what was said with somebody.
  if (!attribute("target").empty()) build_direct_conversation(attribute("target"));
  v1::HistoryRead& read = *event_.mutable_history_read();
  read.set_from_unix_ns(parse_xmpp_time(attribute("history-from")));
  read.set_to_unix_ns(parse_xmpp_time(attribute("history-to")));
  const std::string text = attribute("history-max");
  int64_t count = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  read.set_requested_count(error == std::errc() && end == text.data() + text.size() ? count : -1);
}

// What the broker needs to give the event its place.
void Builder::check_people() {
  if (!is_usable(event_.actor().address()) || !is_usable(event_.conversation().address())) {
    reason_ = "an address that is none";
  }
  for (const v1::Party& other : event_.others()) {
    if (!is_usable(other.address())) reason_ = "an address that is none";
  }
  if (!input_.name.is_room_event) {
    const bool needs_actor = input_.name.shape != EventShape::kOther;
    if (needs_actor && event_.actor().address().empty()) reason_ = "an event without an actor";
    return;
  }
  if (event_.conversation().kind() == v1::CONVERSATION_KIND_ROOM) {
    if (room().empty()) reason_ = "a room without an address";
    return;
  }
  const bool is_own_archive = event_.has_history_read() && !event_.actor().address().empty();
  if (input_.name.shape != EventShape::kOther && !event_.has_other() && !is_own_archive) {
    reason_ = "a room event without a room";
  }
}

}  // namespace

bool build_event(const EventInput& input, v1::Event& event, std::string& reason) {
  return Builder(input, event).build(reason);
}

}  // namespace verbatim::collector
