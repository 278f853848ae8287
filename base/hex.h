// Bytes as lower-case hexadecimal, and back.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

std::string to_hex(std::string_view bytes);
// Takes either case. Errors: kInvalidArgument for an odd length or a foreign character.
Result<std::string> from_hex(std::string_view text);

}  // namespace verbatim::base
