// The 12 JSM and 28 TC events of Cisco's Event Broker by name: what may be answered, in which phase
// of an act they come, and what they become (Cisco IM compliance guide, chapter on third-party
// compliance servers, tables of JSM and TC events).
#pragma once

#include <span>
#include <string_view>

#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// What the node takes as an answer.
enum class ReplyClass {
  kFree,       // R1: PASS, PASS with another stanza, HANDLE
  kPassOnly,   // R2
  kPassSame,   // R3: PASS with the stanza unmodified
  kPassEmpty,  // R4: PASS with nothing in it
  kNone,       // R5: no reply at all
};

// How the event's payload becomes a body of the canonical event.
enum class EventShape {
  kOther,
  kLogin,
  kLogout,
  kStanza,  // JSM events that carry a stanza: by its kind
  kOffline,
  kRoomCreated,
  kRoomDestroyed,
  kRoomClosed,  // by the service
  kRoomPacket,
  kRoomConfigured,
  kUserChanged,
  kAffiliation,
  kAffiliationRemoved,
  kJoined,
  kLeft,
  kSubject,
  kInvited,
  kHistory,
  kRoomMessage,
};

struct EventName {
  std::string_view name;
  bool is_room_event;  // TC
  ReplyClass reply_class;
  v1::Phase phase;
  EventShape shape;
};

// All 40, JSM first.
std::span<const EventName> event_names();
// Null for an unknown name.
const EventName* find_event_name(std::string_view name);

}  // namespace verbatim::collector
