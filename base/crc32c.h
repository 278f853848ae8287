// CRC-32C (Castagnoli, RFC 3720 appendix B.4), at memory speed through ISA-L.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace verbatim::base {

// The checksum of "123456789" is 0xE3069283.
uint32_t crc32c(std::string_view bytes);
uint32_t crc32c(std::span<const std::byte> bytes);

// The checksum of a + b, given that of a: crc32c_extend(crc32c(a), b). crc32c("") is 0.
uint32_t crc32c_extend(uint32_t crc, std::string_view bytes);

}  // namespace verbatim::base
