// run_adapter(): the rest of an adapter's main function.
//
//   int main(int argc, char** argv) {
//     verbatim::base::install_signal_handlers();
//     auto start = verbatim::base::start_service("verbatim-adapter-count", argc, argv);
//     if (!start.arguments) return start.exit_code;
//     CountAdapter adapter(...);
//     return verbatim::adapters::run_adapter(adapter, start.arguments->config, {...});
//   }
#pragma once

#include <string>

#include "adapters/sdk/adapter.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::adapters {

struct AdapterProgram {
  // Name at the hub.
  std::string adapter;
  // As configured: "127.0.0.1:7430", "@processor" (see base/service.h).
  std::string hub_address;
  // Where the ready file goes; created if it is not there.
  std::string data_dir;
  // "verbatim-adapter-count": names the ready file, and the program to people.
  std::string service_name;
};

// Runs until SIGTERM or SIGINT. Gives the exit code: 0 after a signal, 1 where the adapter's
// effects belong to another chain of batches or its folder cannot be used (the reason is logged).
// base::install_signal_handlers() must have been called first of all.
int run_adapter(Adapter& adapter, const v1::Config& config, const AdapterProgram& program);

}  // namespace verbatim::adapters
