// Text for loads: 64 different letters in no order, always the same, made before it is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace verbatim::tools {

// `size` letters, at most kLoadTextMaxSize; other ones for another number, most of the time.
// Compressors find no repetition, only that a letter needs six bits.
std::string_view load_text(uint64_t number, size_t size);
inline constexpr size_t kLoadTextMaxSize = 64 * 1024;

}  // namespace verbatim::tools
