#include "processor/ops/queue_admin_call.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "base/grpc_status.h"
#include "base/net_address.h"

namespace verbatim::processor {
namespace {

constexpr std::chrono::seconds kCallMax{2};

}  // namespace

Result<std::unique_ptr<QueueAdminStub>> connect_admin(const std::string& address) {
  ASSIGN_OR_RETURN(const base::NetAddress parsed, base::parse_net_address(address));
  if (!base::is_loopback(parsed)) {
    return failed_precondition("admin calls go nowhere beyond loopback address=" + address);
  }
  return v1::QueueAdmin::NewStub(
      grpc::CreateChannel(parsed.to_grpc(), grpc::InsecureChannelCredentials()));
}

Result<v1::ListQueuesResponse> list_queues(QueueAdminStub& stub, const std::string& queue) {
  grpc::ClientContext context;
  prepare_admin_call(context);
  v1::ListQueuesRequest request;
  request.set_queue(queue);
  v1::ListQueuesResponse response;
  RETURN_IF_ERROR(base::from_grpc(stub.ListQueues(&context, request, &response)));
  return response;
}

void prepare_admin_call(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kCallMax);
  context.AddMetadata("verbatim-user", "verbatim-processor");
}

}  // namespace verbatim::processor
