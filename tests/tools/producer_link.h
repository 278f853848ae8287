// ProducerLink: the connection of a test producer to the collector, over gRPC or ZeroMQ.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "verbatim/v1/ingest.pb.h"

namespace verbatim::tools {

// Life cycle: open → send … → destroyed. Callbacks run on the link's own thread.
class ProducerLink {
 public:
  struct Callbacks {
    std::function<void(const v1::SendReply&)> on_reply;
    // The link is of no use any more; called at most once.
    std::function<void(const std::string& why)> on_down;
  };
  virtual ~ProducerLink() = default;
  // False where the link is down.
  virtual bool send(const v1::SendRequest& request) = 0;
};

std::unique_ptr<ProducerLink> open_grpc_link(const std::string& address,
                                             ProducerLink::Callbacks callbacks);
// Errors: those of the socket.
Result<std::unique_ptr<ProducerLink>> open_zmq_link(const std::string& endpoint,
                                                    ProducerLink::Callbacks callbacks);

}  // namespace verbatim::tools
