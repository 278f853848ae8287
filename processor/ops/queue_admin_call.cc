#include "processor/ops/queue_admin_call.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

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

void prepare_admin_call(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kCallMax);
  context.AddMetadata("verbatim-user", "verbatim-processor");
}

}  // namespace verbatim::processor
