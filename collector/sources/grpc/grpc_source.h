// GrpcSource: programs send canonical events over gRPC (service Ingest, ingest.proto).
//
// gRPC's callbacks only hand messages to a ProducerSession and fetch replies from it. One thread,
// "ticker", answers what waits too long and ends connections that never said hello.
// Threads: as Source.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector/broker/broker.h"
#include "collector/sources/source.h"
#include "verbatim/v1/config.pb.h"

namespace grpc {
class Service;
}

namespace verbatim::collector {

struct GrpcSourceOptions {
  std::string listen = "127.0.0.1:0";
  int64_t credit_events = 65'536;
  std::chrono::milliseconds event_deadline{20'000};
  size_t streams_max_count = 1'024;
  // Served on the same address; they outlive the source.
  std::vector<grpc::Service*> further_services = {};
  // What their messages under way may hold in gRPC's buffers, beside those of Ingest.
  size_t further_memory_bytes = 0;
};

class GrpcSource final : public Source {
 public:
  GrpcSource(GrpcSourceOptions options, Broker& broker);
  ~GrpcSource() override;

  Status start() override;
  void stop(std::chrono::milliseconds patience) override;
  std::vector<v1::SourceInfo> info() const override;
  const std::string& name() const override;
  const std::string& protocol() const override;
  std::string bound_address() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::collector
