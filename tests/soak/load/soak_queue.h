// SoakQueue: one queue under one kind of load, with a producer, a consumer and a ledger.
//
// Life cycle: created → run() until `is_over` and then until everything accepted is settled.
// Threads: run() starts its own and ends them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "queue/client/queue_client.h"
#include "tests/soak/load/ledger.h"

namespace verbatim::soak {

struct Behaviour {
  std::string queue;
  size_t body_bytes = 1024;
  double messages_per_second = 100;
  uint64_t order_keys = 100;
  // The consumer rests so long, then takes all there is, and so on; 0: never rests.
  std::chrono::seconds rest{0};
  // The consumer leaves so many in the queue: each message stays for minutes, and every segment
  // that the others' messages have left holds a few of them.
  uint64_t kept_count = 0;
  // Every so manyeth message is given back once; every so manyeth always. 0: none.
  uint64_t abort_once_every = 0;
  uint64_t abort_always_every = 0;
  // Operators move its messages about, which takes the order away.
  bool is_operated = false;
};

struct SoakOptions {
  std::string address;
  std::chrono::steady_clock::time_point end;
  // For what is still in the queue then.
  std::chrono::seconds drain_max{120};
};

class SoakQueue {
 public:
  SoakQueue(const SoakOptions& options, const Behaviour& behaviour);
  ~SoakQueue();

  void run();
  Verdict verdict() const { return ledger_.verdict(); }
  const std::string& name() const { return behaviour_.queue; }

 private:
  using Client = std::unique_ptr<queue::QueueClient>;

  void produce();
  void put_one(queue::QueueClient& client, uint64_t number);
  void consume();
  // Receives one lease and settles it; gives the number of messages.
  size_t take(queue::QueueClient& client);
  bool gives_back(const v1::QueueMessage& message, uint64_t number) const;
  // Empties the poison, if there is any.
  void take_poison();
  bool is_over() const;

  const SoakOptions options_;
  const Behaviour behaviour_;
  Ledger ledger_;
  std::atomic<uint64_t> unanswered_count_{0};
  std::atomic<bool> has_produced_{false};
};

}  // namespace verbatim::soak
