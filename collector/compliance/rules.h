// The rules that every ComplianceState obeys, whoever made it (Cisco IM compliance guide,
// "Compliance profiles"; the numbers of behaviours are those of docs/conformance-cisco.md). Pure
// functions.
//
// Errors: kInvalidArgument, one sentence that names the thing and says what is allowed.
#pragma once

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

// What an entry gets that does not say: an error is bounced, but for login and logout
// (e_SESSION, es_END), which nothing may block.
v1::ComplianceProfile::Handling default_handling(const v1::ComplianceProfile::EventEntry& entry);
// Gives every entry that does not specify one its default handling.
void fill_handlings(v1::ComplianceProfile& profile);

// Name; one of the 40 event names each; packet types for JSM events with a stanza and for no
// others; no event twice with one packet type, nor with "all" and another.
Status check_profile(const v1::ComplianceProfile& profile);
// Name and kind; host, port and secret file for KIND_LINK and for it alone.
Status check_server(const v1::ComplianceServer& server);
// Each name once, and every assignment names a server and a profile that are there, once.
Status check_references(const v1::ComplianceState& state);

}  // namespace verbatim::collector
