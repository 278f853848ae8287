#include "base/utf8.h"

namespace verbatim::base {

bool Utf8Checker::take(uint8_t byte) {
  if (missing_ > 0) {
    if (byte < low_ || byte > high_) return false;
    low_ = 0x80;
    high_ = 0xBF;
    --missing_;
    return true;
  }
  if (byte < 0x80) return true;
  if (byte < 0xC2 || byte > 0xF4) return false;
  missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
  // Table of RFC 3629, section 4: the first continuation byte excludes overlong forms, surrogates
  // and what lies above U+10FFFF.
  if (byte == 0xE0) low_ = 0xA0;
  if (byte == 0xED) high_ = 0x9F;
  if (byte == 0xF0) low_ = 0x90;
  if (byte == 0xF4) high_ = 0x8F;
  return true;
}

bool Utf8Checker::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (!is_valid_) return false;
    is_valid_ = take(static_cast<uint8_t>(byte));
  }
  return is_valid_;
}

}  // namespace verbatim::base
