#include "processor/ops/queue_flag.h"

#include <grpcpp/grpcpp.h>

#include <memory>

#include "base/grpc_status.h"
#include "processor/ops/queue_admin_call.h"

namespace verbatim::processor {
namespace {

Result<bool> is_held(QueueAdminStub& stub, const std::string& queue) {
  ASSIGN_OR_RETURN(const v1::ListQueuesResponse response, list_queues(stub, queue));
  for (const auto& one : response.queues()) {
    if (one.name() == queue) return one.is_held();
  }
  return not_found("no such queue: " + queue);
}

Status set(QueueAdminStub& stub, const std::string& queue, bool is_wanted) {
  grpc::ClientContext context;
  prepare_admin_call(context);
  v1::SwitchQueueRequest request;
  request.set_queue(queue);
  request.set_action(is_wanted ? v1::SwitchQueueRequest::ACTION_HOLD
                               : v1::SwitchQueueRequest::ACTION_RELEASE_HOLD);
  request.set_reason(is_wanted ? "the processor has holds"
                               : "the processor's last hold is released");
  v1::SwitchQueueResponse response;
  return base::from_grpc(stub.SwitchQueue(&context, request, &response));
}

}  // namespace

QueueFlag make_queue_flag(const std::string& queue, std::function<Result<std::string>()> address) {
  QueueFlag flag;
  flag.queue = queue;
  flag.is_held = [queue, address]() -> Result<bool> {
    ASSIGN_OR_RETURN(const std::string where, address());
    ASSIGN_OR_RETURN(const auto stub, connect_admin(where));
    return is_held(*stub, queue);
  };
  flag.set = [queue, address](bool is_wanted) -> Status {
    ASSIGN_OR_RETURN(const std::string where, address());
    ASSIGN_OR_RETURN(const auto stub, connect_admin(where));
    return set(*stub, queue, is_wanted);
  };
  return flag;
}

}  // namespace verbatim::processor
