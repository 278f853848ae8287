#include "base/xml_text.h"

#include <cstddef>
#include <cstdint>

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

// How much one replacement stands for: a whole character where it is one, else a byte.
size_t illegal_size(std::string_view rest) {
  return rest.starts_with("\xEF\xBF\xBE") || rest.starts_with("\xEF\xBF\xBF") ? 3 : 1;
}

}  // namespace

XmlText to_xml_text(std::string_view utf8) {
  XmlText result;
  result.text.reserve(utf8.size());
  while (!utf8.empty()) {
    if (const size_t size = legal_character(utf8); size > 0) {
      result.text.append(utf8.substr(0, size));
      utf8.remove_prefix(size);
      continue;
    }
    result.is_exact = false;
    result.text.append(kReplacement);
    utf8.remove_prefix(illegal_size(utf8));
  }
  return result;
}

bool is_xml_text(std::string_view utf8) {
  while (!utf8.empty()) {
    const size_t size = legal_character(utf8);
    if (size == 0) return false;
    utf8.remove_prefix(size);
  }
  return true;
}

}  // namespace verbatim::base
