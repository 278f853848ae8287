#include "base/xml_text.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace verbatim::base {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Size of the legal character at the start of `rest`; 0 where there is none. RFC 3629, section 4:
// no overlong forms, no surrogates, nothing above U+10FFFF.
size_t legal_character(std::string_view rest) {
  const auto at = [rest](size_t i) { return static_cast<uint8_t>(rest[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) {
    return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  }
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || rest.size() < size) return 0;
  uint32_t code = first & (0xFFU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (at(i) & 0x3FU);
  }
  const bool is_overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool is_foreign =
      (code >= 0xD800 && code <= 0xDFFF) || code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
  return is_overlong || is_foreign ? 0 : size;
}

// True for eight ASCII characters none of which is a control: most of most texts.
bool is_plain_word(const char* at) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  constexpr uint64_t kSpaces = 0x2020202020202020;
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  // A byte below 0x20 borrows and so sets its own high bit, whatever its neighbours add to it.
  return ((word | (word - kSpaces)) & kHighBits) == 0;
}

// Size of the longest start of `text` that needs no replacement.
size_t legal_size(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8 && is_plain_word(text.data() + at)) {
      at += 8;
      continue;
    }
    const size_t size = legal_character(text.substr(at));
    if (size == 0) break;
    at += size;
  }
  return at;
}

// How much one replacement stands for: a whole character where it is one, else a byte.
size_t illegal_size(std::string_view rest) {
  return rest.starts_with("\xEF\xBF\xBE") || rest.starts_with("\xEF\xBF\xBF") ? 3 : 1;
}

}  // namespace

XmlText to_xml_text(std::string_view utf8) {
  size_t size = legal_size(utf8);
  XmlText result{std::string(utf8.substr(0, size)), size == utf8.size()};
  while (size < utf8.size()) {
    utf8.remove_prefix(size);
    result.text.append(kReplacement);
    utf8.remove_prefix(illegal_size(utf8));
    size = legal_size(utf8);
    result.text.append(utf8.substr(0, size));
  }
  return result;
}

bool is_xml_text(std::string_view utf8) { return legal_size(utf8) == utf8.size(); }

}  // namespace verbatim::base
