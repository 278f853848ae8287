// What a policy's answer becomes on the wire: within the contract of policy.proto, whatever the
// policy said. Pure functions. Internal to the SDK.
#pragma once

#include "adapters/sdk/policy.h"
#include "base/status.h"
#include "verbatim/v1/policy.pb.h"

namespace verbatim::adapters {

// An answer that the event does not allow becomes PASS, flagged, with the decision that it would
// have been; a changed stanza that is empty, and an error, become DECISION_ERROR. Texts are cut at
// a character's end.
v1::PolicyVerdict to_verdict(const v1::PolicyQuestion& question,
                             const Result<PolicyAnswer>& answer);

// The answer to a question whose time was over before its turn came.
v1::PolicyVerdict too_late_verdict(const v1::PolicyQuestion& question);

}  // namespace verbatim::adapters
