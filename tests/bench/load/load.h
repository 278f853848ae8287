// What all loads of the queue benchmark share: options, the figures they give, and what the server
// used meanwhile.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/load/backlog.h"
#include "tests/bench/load/wire.h"

namespace verbatim::bench {

struct LoadOptions {
  std::string address;
  std::string queue = "events";
  double seconds = 1;
  // put: messages after which it ends; 0: only the time ends it.
  uint64_t count = 0;
  size_t body_bytes = 1024;
  uint64_t order_keys = 1'000;
  int threads = 1;
  int sockets = 1;
  int window = 1;
  int batch = 1;
  // open: messages a second.
  double rate = 1'000;
  // The server's process, whose use is measured; 0: none.
  pid_t server = 0;
  // mixed: what bounds the puts.
  Backlog* backlog = nullptr;
};

// What a process has used so far.
struct ServerUse {
  double cpu_seconds = 0;
  uint64_t written_bytes = 0;
  uint64_t resident_bytes = 0;
};
ServerUse use_of(pid_t process);

struct LoadResult {
  uint64_t messages = 0;
  double seconds = 0;
  std::vector<float> latencies_us;
  // Within the time measured; resident_bytes at its end.
  ServerUse used;
  double own_cpu_seconds = 0;

  // Adds what another thread did at the same time.
  void add(const LoadResult& other);
};

// Marks the time measured: from its construction to end().
class Measurement {
 public:
  explicit Measurement(const LoadOptions& options);
  SteadyTime begin() const { return begin_; }
  SteadyTime deadline() const { return deadline_; }
  void end(LoadResult& result) const;

 private:
  const pid_t server_;
  const ServerUse before_;
  const double own_before_;
  const SteadyTime begin_;
  const SteadyTime deadline_;
};

float microseconds_between(SteadyTime begin, SteadyTime end);
double seconds_since(SteadyTime begin);

// One line: "rate=… p50_us=… p99_us=… …".
std::string to_line(LoadResult result, size_t body_bytes);

// Puts in a closed loop: each socket keeps `window` puts of `batch` messages in flight.
LoadResult run_put(const LoadOptions& options);
// Puts at `rate`, measured from the time at which each was meant to be sent.
LoadResult run_open(const LoadOptions& options);
// `threads` threads with one put in flight each share one QueueClient.
LoadResult run_shared(const LoadOptions& options);
// Receives and commits, `window` leases of up to `batch` messages in flight on one connection; ends
// also when the queue is empty.
LoadResult run_receive(const LoadOptions& options);
// run_put and, on a connection of its own, run_receive at the same time; counts what is committed.
// Puts wait while kBacklogBatches batches are not committed yet.
constexpr int64_t kBacklogBatches = 16;
LoadResult run_mixed(const LoadOptions& options);
// Receives one message and gives it back.
LoadResult run_first(const LoadOptions& options);
// The bare loop: writes `body_bytes` and syncs, `batch` messages a time; `address` names its file.
LoadResult run_bare(const LoadOptions& options);

}  // namespace verbatim::bench
