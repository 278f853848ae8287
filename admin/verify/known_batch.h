// What is known of a batch from elsewhere, as people type it.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace verbatim::admin {

struct KnownBatch {
  uint64_t batch = 0;
  std::string digest;  // 32 bytes, or empty
};

// Takes "12" or "12:<64 hexadecimal digits>". Errors: kInvalidArgument with what is expected.
Result<KnownBatch> parse_known_batch(const std::string& text);

}  // namespace verbatim::admin
