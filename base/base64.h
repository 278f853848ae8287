// Base64 (RFC 4648, section 4), by OpenSSL. No line breaks.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

std::string to_base64(std::string_view bytes);
// Takes exactly what to_base64 makes. Errors: kInvalidArgument.
Result<std::string> from_base64(std::string_view text);

}  // namespace verbatim::base
