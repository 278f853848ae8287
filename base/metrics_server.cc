#include "base/metrics_server.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "base/net_address.h"

namespace verbatim::base {
namespace {

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(MetricsServer::Families families) : families_(std::move(families)) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return families_(); }

 private:
  const MetricsServer::Families families_;
};

}  // namespace

// The exposer goes first: it ends the threads that ask the collector.
struct MetricsServer::State {
  std::shared_ptr<Collector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() { state_->exposer.reset(); }

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& address,
                                                            Families families) {
  ASSIGN_OR_RETURN(NetAddress parsed, parse_net_address(address));
  if (parsed.kind != NetAddress::Kind::kTcp) {
    return invalid_argument("metrics need host:port, not address=" + address);
  }
  if (!is_loopback(parsed)) {
    return failed_precondition("metrics are for loopback only, not address=" + address);
  }
  if (parsed.host == "localhost") parsed.host = "127.0.0.1";
  auto state = std::make_unique<State>();
  state->collector = std::make_shared<Collector>(std::move(families));
  try {
    // Two threads; a client that is slow or keeps its connection does not keep one for long.
    state->exposer = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", parsed.to_grpc(), "num_threads", "2",
                                 "request_timeout_ms", "5000", "enable_keep_alive", "no"});
    state->exposer->RegisterCollectable(state->collector);
    const auto ports = state->exposer->GetListeningPorts();
    if (!ports.empty()) parsed.port = static_cast<uint16_t>(ports.front());
  } catch (const std::exception& error) {
    return unavailable("metrics cannot listen address=" + address + ": " + error.what());
  }
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(state)));
  server->bound_address_ = parsed.to_grpc();
  return server;
}

}  // namespace verbatim::base
