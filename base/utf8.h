// Utf8Checker: tells whether bytes that come in pieces are UTF-8 as RFC 3629 has it (no overlong
// forms, no surrogates, nothing above U+10FFFF).
#pragma once

#include <cstdint>
#include <string_view>

namespace verbatim::base {

class Utf8Checker {
 public:
  // False once any byte so far was wrong.
  bool feed(std::string_view bytes);
  // True between characters.
  bool is_complete() const { return is_valid_ && missing_ == 0; }

 private:
  bool take(uint8_t byte);

  bool is_valid_ = true;
  int missing_ = 0;     // continuation bytes still to come
  uint8_t low_ = 0x80;  // bounds of the next continuation byte
  uint8_t high_ = 0xBF;
};

inline bool is_utf8(std::string_view bytes) {
  Utf8Checker checker;
  return checker.feed(bytes) && checker.is_complete();
}

}  // namespace verbatim::base
