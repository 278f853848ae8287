// verbatim-soak-load --address ENDPOINT --seconds S [--scale X]: several queues under different
// loads against a service that is restarted and killed meanwhile; prints what each ledger says.
// Exit code 1 if a message was lost or came twice.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "tests/soak/load/soak_queue.h"

namespace verbatim::soak {
namespace {

// Cycles are short beside half a run, so that no slope is that of a cycle; and what is kept is
// there before that half begins.
std::vector<Behaviour> behaviours(double scale, double seconds) {
  const std::chrono::seconds rest(std::clamp(static_cast<int>(seconds / 15), 2, 10));
  constexpr double kKeptPerSecond = 100;
  const auto kept_count =
      static_cast<uint64_t>(kKeptPerSecond * scale * std::min(200.0, seconds / 6));
  std::vector<Behaviour> all = {
      {.queue = "fast", .messages_per_second = 400},
      {.queue = "slow", .messages_per_second = 200, .rest = 2 * rest},
      {.queue = "kept", .messages_per_second = kKeptPerSecond, .kept_count = kept_count},
      {.queue = "tiny", .body_bytes = 24, .messages_per_second = 800, .order_keys = 10'000},
      {.queue = "large", .body_bytes = 256 * 1024, .messages_per_second = 4},
      {.queue = "troubled",
       .body_bytes = 500,
       .messages_per_second = 100,
       .abort_once_every = 20,
       .abort_always_every = 500},
      {.queue = "operated", .messages_per_second = 40, .rest = rest, .is_operated = true},
  };
  for (Behaviour& one : all) one.messages_per_second *= scale;
  return all;
}

int run(const SoakOptions& options, double scale, double seconds) {
  std::vector<std::unique_ptr<SoakQueue>> queues;
  for (const Behaviour& behaviour : behaviours(scale, seconds)) {
    queues.push_back(std::make_unique<SoakQueue>(options, behaviour));
  }
  std::vector<std::thread> threads;
  for (auto& queue : queues) threads.emplace_back([&queue] { queue->run(); });
  for (std::thread& thread : threads) thread.join();
  bool is_ok = true;
  for (const auto& queue : queues) {
    const Verdict verdict = queue->verdict();
    std::printf(
        "soak_queue %s accepted=%lu consumed=%lu parked=%lu lost=%lu twice=%lu disordered=%lu\n",
        queue->name().c_str(), verdict.accepted, verdict.consumed, verdict.parked, verdict.lost,
        verdict.twice, verdict.disordered);
    is_ok = is_ok && verdict.lost + verdict.twice + verdict.disordered == 0;
  }
  return is_ok ? 0 : 1;
}

}  // namespace
}  // namespace verbatim::soak

int main(int argc, char** argv) {
  verbatim::soak::SoakOptions options;
  double seconds = 60;
  double scale = 1;
  CLI::App app("several queues under different loads");
  app.add_option("--address", options.address)->required();
  app.add_option("--seconds", seconds);
  app.add_option("--scale", scale);
  CLI11_PARSE(app, argc, argv);
  options.end = std::chrono::steady_clock::now() +
                std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                    std::chrono::duration<double>(seconds));
  return verbatim::soak::run(options, scale, seconds);
}
