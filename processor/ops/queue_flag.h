// The hold flag of a queue through the queue's admin calls (gRPC).
#pragma once

#include <functional>
#include <string>

#include "processor/ops/hold_keeper.h"

namespace verbatim::processor {

// `address` says where the queue's admin calls are now. Each call takes at most 2 s. Errors of the
// calls: kUnavailable, kNotFound (no such queue), kFailedPrecondition (beyond loopback: nothing is
// sent there without keys).
QueueFlag make_queue_flag(const std::string& queue, std::function<Result<std::string>()> address);

}  // namespace verbatim::processor
