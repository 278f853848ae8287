// Fixed-width integers as bytes. Little-endian in our disk formats; big-endian in keys, where byte
// order must be number order. The get_ functions read exactly 4 or 8 bytes; the caller has checked
// that they are there.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace verbatim::base {

static_assert(std::endian::native == std::endian::little, "put_le and get_le copy bytes");

inline void put_le32(char* to, uint32_t value) { std::memcpy(to, &value, sizeof(value)); }
inline void put_le64(char* to, uint64_t value) { std::memcpy(to, &value, sizeof(value)); }
inline void put_be32(char* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (24 - 8 * i));
}
inline void put_be64(char* to, uint64_t value) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<char>(value >> (56 - 8 * i));
}

inline uint32_t get_le32(const char* from) {
  uint32_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline uint64_t get_le64(const char* from) {
  uint64_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline uint32_t get_be32(const char* from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(from[i]);
  return value;
}
inline uint64_t get_be64(const char* from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | static_cast<unsigned char>(from[i]);
  return value;
}

// The same, appended to a string.
inline void put_le32(std::string& to, uint32_t value) {
  char bytes[4];
  put_le32(bytes, value);
  to.append(bytes, sizeof(bytes));
}
inline void put_le64(std::string& to, uint64_t value) {
  char bytes[8];
  put_le64(bytes, value);
  to.append(bytes, sizeof(bytes));
}
inline void put_be32(std::string& to, uint32_t value) {
  char bytes[4];
  put_be32(bytes, value);
  to.append(bytes, sizeof(bytes));
}
inline void put_be64(std::string& to, uint64_t value) {
  char bytes[8];
  put_be64(bytes, value);
  to.append(bytes, sizeof(bytes));
}

}  // namespace verbatim::base
