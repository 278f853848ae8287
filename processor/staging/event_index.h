// The row of family `index`: what sealing and counting need of an event without its bytes.
// Layout in docs/formats/staging.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/staging.pb.h"

namespace verbatim::processor {

struct EventIndex {
  uint32_t source_ref = 0;
  // Size of the StoredEvent, and of all events ever stored up to and with it.
  uint32_t size = 0;
  uint64_t total_bytes = 0;
  int64_t staged_unix_ns = 0;
  int32_t schema_revision = 0;
  // Bits of the adapters whose filter leaves the event out: bit n - 1 for AdapterRow.filter_slot n.
  uint64_t left_out = 0;
};

// Without left_out, which only stands where it is not 0.
inline constexpr size_t kEventIndexSize = 28;

inline uint64_t filter_bit(uint32_t slot) { return slot == 0 ? 0 : uint64_t{1} << (slot - 1); }

// True if the adapter's filter leaves the event out.
inline bool is_left_out(const v1::AdapterRow& row, uint64_t sequence, const EventIndex& index) {
  return (index.left_out & filter_bit(row.filter_slot())) != 0 && sequence > row.filter_sequence();
}

std::string encode_index(const EventIndex& index);
// Errors: kDataLoss (another size).
Result<EventIndex> decode_index(std::string_view bytes);

}  // namespace verbatim::processor
