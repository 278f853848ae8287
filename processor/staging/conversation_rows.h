// Rows of family `conversation_events`: the events of one conversation that one write stored, under
// the last one's number. Layout in docs/formats/staging.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace verbatim::processor {

// The value of the row under the last of these; they ascend, and span less than 2^32.
std::string encode_earlier(const std::vector<uint64_t>& sequences);
// All sequences of a row, ascending. Errors: kDataLoss.
Result<std::vector<uint64_t>> sequences_of(std::string_view key, std::string_view value);

}  // namespace verbatim::processor
