#include "processor/ops/queue_look.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "base/grpc_status.h"
#include "processor/ops/queue_admin_call.h"

namespace verbatim::processor {
namespace {

Result<QueueFacts> list(QueueAdminStub& stub, const std::string& queue) {
  ASSIGN_OR_RETURN(const v1::ListQueuesResponse response, list_queues(stub, queue));
  QueueFacts facts;
  bool is_there = false;
  for (const auto& one : response.queues()) {
    if (one.name() != queue) {
      if (one.name() != queue + ";journal") facts.beside_count += one.depth();
      continue;
    }
    is_there = true;
    facts.last_lookup_id = one.last_lookup_id();
    facts.moved_in_count = one.moved_in_count();
    for (const auto& [reason, count] : one.ended()) {
      if (reason != v1::EndReason_Name(v1::END_REASON_JOURNALED)) {
        facts.left_otherwise_count += count;
      }
    }
  }
  if (!is_there) return not_found("no such queue: " + queue);
  return facts;
}

Result<uint64_t> oldest(QueueAdminStub& stub, const std::string& queue) {
  grpc::ClientContext context;
  prepare_admin_call(context);
  v1::PeekRequest request;
  request.set_queue(queue);
  request.set_direction(v1::PeekRequest::DIRECTION_FIRST);
  request.set_max_count(1);
  v1::PeekResponse response;
  RETURN_IF_ERROR(base::from_grpc(stub.Peek(&context, request, &response)));
  return response.messages().empty() ? uint64_t{0} : response.messages(0).lookup_id();
}

Result<QueueFacts> look_at(QueueAdminStub& stub, const std::string& queue) {
  ASSIGN_OR_RETURN(QueueFacts facts, list(stub, queue));
  ASSIGN_OR_RETURN(facts.first_lookup_id, oldest(stub, queue));
  // What was moved between the two calls was in neither.
  ASSIGN_OR_RETURN(const QueueFacts after, list(stub, queue));
  const bool is_calm = after.left_otherwise_count == facts.left_otherwise_count &&
                       after.moved_in_count == facts.moved_in_count &&
                       after.beside_count == facts.beside_count;
  if (!is_calm) return aborted("messages of the queue are being moved");
  return facts;
}

}  // namespace

QueueLook make_queue_look(const std::string& queue, std::function<Result<std::string>()> address) {
  if (!address) {
    return {queue, []() -> Result<QueueFacts> {
              return failed_precondition("it has no admin_address (processor.queues)");
            }};
  }
  return {queue, [queue, address]() -> Result<QueueFacts> {
            ASSIGN_OR_RETURN(const std::string where, address());
            ASSIGN_OR_RETURN(const auto stub, connect_admin(where));
            return look_at(*stub, queue);
          }};
}

}  // namespace verbatim::processor
