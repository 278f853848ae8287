// QueueAdminService: the gRPC calls of verbatimctl. Metadata only, never chat text.
#pragma once

#include <grpcpp/server_context.h>

#include "base/clock.h"
#include "queue/queue_service.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::queue {

// Threads: gRPC's own; each call runs on the core's thread and waits.
class QueueAdminService final : public v1::QueueAdmin::Service {
 public:
  // The service outlives this.
  QueueAdminService(QueueService& service, const base::Clock& clock);

  grpc::Status GetInfo(grpc::ServerContext* context, const v1::GetInfoRequest* request,
                       v1::GetInfoResponse* response) override;
  grpc::Status ListQueues(grpc::ServerContext* context, const v1::ListQueuesRequest* request,
                          v1::ListQueuesResponse* response) override;
  grpc::Status Peek(grpc::ServerContext* context, const v1::PeekRequest* request,
                    v1::PeekResponse* response) override;

 private:
  QueueService& service_;
  const int64_t started_unix_ns_;
};

}  // namespace verbatim::queue
