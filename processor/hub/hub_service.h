// HubService: the gRPC side of the hub. A handler reads its stream and hands each message to the
// adapter's channel; one writer thread a stream writes what the session's outbox gives. It decides
// nothing but who may attach.
#pragma once

#include <chrono>
#include <memory>

#include "base/content_store.h"
#include "processor/hub/hub.h"

namespace grpc {
class Service;
}

namespace verbatim::processor {

struct HubServiceOptions {
  // A stream without a hello for so long is ended.
  std::chrono::milliseconds hello_timeout{10'000};
  size_t sessions_max_count = 64;
  // Reads of files at once, of all adapters together.
  size_t file_reads_max_count = 16;
  // A read whose adapter takes nothing for so long is cancelled.
  std::chrono::milliseconds file_read_silence_max{60'000};
};

// The service for base::GrpcServer; `staging`, `hub` and `files` outlive it.
class HubService {
 public:
  HubService(Staging& staging, Hub& hub, const base::ContentStore& files,
             const HubServiceOptions& options = {});
  ~HubService();
  grpc::Service* service();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace verbatim::processor
