// QueueClient: the only part of the queue that other services see. One client is one connection to
// one queue under one producer name.
//
// Promises (one contract test, tests/contract, holds every implementation to them):
// I1 A put is answered with an outcome only after it is durable in the queue.
// I2 Puts of one client are stored in the order of the calls, except those that end with an error;
//    nothing is stored twice, whatever connection or service dies in between (hop numbering).
// I3 Every accepted put ends: `done` is called exactly once, and where it said kDeadlineExceeded
// "in
//    doubt", `late` exactly once after it.
// I4 Callbacks run on the client's own thread, one at a time, never inside put() or stop()'s
//    caller; they must not block and may call put().
// I5 What a consumer has not committed is given out again, in order, with a higher delivery count.
//
// Life cycle: created connected-or-connecting, used, stop(). docs/formats/frames.md has the frames.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

struct PutOutcome {
  // Where the message, or for a repeat the first one, is stored: > 0, ascending per queue.
  uint64_t lookup_id = 0;
  // True when the source key was stored before; nothing was stored now.
  bool is_repeat = false;
  // Of a repeat: the verdict stored with the first.
  std::string first_verdict;
};

// The fields of v1::PutMessage, which says their limits.
struct PutRequest {
  std::string order_key;
  std::string source_key;
  std::string source;
  std::string verdict;
  std::string envelope;
  std::string body;
  // May be empty. The final outcome of a put that `done` reported as "in doubt"; kCancelled if the
  // client was stopped before it was known.
  std::function<void(Result<PutOutcome>)> late;
};

using PutCallback = std::function<void(Result<PutOutcome>)>;

struct ReceiveOptions {
  int64_t max_count = 2'048;
  int64_t max_bytes = 16 * 1024 * 1024;
  std::chrono::milliseconds lease{30'000};
  // How long to wait for a first message; 0 answers at once.
  std::chrono::milliseconds wait{1'000};
};

struct Lease {
  uint64_t id = 0;  // 0 when there are no messages
  std::vector<v1::QueueMessage> messages;
  // Of the service's data folder, not empty with messages: another one means another numbering.
  std::string log_id;
};

// Messages of errors of put callbacks; compare with is_in_doubt().
inline constexpr std::string_view kWithdrawn = "withdrawn";
inline constexpr std::string_view kInDoubt = "in doubt";

// True for the error that says: it may or may not be stored; `late` tells.
inline bool is_in_doubt(const Status& status) {
  return !status.ok() && status.message().find(kInDoubt) != std::string::npos;
}

// Threads: any for put(), is_connected() and stop(); the consumer calls block and belong to one
// thread at a time.
class QueueClient {
 public:
  virtual ~QueueClient() = default;

  // Takes over the message and answers later through `done`. `deadline` is a time of the client's
  // Clock (monotonic); nanoseconds::max() waits for ever.
  // Errors at once (`done` is then never called): kResourceExhausted (the client's memory bound),
  // kCancelled (stopped), kInvalidArgument (a field beyond its limit).
  // `done` gets: an outcome; kDeadlineExceeded "withdrawn": it was never sent, is not stored and
  // never will be; kDeadlineExceeded "in doubt": it was sent and not answered, see `late`;
  // kInvalidArgument or kNotFound (refused for good, not stored); kCancelled "withdrawn" or
  // "in doubt" at stop() (no `late` follows).
  // While the service is away or full the client keeps trying until the deadline.
  virtual Status put(PutRequest request, std::chrono::nanoseconds deadline, PutCallback done) = 0;

  // Gives messages under a lease, in order; no messages when none came within `wait`.
  // Errors: kUnavailable (service away, or connection lost meanwhile: call again), kNotFound (no
  // such queue), kCancelled (stopped).
  virtual Result<Lease> receive(const ReceiveOptions& options) = 0;

  // Ends the lease: its messages leave the queue. Durable: on OK. A message of it that was lost
  // meanwhile goes out again. Errors: kAborted (the lease was lost; nothing was settled),
  // kUnavailable (in doubt), kCancelled.
  virtual Status commit(uint64_t lease_id) = 0;

  // Gives the lease's messages back, or only those named; the rest stays leased. Errors as commit.
  virtual Status abort(uint64_t lease_id, const std::vector<uint64_t>& lookup_ids = {}) = 0;

  // True while the service answers.
  virtual bool is_connected() const = 0;

  // Ends all: waiting calls give kCancelled, pending puts their end state. Safe twice. Returns when
  // no callback runs or ever will; must not be called from a callback.
  virtual void stop() = 0;
};

}  // namespace verbatim::queue
