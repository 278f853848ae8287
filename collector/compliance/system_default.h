// SystemDefaultComplianceProfile: the nine events that every node's router sends by default (Cisco
// IM compliance guide). It is always there, cannot be changed, and is the only profile that may be
// assigned as long as the collector is node-based. Pure functions.
#pragma once

#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

inline constexpr const char* kSystemDefaultProfile = "SystemDefaultComplianceProfile";

// All awaited. Errors are bounced, but for e_SESSION and es_END, as where a profile does not say.
v1::ComplianceProfile system_default_profile();

// True if it has exactly the nine events, as they are above; the description counts, too.
bool is_system_default(const v1::ComplianceProfile& profile);

}  // namespace verbatim::collector
