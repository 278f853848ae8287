// What a whole ComplianceState obeys that the store keeps: everything in rules.h, and what depends
// on the mode and on what cannot be changed. Pure functions.
#pragma once

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

inline constexpr int kComplianceVersion = 1;
inline constexpr size_t kComplianceMaxBytes = 1 << 20;

// A collector begins with: SystemDefaultComplianceProfile and nothing else, revision 0.
v1::ComplianceState initial_compliance(bool is_cluster_wide);

// Gives each assignment the component name of its node and server in this mode.
void name_components(v1::ComplianceState& state);

// Node-based mode (Cisco IM compliance guide, upgraded and not enabled cluster-wide): only
// SystemDefaultComplianceProfile is assigned, and a node has one server at most. Errors:
// kFailedPrecondition, which says how to end the mode.
Status check_mode(const v1::ComplianceState& state);

// Everything: rules.h, check_mode, the default profile as it must be, generated component names
// that are unique for each node and server, size. Errors: kInvalidArgument, kFailedPrecondition.
Status check_state(const v1::ComplianceState& state);

}  // namespace verbatim::collector
