// The grammar of verbatimctl: global flags, a plural noun, a verb. The only user of CLI11 here.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "admin/commands.h"

namespace verbatim::admin {

struct CommandLine {
  // Of the configuration in force; empty: built-in defaults.
  std::string config_path;
  bool is_json = false;
  bool has_colour = true;
  std::chrono::milliseconds timeout{10'000};
  // Empty: from the configuration.
  AdminAddresses addresses;

  // Exactly one of the two is set: what needs services, and what does not.
  std::function<int(CommandContext&)> remote;
  std::function<int(const OutputStyle&)> local;
};

// Gives the command, or an exit code after --help or a usage error, which have been printed.
struct ParsedCommandLine {
  std::optional<CommandLine> command_line;
  int exit_code = 0;
};
ParsedCommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace verbatim::admin
