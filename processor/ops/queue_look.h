// QueueLook: what an input queue still holds, asked of its service by its admin calls (gRPC).
// Threads: any; calls block for seconds at most.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"

namespace verbatim::processor {

struct QueueFacts {
  // The newest message ever, and the oldest that is not committed: 0 for none.
  uint64_t last_lookup_id = 0;
  uint64_t first_lookup_id = 0;
  // Messages that left otherwise than committed, and those moved in, since the queue was made.
  int64_t left_otherwise_count = 0;
  int64_t moved_in_count = 0;
  // In its sub-queues, but for the journal.
  int64_t beside_count = 0;
};

struct QueueLook {
  std::string queue;
  // One moment's facts. Errors: kUnavailable, kNotFound, kAborted (messages were moved meanwhile),
  // kFailedPrecondition (no admin_address).
  std::function<Result<QueueFacts>()> look;
};

// `address` may be empty: there is none.
QueueLook make_queue_look(const std::string& queue, std::function<Result<std::string>()> address);

}  // namespace verbatim::processor
