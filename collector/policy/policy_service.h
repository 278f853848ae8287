// PolicyService: the gRPC side of the chain. A handler reads its stream and hands each message to
// the chain; one writer thread a stream writes what the session gives, many messages in one go
// where many wait. It decides nothing.
#pragma once

#include <chrono>
#include <memory>

#include "collector/policy/policy_chain.h"

namespace grpc {
class Service;
}

namespace verbatim::collector {

struct PolicyServiceOptions {
  // A stream without a hello for so long is ended.
  std::chrono::milliseconds hello_timeout{10'000};
  // Two threads each.
  size_t sessions_max_count = 64;
};

// The service for base::GrpcServer; `chain` outlives it.
class PolicyService {
 public:
  explicit PolicyService(PolicyChain& chain, const PolicyServiceOptions& options = {});
  ~PolicyService();
  grpc::Service* service();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace verbatim::collector
