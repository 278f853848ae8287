// MetricsServer: HTTP for Prometheus, GET /metrics, on loopback only. A scrape never waits for the
// core: it is given what the watch has seen last. Owner of prometheus-cpp.
//
// Life cycle: start() → destructor. Threads: the library's own two.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "queue/ops/metrics.h"

namespace verbatim::queue {

class MetricsServer {
 public:
  // `address`: host:port, port 0 takes a free one. `input` is asked at each scrape, from any
  // thread. Errors: kInvalidArgument (address), kFailedPrecondition (beyond loopback),
  // kUnavailable (in use).
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address,
                                                      std::function<MetricsInput()> input);
  ~MetricsServer();

  // "127.0.0.1:7412", really bound.
  const std::string& bound_address() const { return bound_address_; }

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  std::string bound_address_;
};

}  // namespace verbatim::queue
