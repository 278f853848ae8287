// Addresses as they stand in the configuration: "tcp://127.0.0.1:7411", "127.0.0.1:7411",
// "[::1]:7411", "localhost:7411", "*:7411", "ipc:///run/verbatim/queue".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

struct NetAddress {
  enum class Kind { kTcp, kIpc };

  Kind kind = Kind::kTcp;
  std::string host;   // kTcp: without brackets
  uint16_t port = 0;  // kTcp: 0 asks the system for one
  std::string path;   // kIpc

  // "host:port", with brackets around an IPv6 host, as gRPC takes it; "unix:path" for kIpc.
  std::string to_grpc() const;
  // "tcp://host:port" or "ipc://path", as ZeroMQ takes it.
  std::string to_zmq() const;
};

// Errors: kInvalidArgument with the reason; an empty host, a missing port and a foreign scheme too.
Result<NetAddress> parse_net_address(std::string_view text);

// True for 127.0.0.0/8, ::1, "localhost" and every ipc path; false for any name that would have to
// be looked up.
bool is_loopback(const NetAddress& address);

}  // namespace verbatim::base
