// The row of family `index`: what sealing and counting need of an event without its bytes.
// Layout in docs/formats/staging.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::processor {

struct EventIndex {
  uint32_t source_ref = 0;
  // Size of the StoredEvent, and of all events ever stored up to and with it.
  uint32_t size = 0;
  uint64_t total_bytes = 0;
  int64_t staged_unix_ns = 0;
  int32_t schema_revision = 0;
};

inline constexpr size_t kEventIndexSize = 28;

std::string encode_index(const EventIndex& index);
// Errors: kDataLoss (another size).
Result<EventIndex> decode_index(std::string_view bytes);

}  // namespace verbatim::processor
