#include "collector/broker/role.h"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace verbatim::collector {
namespace {

// Event names in order of preference, and the packet type that JSM events of this act have.
struct Chain {
  std::vector<std::string_view> names;
  std::string_view packet_type = "message";
};

// To a single occupant of a room.
bool is_private(const v1::Event& event) {
  return event.message_posted().is_private() || event.message_edited().is_private() ||
         event.message_deleted().is_private() || event.invited().is_direct();
}

Chain message_chain(const v1::Event& event) {
  const bool is_room = event.conversation().kind() == v1::CONVERSATION_KIND_ROOM;
  if (is_room && !is_private(event)) {
    return {{"onBeforeBroadcast", "onBeforeSend", "es_OUT", "e_DELIVER", "es_IN"}};
  }
  if (is_room) return {{"onPacket", "es_OUT", "e_DELIVER", "es_IN"}};
  if (event.actor().affinity() == v1::AFFINITY_FEDERATED) return {{"e_DELIVER", "es_IN"}};
  return {{"es_OUT", "e_DELIVER", "es_IN"}};
}

Chain invitation_chain(const v1::Event& event) {
  if (event.invited().is_direct()) return message_chain(event);
  return {{"onAfterInvite", "onBeforeInvite", "es_OUT", "e_DELIVER", "es_IN"}};
}

Chain affiliation_chain(const v1::Event& event) {
  if (event.source().raw_event().find("RemoveAffiliation") != std::string::npos) {
    return {{"onAfterRemoveAffiliation", "onBeforeRemoveAffiliation"}};
  }
  return {{"onAfterChangeAffiliation", "onBeforeChangeAffiliation"}};
}

Chain presence_chain(const v1::Event& event) {
  if (event.conversation().kind() == v1::CONVERSATION_KIND_ROOM) {
    return {{"onAfterChangeUser", "onBeforeChangeUser", "es_OUT", "e_DELIVER", "es_IN"},
            "presence"};
  }
  if (event.actor().affinity() == v1::AFFINITY_FEDERATED) {
    return {{"e_DELIVER", "es_IN"}, "presence"};
  }
  return {{"es_OUT", "e_DELIVER", "es_IN"}, "presence"};
}

// The acts that have an order of preference; empty for the others.
Chain chain_of(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kMessagePosted:
    case v1::Event::kMessageEdited:
    case v1::Event::kMessageDeleted:
      return message_chain(event);
    case v1::Event::kInvited:
      return invitation_chain(event);
    case v1::Event::kAffiliationChanged:
      return affiliation_chain(event);
    case v1::Event::kPresenceChanged:
      return presence_chain(event);
    case v1::Event::kRoleChanged:
    case v1::Event::kNicknameChanged:
      return {{"onAfterChangeUser", "onBeforeChangeUser", "es_OUT"}, "presence"};
    case v1::Event::kJoined:
      return {{"onAfterJoin", "onBeforeJoin", "onAfterChangeUser", "es_OUT"}, "presence"};
    case v1::Event::kLeft:
      return {{"onLeave", "onAfterChangeUser", "es_OUT"}, "presence"};
    case v1::Event::kSubjectChanged:
      return {{"onAfterSubject", "onBeforeSubject", "onBeforeBroadcast", "onBeforeSend", "es_OUT"}};
    case v1::Event::kRoomCreated:
      return {{"onAfterRoomCreate", "onBeforeRoomCreate"}};
    case v1::Event::kRoomDestroyed:
      if (event.room_destroyed().by_service()) return {{"onClose"}};
      return {{"onDestroy"}};
    case v1::Event::kRoomConfigured:
      return {{"onAfterMetaInfoSet", "onBeforeMetaInfoSet"}};
    case v1::Event::kHistoryRead:
      return {{"onHistory", "es_OUT", "e_DELIVER", "e_SERVER"}, "iq"};
    case v1::Event::kLogin:
      return {{"e_SESSION"}, ""};
    case v1::Event::kLogout:
      return {{"es_END"}, ""};
    default:
      return {};
  }
}

}  // namespace

v1::Role choose_role(const Profile& profile, const v1::Event& event) {
  const std::string& name = event.source().raw_event();
  if (!Profile::is_jsm_event(name) && !Profile::is_tc_event(name)) return v1::ROLE_RECORD;
  if (event.body_case() == v1::Event::kMessageDelivered) return v1::ROLE_EVIDENCE;
  const Chain chain = chain_of(event);
  for (const std::string_view preferred : chain.names) {
    if (!profile.has(preferred, chain.packet_type)) continue;
    return preferred == name ? v1::ROLE_RECORD : v1::ROLE_EVIDENCE;
  }
  return v1::ROLE_RECORD;
}

}  // namespace verbatim::collector
