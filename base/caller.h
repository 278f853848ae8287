// Caller: who asks a service, for its audit log.
#pragma once

#include <string>

namespace grpc {
class ServerContext;
}

namespace verbatim::base {

struct Caller {
  // The address, as gRPC gives it.
  std::string peer;
  // The name that the client gives of itself: nothing proves it. Printable, at most 64 bytes.
  std::string user;
};

Caller caller_of(const grpc::ServerContext& context);

}  // namespace verbatim::base
