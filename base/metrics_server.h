// MetricsServer: HTTP for Prometheus, GET /metrics, on loopback only. With metric_family.h the
// owner of prometheus-cpp.
//
// Life cycle: start() → destructor. Threads: the library's own two.
#pragma once

#include <prometheus/metric_family.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbatim::base {

class MetricsServer {
 public:
  using Families = std::function<std::vector<prometheus::MetricFamily>()>;

  // `address`: host:port, port 0 takes a free one. `families` is asked at each scrape, from any
  // thread, and must not wait. Errors: kInvalidArgument (address), kFailedPrecondition (beyond
  // loopback), kUnavailable (in use).
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address,
                                                      Families families);
  ~MetricsServer();

  // "127.0.0.1:7412", really bound.
  const std::string& bound_address() const { return bound_address_; }

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  std::string bound_address_;
};

}  // namespace verbatim::base
