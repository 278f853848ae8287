// Numbers that are proven by their check digits, in folded text. Pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "adapters/rules/text_fold.h"

namespace verbatim::content {

// Payment card numbers (ISO/IEC 7812): 13 to 19 digits, the first from 2 to 6, in groups by single
// blanks or hyphens or not, whose check digit (Luhn) is right, and with no digit before or after.
std::vector<rules::TextSpan> find_card_numbers(std::string_view folded);

// Bank account numbers (ISO 13616): a country of the IBAN registry, its length, and check digits
// that are right, in groups by single blanks or not, with no letter or digit before or after.
std::vector<rules::TextSpan> find_ibans(std::string_view folded);

}  // namespace verbatim::content
