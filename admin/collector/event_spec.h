// One event of a compliance profile as people write it on a command line:
//
//   es_OUT:message                    awaited, its errors bounced
//   es_OUT:presence:pass              errors are discarded
//   es_IN:all:pass:fire-and-forget    told, not asked
//   onBeforeSend                      events of rooms have no packet type
//
// Pure functions. Whether the event exists, and what it may have, is the collector's to judge.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::admin {

// Errors: kInvalidArgument with what is expected.
Result<v1::ComplianceProfile::EventEntry> parse_event_spec(std::string_view text);

// The other way round; the handling is always said.
std::string event_spec(const v1::ComplianceProfile::EventEntry& entry);

}  // namespace verbatim::admin
