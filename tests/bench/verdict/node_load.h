// Plays a chat node on the xcp link under load: es_OUT of chat messages, each answered or not.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbatim::bench {

struct NodeLoadOptions {
  int port = 0;
  std::string component;
  std::string secret;
  // Messages a second, sent whether answered or not; 0: as many as the window allows.
  double rate = 0;
  size_t window = 1'000;
  uint64_t count = 1'000;
  // Pairs of people that the messages are spread over.
  uint64_t pairs = 500;
  size_t body_bytes = 200;
  // How long the last answers are waited for.
  std::chrono::seconds patience{60};
};

struct NodeLoadResult {
  uint64_t sent = 0;
  uint64_t pass = 0;
  uint64_t handle = 0;
  uint64_t error = 0;
  double seconds = 0;
  // From when it was due to its answer.
  std::vector<double> latencies_us;
};

Result<NodeLoadResult> run_node_load(const NodeLoadOptions& options);

}  // namespace verbatim::bench
