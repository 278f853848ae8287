// UUID version 7 (RFC 9562, section 5.7): a name that sorts roughly by time. It never detects
// repeats and is never an order.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace verbatim::base {

// "0190b9a4-....": 36 characters, lower case; 74 random bits from the operating system.
std::string make_uuid_v7(const Clock& clock);

// True for 36 characters of the 8-4-4-4-12 form, of any version.
bool is_uuid(std::string_view text);

}  // namespace verbatim::base
