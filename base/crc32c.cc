#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace verbatim::base {

uint32_t crc32c_extend(uint32_t crc, std::string_view bytes) {
  // ISA-L takes an int for the length and neither inverts its input nor its output.
  constexpr size_t kPartMax = size_t{1} << 30;
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, std::min(bytes.size(), kPartMax));
    // The C interface lacks a const; the bytes are only read.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data()));
    state = crc32_iscsi(data, static_cast<int>(part.size()), state);
    bytes.remove_prefix(part.size());
  }
  return ~state;
}

uint32_t crc32c(std::string_view bytes) { return crc32c_extend(0, bytes); }

uint32_t crc32c(std::span<const std::byte> bytes) {
  return crc32c(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace verbatim::base
