// verbatim-queue-load LOAD --address ENDPOINT [options]: one load (tests/bench/load/load.h) against
// a server that runs already; prints its figures as one line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "tests/bench/load/load.h"

int main(int argc, char** argv) {
  using verbatim::bench::LoadOptions;
  using verbatim::bench::LoadResult;
  const std::map<std::string, LoadResult (*)(const LoadOptions&)> loads = {
      {"put", verbatim::bench::run_put},       {"open", verbatim::bench::run_open},
      {"shared", verbatim::bench::run_shared}, {"receive", verbatim::bench::run_receive},
      {"mixed", verbatim::bench::run_mixed},   {"first", verbatim::bench::run_first},
      {"bare", verbatim::bench::run_bare},
  };
  LoadOptions options;
  std::string load;
  CLI::App app("one load against a queue");
  app.add_option("load", load)->required()->check(CLI::IsMember(loads));
  app.add_option("--address", options.address)->required();
  app.add_option("--queue", options.queue);
  app.add_option("--seconds", options.seconds);
  app.add_option("--count", options.count);
  app.add_option("--body-bytes", options.body_bytes);
  app.add_option("--order-keys", options.order_keys);
  app.add_option("--threads", options.threads);
  app.add_option("--sockets", options.sockets);
  app.add_option("--window", options.window);
  app.add_option("--batch", options.batch);
  app.add_option("--rate", options.rate);
  app.add_option("--server", options.server);
  CLI11_PARSE(app, argc, argv);
  const LoadResult result = loads.at(load)(options);
  std::printf("%s\n", verbatim::bench::to_line(result, options.body_bytes).c_str());
  return 0;
}
