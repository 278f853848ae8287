// What the main function of every service has in common. One header for a main.cc:
//
//   int main(int argc, char** argv) {
//     base::install_signal_handlers();
//     const auto started = base::start_service("verbatim-queue", argc, argv);
//     if (!started.arguments) return started.exit_code;
//     ... create, start, ReadyFile::write ...
//     base::wait_for_stop_signal();
//   }
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ready_file.h"
#include "base/signals.h"
#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::base {

// The version of this build, such as "0.1.0".
std::string_view version();

struct ServiceFlags {
  std::string config_path;             // --config FILE
  std::vector<std::string> overrides;  // --set key=value, repeatable
  std::string log_level;               // --log-level; empty: what the configuration says
};

struct StartArguments {
  ServiceFlags flags;
  v1::Config config;
};

// Arguments, or an exit code where the program should end at once.
struct StartResult {
  std::optional<StartArguments> arguments;
  int exit_code = 0;
};

// Reads the flags (--config, --set, --log-level, --version, --help), loads the configuration and
// sets up the log. Exit codes: 0 after --help and --version, 2 after a wrong flag or configuration;
// what is to say has been printed. `help` stands below the flags: what the program does, its tables
// of the configuration, further commands; lines of at most 100 characters.
StartResult start_service(const std::string& service_name, int argc, const char* const* argv,
                          const std::string& help);

}  // namespace verbatim::base
