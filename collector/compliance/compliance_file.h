// The bytes of the file "compliance" (docs/formats/compliance.md): header, checksum, the serialised
// ComplianceState. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

std::string encode_compliance(const v1::ComplianceState& state);

// Errors: kDataLoss (not whole, not ours, or altered), kFailedPrecondition (of a newer version).
Result<v1::ComplianceState> decode_compliance(std::string_view bytes);

}  // namespace verbatim::collector
