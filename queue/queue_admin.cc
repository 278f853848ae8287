#include "queue/queue_admin.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "base/grpc_status.h"
#include "base/service.h"

namespace verbatim::queue {

QueueAdminService::QueueAdminService(QueueService& service, const base::Clock& clock)
    : service_(service), started_unix_ns_(clock.unix_now_ns()) {}

grpc::Status QueueAdminService::GetInfo(grpc::ServerContext* /*context*/,
                                        const v1::GetInfoRequest* /*request*/,
                                        v1::GetInfoResponse* response) {
  v1::ServiceInfo* info = response->mutable_info();
  info->set_service("verbatim-queue");
  info->set_version(std::string(base::version()));
  info->set_started_unix_ns(started_unix_ns_);
  info->set_pid(getpid());
  return base::to_grpc(service_.call([info](QueueCore& core) {
    for (std::string& notice : core.notices()) info->add_notices(std::move(notice));
  }));
}

grpc::Status QueueAdminService::ListQueues(grpc::ServerContext* /*context*/,
                                           const v1::ListQueuesRequest* /*request*/,
                                           v1::ListQueuesResponse* response) {
  return base::to_grpc(
      service_.call([response](QueueCore& core) { *response = core.list_queues(); }));
}

grpc::Status QueueAdminService::Peek(grpc::ServerContext* /*context*/,
                                     const v1::PeekRequest* request, v1::PeekResponse* response) {
  Status result;
  const Status called = service_.call([&](QueueCore& core) {
    auto peeked = core.peek(*request);
    if (peeked) {
      *response = *std::move(peeked);
    } else {
      result = peeked.error();
    }
  });
  return base::to_grpc(called.ok() ? result : called);
}

}  // namespace verbatim::queue
