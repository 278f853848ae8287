// People in events: their normal form, and whose participation an event changes.
#pragma once

#include <string>

#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Fills normalised, and session or nickname where the source left them empty. "room@service/nick"
// in a room's own conversation names an occupant: it keeps its resource, which is the nickname. An
// empty address stays as it is. Gives the domain, for the affinity; empty for an occupant.
std::string normalise_party(v1::Party& party, const v1::Conversation& conversation);

// Of joined and left: others[0] where someone else caused it (kick, invitation by a moderator),
// else the actor. Of all other events: the actor.
const v1::Party& participant_of(const v1::Event& event);

}  // namespace verbatim::collector
