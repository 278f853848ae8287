// Hashes that stand for keys in memory and in segment summaries (docs/formats/log.md, "Digests").
// SipHash-2-4 with a key that is part of the format, by libsodium.
//
// A collision of order keys only makes two conversations wait for each other. One of source keys is
// found: the bytes in the record are compared before anything is called a repeat.
// Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace verbatim::queue {

uint64_t order_key_hash(std::string_view order_key);

using SourceKeyHash = std::array<uint64_t, 2>;
SourceKeyHash source_key_hash(std::string_view source_key);

}  // namespace verbatim::queue
