// A queue in memory with the whole contract of QueueClient, for unit tests of its users. It orders,
// leases, delays, counts tries and pushes as the service does.
//
//   MemoryQueue queue;
//   auto client = create_memory_queue_client(queue);
//   queue.set_state(MemoryQueue::State::kDown);     // puts wait for their deadline
//
// Nothing of it is durable beyond the MemoryQueue object, which outlives its clients as the service
// outlives a client's process. It has no other queues: a put that asks for acknowledgements is
// refused with kNotFound.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

// As v1::QueueSettings and v1::Queue have them.
struct MemoryQueueSettings {
  int64_t retries = 5;
  int64_t retry_cycles = 2;
  std::chrono::milliseconds retry_cycle_delay = std::chrono::minutes(10);
  std::chrono::milliseconds lease_max = std::chrono::minutes(10);
  int64_t message_max_bytes = 4 * 1024 * 1024;
};

// Threads: any.
class MemoryQueue {
 public:
  enum class State {
    kUp,
    // Neither sends nor receives reach it: puts wait and are withdrawn at their deadline; leases
    // are lost.
    kDown,
    // Stores and does not answer: puts are in doubt at their deadline; kUp answers them late.
    kSilent,
    // Refuse puts for now: they wait and are withdrawn at their deadline.
    kFull,
    kPaused,
    // Refuses puts for good.
    kNotPermitted,
  };

  explicit MemoryQueue(base::Clock& clock = base::system_clock(),
                       const MemoryQueueSettings& settings = {});
  ~MemoryQueue();

  void set_state(State state);
  // The next put is refused for good with this error, once.
  void refuse_next(Status error);

  // Everything stored and not committed, in order.
  std::vector<v1::QueueMessage> messages() const;
  // What left without being consumed, poison and abandoned; the last hop says why.
  std::vector<v1::QueueMessage> dead_letters() const;
  size_t depth() const;
  uint64_t committed_count() const;

 private:
  friend std::unique_ptr<QueueClient> create_memory_queue_client(MemoryQueue& queue,
                                                                 const struct MemoryClientOptions&);
  std::shared_ptr<class MemoryQueueCore> core_;
};

struct MemoryClientOptions {
  size_t memory_max_bytes = 64 * 1024 * 1024;
};

std::unique_ptr<QueueClient> create_memory_queue_client(MemoryQueue& queue,
                                                        const MemoryClientOptions& options = {});

}  // namespace verbatim::queue
