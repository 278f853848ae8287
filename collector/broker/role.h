// Record or evidence: which of several captures of one act stands for it.
//
// A chat node may report one act many times: a room post as es_OUT, onBeforeSend, onBeforeBroadcast
// and N times es_IN. For each kind of act there is an order of preference over the node's event
// names; the first one that the profile in force has is the record, every other known name is
// evidence. So the choice depends on profile, conversation and event name alone, never on what was
// seen before: a capture that is evidence stays so even if the record never comes.
//
//   room post, edit, deletion     onBeforeBroadcast, onBeforeSend, es_OUT
//   private post in a room        onPacket, es_OUT, e_DELIVER, es_IN
//   direct post, edit, deletion   es_OUT, e_DELIVER, es_IN
//   from a federated person       e_DELIVER, es_IN: a foreign server fires no es_OUT here
//   joined                        onAfterJoin, onBeforeJoin, onAfterChangeUser, es_OUT
//   left                          onLeave, onAfterChangeUser, es_OUT
//   the pairs onBefore/onAfter    onAfter…, onBefore…
//   delivered                     always evidence
//
// Events without a name of the node's, and with a name that is none of the 40, are records.
#pragma once

#include "collector/broker/profile.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Takes an event whose source, conversation kind, actor affinity and body are set.
v1::Role choose_role(const Profile& profile, const v1::Event& event);

}  // namespace verbatim::collector
