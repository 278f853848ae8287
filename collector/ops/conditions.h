// What is an alarm at the collector now. docs/operations.md says of each what to do. Pure function.
#pragma once

#include <vector>

#include "base/alarms.h"
#include "collector/ops/picture.h"

namespace verbatim::collector {

// The guide's name for a lost link between a node and its compliance server. Here: of a source that
// a node dials, of a server that the collector dials, and of a plugin that is assigned.
inline constexpr const char* kConnectError = "XcpThirdPartyComplianceConnectError";

// A link may be away for so long before that is an alarm: a restart on either side is none.
inline constexpr int64_t kLinkGraceMs = 5'000;

std::vector<base::AlarmCondition> conditions_of(const CollectorPicture& picture);

}  // namespace verbatim::collector
