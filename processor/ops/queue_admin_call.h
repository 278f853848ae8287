// What every admin call to a queue's service needs.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::processor {

using QueueAdminStub = v1::QueueAdmin::Stub;

// Errors: kInvalidArgument, kFailedPrecondition (beyond loopback: nothing is sent there without
// keys).
Result<std::unique_ptr<QueueAdminStub>> connect_admin(const std::string& address);

// The queue and what belongs to it. Errors: those of the call.
Result<v1::ListQueuesResponse> list_queues(QueueAdminStub& stub, const std::string& queue);

// Names the caller; the call takes at most 2 s.
void prepare_admin_call(grpc::ClientContext& context);

}  // namespace verbatim::processor
