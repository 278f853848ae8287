// Keys of the staging store: byte order is number order. docs/formats/staging.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/endian.h"

namespace verbatim::processor {

inline std::string number_key(uint64_t number) {
  std::string key;
  base::put_be64(key, number);
  return key;
}

inline std::string reference_key(uint32_t reference) {
  std::string key;
  base::put_be32(key, reference);
  return key;
}

// A name, its end, and a number: the name's size stands first, so that no name is another's prefix.
inline std::string named_key(std::string_view name, uint64_t number) {
  std::string key;
  base::put_be32(key, static_cast<uint32_t>(name.size()));
  key.append(name);
  base::put_be64(key, number);
  return key;
}

// The number at the end of a key, and the name before it.
inline uint64_t number_of(std::string_view key) {
  return key.size() < 8 ? 0 : base::get_be64(key.data() + key.size() - 8);
}
inline std::string name_of(std::string_view key) {
  return key.size() < 12 ? std::string() : std::string(key.substr(4, key.size() - 12));
}

}  // namespace verbatim::processor
