// A queue in memory with the whole contract of QueueClient, for unit tests of its users.
//
//   MemoryQueue queue;
//   auto client = create_memory_queue_client(queue);
//   queue.set_state(MemoryQueue::State::kDown);     // puts wait for their deadline
//
// Nothing of it is durable beyond the MemoryQueue object, which outlives its clients as the service
// outlives a client's process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

// Threads: any.
class MemoryQueue {
 public:
  enum class State {
    kUp,
    // Neither sends nor receives reach it: puts wait and are withdrawn at their deadline.
    kDown,
    // Stores and does not answer: puts are in doubt at their deadline; kUp answers them late.
    kSilent,
    // Refuses puts for now ("full"): puts wait and are withdrawn at their deadline.
    kFull,
  };

  explicit MemoryQueue(base::Clock& clock = base::system_clock());
  ~MemoryQueue();

  void set_state(State state);
  // The next put is refused for good with this error, once.
  void refuse_next(Status error);

  // Everything stored and not committed, in order.
  std::vector<v1::QueueMessage> messages() const;
  size_t depth() const;
  uint64_t committed_count() const;

  struct Core;

 private:
  friend class MemoryQueueClient;
  std::shared_ptr<Core> core_;
};

struct MemoryClientOptions {
  size_t memory_max_bytes = 64 * 1024 * 1024;
};

std::unique_ptr<QueueClient> create_memory_queue_client(MemoryQueue& queue,
                                                        const MemoryClientOptions& options = {});

}  // namespace verbatim::queue
