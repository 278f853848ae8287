// What confirms an attempt: a chat node asks before an act and, where its profile has the event,
// tells when it has happened (Cisco IM compliance guide, TC events).
//
//   onBeforeSend               onBeforeBroadcast: only what is let through is broadcast
//   onBeforeX                  onAfterX, for RoomCreate, MetaInfoSet, ChangeAffiliation,
//                              RemoveAffiliation, Join, Subject, Invite
//   onBeforeChangeUser         onAfterChangeUser, for a nickname or a role; who loses every role
//                              leaves instead, and availability changes by itself
//
// An outcome bears the name of the event that it is about, and is neither.
//
// A direct message has no such pair: es_IN comes only where the recipient has a session here.
#pragma once

#include <string>
#include <string_view>

#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// The node's name of the event that confirms this attempt; empty: none does.
std::string_view confirmation_of(const v1::Event& attempt);

// True for an event that confirms others.
bool is_confirmation(const v1::Event& event);

// Equal for an attempt and what confirms it: source, conversation, whom it is about and, where the
// act is a post, its id (a room shows a new subject under an id of its own, or none). Takes
// completed events; `confirmation` is the confirming event's name.
std::string act_key_of(const v1::Event& event, std::string_view confirmation);

}  // namespace verbatim::collector
