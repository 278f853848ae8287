// The commands of verbatim-policy-ethicalwall that look at a rule file and end.
#pragma once

#include <string_view>

namespace verbatim::wall {

// "--check" or "--explain".
bool is_command(std::string_view first_argument);

// Exit code: 0 the file is good, or the pair is allowed; 1 the pair is blocked; 2 wrong arguments
// or a file that cannot be used. What is to say has been printed.
int run_command(const char* program, int argc, const char* const* argv);

}  // namespace verbatim::wall
