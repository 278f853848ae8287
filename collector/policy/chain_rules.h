// The rules of the chain that depend on the event alone (docs/policies.md). Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collector/compliance/routing_table.h"
#include "verbatim/v1/collector_state.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// What a policy may answer: only PASS where the node takes nothing else (reply classes R2 to R4).
std::vector<v1::Decision> allowed_decisions(bool is_pass_only, bool may_change);

// True for what goes on though a policy is silent or away: logins, logouts, leaves, presence, and
// what nobody may refuse anyway. Messages, rooms, invites and all else stop (fail closed).
bool is_never_blocked(const v1::Event& event, bool is_pass_only);

// The same of an event that is not understood, by its name alone; what a link says of itself is no
// act of anybody.
bool is_never_blocked_name(std::string_view event_name, std::string_view packet_type);

// True for logouts and leaves: whoever tells of one, no answer can undo it.
bool is_over(const v1::Event& event);

// True where the node discards the event once it has told the server of `route`: bounce and
// fire-and-forget. A node that waits is made to (HANDLE); one that notifies has done it. A report
// of a producer is neither. What is never blocked goes on.
bool is_discarded(const v1::Event& event, bool is_awaited, bool is_pass_only, const Route& route);

// False for logouts and leaves: they have happened, so nobody is kept waiting for a policy that is
// away (Cisco IM compliance guide: a logout is not delayed).
bool may_wait_for_server(const v1::Event& event);

// What follows from an error.
enum class AfterError {
  kStop,  // the sender gets an error
  kGoOn,  // the error is discarded; `reason` of note_of() says why
};
AfterError after_error(const v1::Event& event, bool is_pass_only, bool has_happened,
                       v1::Verdict::Cause cause, v1::ComplianceProfile::Handling handling);

// Which of `servers` (not empty) the conversation belongs to, by rendezvous hashing: each pair has
// a weight, the largest wins. So a server that comes or goes moves only its own share.
const std::string& choose_server(std::span<const std::string> servers, const std::string& key);

}  // namespace verbatim::collector
