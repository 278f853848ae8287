// Which text XML 1.0 can carry, and what to write for the rest.
//
// XML 1.0 (fifth edition, production 2, Char) has no way to write U+0000 to U+001F but tab, line
// feed and carriage return, nor U+FFFE and U+FFFF, not even as a character reference. Chat text may
// hold them. A document shows U+FFFD in their place, and whoever needs the exact bytes puts them
// beside it in base64.
#pragma once

#include <string>
#include <string_view>

namespace verbatim::base {

struct XmlText {
  // Legal in an XML 1.0 document once escaped: each foreign character, and each byte that is not
  // UTF-8, became U+FFFD.
  std::string text;
  // False where anything was replaced.
  bool is_exact = true;
};

XmlText to_xml_text(std::string_view utf8);

// True where to_xml_text would replace nothing; without a copy.
bool is_xml_text(std::string_view utf8);

}  // namespace verbatim::base
