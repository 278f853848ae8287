// GrpcServer: one listening gRPC server with the health and reflection services.
// Life cycle: start() → stop(). Until keys are configured it listens on loopback only.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace grpc {
class Service;
}

namespace verbatim::base {

struct GrpcServerOptions {
  int message_size_max_bytes = 16 * 1024 * 1024;
  // Largest message sent; 0: as above.
  int send_size_max_bytes = 0;
  // What all connections together may hold in the library's buffers, roughly, beyond which streams
  // are ended with RESOURCE_EXHAUSTED; 0: the largest message received and 4 MiB.
  size_t memory_max_bytes = 0;
  // How long stop() lets calls that run come to their end before it cancels them.
  std::chrono::milliseconds stop_deadline{2'000};
};

class GrpcServer {
 public:
  // Takes "127.0.0.1:0" and the like. The services stay the caller's and must outlive the server.
  // Errors: kInvalidArgument (address), kFailedPrecondition (beyond loopback), kUnavailable (in
  // use).
  static Result<std::unique_ptr<GrpcServer>> start(const std::string& address,
                                                   const std::vector<grpc::Service*>& services,
                                                   const GrpcServerOptions& options = {});
  // Stops.
  ~GrpcServer();

  // Refuses new calls, waits up to the deadline, then cancels the rest; safe twice. Returns when no
  // handler runs any more.
  void stop();

  // "127.0.0.1:41234": the address really bound.
  const std::string& bound_address() const;
  int port() const;

  // The answer of the health service for the whole server; serving after start().
  void set_serving(bool is_serving);

 private:
  struct State;
  explicit GrpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::base
