// verbatim-verdict-load: the parts of `tests/bench/run verdict` that have to be fast.
//
//   node --port P --component C --secret S [--rate R | --window W] --count N [--pairs N] [--body B]
//   policy HOST:PORT NAME [--silent] [--credit N]
//   round-trips [COUNT] [BYTES]      over a stream, one after another
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/verdict/node_load.h"
#include "tests/bench/verdict/small_policy.h"

namespace verbatim::bench {
namespace {

double at(std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto place = static_cast<size_t>(part * static_cast<double>(sorted.size()));
  return sorted[std::min(place, sorted.size() - 1)];
}

int run_node(const NodeLoadOptions& options) {
  auto result = run_node_load(options);
  if (!result.has_value()) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    return 1;
  }
  std::vector<double>& times = result->latencies_us;
  std::sort(times.begin(), times.end());
  std::printf(
      "sent=%zu answered=%zu pass=%zu handle=%zu error=%zu seconds=%.3f rate=%.1f p50_us=%.0f "
      "p99_us=%.0f max_us=%.0f\n",
      static_cast<size_t>(result->sent), times.size(), static_cast<size_t>(result->pass),
      static_cast<size_t>(result->handle), static_cast<size_t>(result->error), result->seconds,
      static_cast<double>(times.size()) / std::max(result->seconds, 1e-9), at(times, 0.5),
      at(times, 0.99), at(times, 1.0));
  return 0;
}

int run_round_trips(size_t count, size_t bytes) {
  std::vector<double> trips = measure_round_trips(count, bytes);
  std::sort(trips.begin(), trips.end());
  std::printf("rpc_p50_us=%.0f rpc_p99_us=%.0f\n", at(trips, 0.5), at(trips, 0.99));
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("The parts of tests/bench/run verdict that have to be fast.");
  app.require_subcommand(1);
  NodeLoadOptions node;
  int64_t patience_s = node.patience.count();
  CLI::App* const node_command = app.add_subcommand("node");
  node_command->add_option("--port", node.port)->required();
  node_command->add_option("--component", node.component)->required();
  node_command->add_option("--secret", node.secret)->required();
  node_command->add_option("--rate", node.rate);
  node_command->add_option("--window", node.window);
  node_command->add_option("--count", node.count);
  node_command->add_option("--pairs", node.pairs);
  node_command->add_option("--body", node.body_bytes);
  node_command->add_option("--patience", patience_s);
  SmallPolicyOptions policy;
  CLI::App* const policy_command = app.add_subcommand("policy");
  policy_command->add_option("address", policy.address)->required();
  policy_command->add_option("name", policy.name)->required();
  policy_command->add_flag("--silent", policy.is_silent);
  policy_command->add_option("--credit", policy.credit);
  size_t count = 1'000;
  size_t bytes = 1'024;
  CLI::App* const trips_command = app.add_subcommand("round-trips");
  trips_command->add_option("count", count);
  trips_command->add_option("bytes", bytes);
  CLI11_PARSE(app, argc, argv);
  node.patience = std::chrono::seconds(patience_s);
  if (*node_command) return run_node(node);
  if (*trips_command) return run_round_trips(count, bytes);
  const Status status = run_small_policy(policy);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace verbatim::bench

int main(int argc, char** argv) { return verbatim::bench::run(argc, argv); }
