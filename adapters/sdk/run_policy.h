// run_policy(): the rest of a policy's main function.
//
//   int main(int argc, char** argv) {
//     verbatim::base::install_signal_handlers();
//     verbatim::base::install_reload_signal();
//     auto start = verbatim::base::start_service("verbatim-policy-mine", argc, argv);
//     if (!start.arguments) return start.exit_code;
//     MyPolicy policy(...);
//     return verbatim::adapters::run_policy(policy, start.arguments->config, {...});
//   }
#pragma once

#include <string>

#include "adapters/sdk/policy.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::adapters {

struct PolicyProgram {
  // Name of the compliance server under which it is registered.
  std::string policy;
  // As configured: "127.0.0.1:7423", "@collector" (see base/service.h).
  std::string collector_address;
  // Where the ready file goes; created if it is not there.
  std::string data_dir;
  // "verbatim-policy-ethicalwall": names the ready file, and the program to people.
  std::string service_name;
  int credit = 1024;
  bool is_order_free = false;
};

// Runs until SIGTERM or SIGINT, and calls Policy::maintain() meanwhile. Gives the exit code: 0
// after a signal, 1 where its folder cannot be used (the reason is logged).
// base::install_signal_handlers() must have been called first of all.
int run_policy(Policy& policy, const v1::Config& config, const PolicyProgram& program);

}  // namespace verbatim::adapters
