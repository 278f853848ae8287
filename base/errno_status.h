// An errno of the system as a Status, with the operation, the path and the system's words.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

// Takes an errno other than 0. "file operation failed operation=open path=/x errno=2: No such file
// or directory".
Status errno_status(int error_number, std::string_view operation, const std::string& path);

}  // namespace verbatim::base
