// QueueClient: the only part of the queue that other services see. One client is one connection to
// one queue under one producer name.
//
// Promises (one contract test, tests/contract, holds every implementation to them):
// I1 A put is answered with an outcome only after it is durable in the queue.
// I2 Puts of one client are stored in the order of the calls, except those that end with an error;
//    nothing is stored twice, whatever connection or service dies in between (hop numbering). Of a
//    producer that the service has forgotten, what was in doubt ends so; what has a source key is
//    sent anew and recognised by it, within the queue's window.
// I3 Every accepted put ends: `done` is called exactly once, and where it said kDeadlineExceeded
//    "in doubt", `late` exactly once after it. Every accepted settlement ends: `done` exactly once.
// I4 Callbacks run on the client's own thread, one at a time, never inside put() or stop()'s
//    caller; they must not block and may call all that does not: put, settle, extend, subscribe,
//    unsubscribe, state. None runs after stop() has returned.
// I5 What a consumer has not committed is given out again, in order, with a higher delivery count.
//    Messages of one order key are never in two leases at once, and never overtake each other;
//    but for a consumer that asks for what is behind a lease that it holds.
// I6 Memory is bounded: puts by bytes, settlements by count, pushed messages by the credit.
//
// Life cycle: created connected-or-connecting, used, stop(). docs/formats/frames.md has the frames.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
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

using PutCallback = std::function<void(Result<PutOutcome>)>;

// Asks for messages about this one, see v1::AcknowledgementRequest.
struct AcknowledgeRequest {
  std::string queue;  // empty: none
  bool on_reached = false;
  bool on_consumed = false;
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
  PutCallback late;
  std::string label;
  std::string correlation_id;
  AcknowledgeRequest acknowledge;
};

struct ReceiveOptions {
  int64_t max_count = 2'048;
  int64_t max_bytes = 16 * 1024 * 1024;
  std::chrono::milliseconds lease{30'000};
  // How long to wait for a first message; 0 answers at once.
  std::chrono::milliseconds wait{1'000};
  // Not 0: this message alone, if nothing before it in its order key is still in the queue;
  // otherwise no message, at once.
  uint64_t lookup_id = 0;
  // Leases that this consumer holds: what is behind their messages may come, too. It must end them
  // first, or take what comes again for what it is. Up to 16.
  std::vector<uint64_t> behind_lease_ids = {};
};

struct Lease {
  uint64_t id = 0;  // 0 when there are no messages
  std::vector<v1::QueueMessage> messages;
  // Of the service's data folder, not empty with messages: another one means another numbering.
  std::string log_id;
};

struct SubscribeOptions {
  // Pushed and unsettled at once, whatever the number of leases; at least one message always.
  int64_t credit_messages = 4'096;
  int64_t credit_bytes = 16 * 1024 * 1024;
  std::chrono::milliseconds lease{30'000};
  // Messages of one push; 0: up to the credit.
  int64_t batch_max_messages = 0;
};

// Gets leases with messages. An error is the last call: kNotFound (no such queue),
// kPermissionDenied or kInvalidArgument.
using LeaseCallback = std::function<void(Result<Lease>)>;

// What becomes of messages under a lease.
struct Settlement {
  enum class Kind {
    kCommit,   // they leave the queue
    kAbort,    // they are given back
    kAbandon,  // they go to the poison messages or dead letters for good
  };
  Kind kind = Kind::kCommit;
  uint64_t lease_id = 0;
  // Empty: all of the lease. What the lease does not hold (any more) is passed over.
  std::vector<uint64_t> lookup_ids = {};
  // Of an abort: they, and what is behind them under their order keys, wait so long. At most a day.
  std::chrono::milliseconds delay{0};
  // Of an abort: they were not tried, so that this delivery does not count.
  bool is_untried = false;
  // Of an abandonment: why, at most 256 bytes; kept with the messages. Never chat text.
  std::string detail = {};
};

struct AbortOptions {
  std::chrono::milliseconds delay{0};
  bool is_untried = false;
};

using SettleCallback = std::function<void(Status)>;
// Gets what is left of the lease now.
using ExtendCallback = std::function<void(Result<std::chrono::milliseconds>)>;

enum class ClientCondition {
  kConnecting,
  kReady,
  kFull,          // puts are tried again until the queue takes them
  kPaused,        // the same
  kUnknownQueue,  // the same
  kFenced,        // another client has the producer name; this one puts no more
  kNotPermitted,  // puts are refused; asked again now and then
  kStopped,
};
struct ClientState {
  ClientCondition condition = ClientCondition::kConnecting;
  std::string sentence;  // for people
};

// Beginnings of the messages of errors of put callbacks; compare with is_in_doubt().
inline constexpr std::string_view kWithdrawn = "withdrawn";
inline constexpr std::string_view kInDoubt = "in doubt";

// True for the error that says: it may or may not be stored; `late` tells.
inline bool is_in_doubt(const Status& status) {
  return !status.ok() && status.message().starts_with(kInDoubt);
}

// Threads: any, for every method.
class QueueClient {
 public:
  virtual ~QueueClient() = default;

  // --- producers ---

  // Takes over the message and answers later through `done`. `deadline` is a time of the client's
  // Clock (monotonic); nanoseconds::max() waits for ever.
  // Errors at once (`done` is then never called):
  //   kResourceExhausted   the client's memory bound
  //   kCancelled           stopped
  //   kInvalidArgument     a field beyond its limit; too large: with both numbers
  //   kFailedPrecondition  fenced, or a client without a producer name
  //   kPermissionDenied    this client may not put to the queue (condition kNotPermitted)
  // `done` gets an outcome, or, of a message that is not stored unless it says "in doubt":
  //   kDeadlineExceeded    "withdrawn": not stored and never will be, and why it waited (away,
  //                        full, paused); "in doubt": sent and not answered, see `late`
  //   kInvalidArgument     refused for good: invalid, or too large with both numbers
  //   kNotFound            refused for good: no such queue, or acknowledgement queue
  //   kPermissionDenied    refused for good
  //   kUnavailable         "in doubt": sent, and the service will never tell (no `late` follows)
  //   kFailedPrecondition  "in doubt" or "withdrawn": fenced (no `late` follows)
  //   kCancelled           "in doubt" or "withdrawn": stopped (no `late` follows)
  // While the service is away, or the queue full or paused, the client keeps trying until the
  // deadline. Out of sequence and unknown producer are put right by the client itself.
  virtual Status put(PutRequest request, std::chrono::nanoseconds deadline, PutCallback done) = 0;

  // The same, and waits for `done`. Many threads may wait at once: their messages travel together.
  Result<PutOutcome> put_and_wait(PutRequest request, std::chrono::nanoseconds deadline);

  // --- consumers ---

  // Gives messages under a lease, in order; no messages when none came within `wait`. Blocks.
  // Errors: kUnavailable (service away, or connection lost meanwhile: call again), kNotFound (no
  // such queue), kPermissionDenied, kCancelled (stopped).
  virtual Result<Lease> receive(const ReceiveOptions& options) = 0;
  // The same answer, later; also when the client is stopped. Does not block. Here: by a thread that
  // waits, and the future's end waits for it.
  virtual std::future<Result<Lease>> receive_later(const ReceiveOptions& options);

  // From now on messages come by themselves, each push a lease of its own, while fewer than the
  // credit are unsettled; a new connection goes on with it. Replaces an earlier subscription.
  // Errors: kCancelled (stopped), kInvalidArgument (options).
  virtual Status subscribe(const SubscribeOptions& options, LeaseCallback on_lease) = 0;
  // Ends it; what is on its way goes back untried, what was pushed stays leased. When it returns no
  // callback of it runs or ever will, unless a callback called it: then the running one is the
  // last.
  virtual void unsubscribe() = 0;

  // Settles messages; `done` may be empty. Errors at once: kResourceExhausted (too many
  // unanswered), kCancelled, kInvalidArgument. `done` gets OK when it is durable, or kAborted (the
  // lease was lost, nothing was settled, its messages go out again), kUnavailable (in doubt),
  // kPermissionDenied, kCancelled (stopped).
  virtual Status settle(Settlement settlement, SettleCallback done) = 0;
  // The lease ends `time` from now, bounded by the service. Errors as settle().
  virtual Status extend(uint64_t lease_id, std::chrono::milliseconds time, ExtendCallback done) = 0;

  // settle() and extend() that wait for the answer. Naming messages and giving an empty list is
  // kInvalidArgument: it would mean all.
  Status commit(uint64_t lease_id);
  Status commit(uint64_t lease_id, std::vector<uint64_t> lookup_ids);
  Status abort(uint64_t lease_id, const AbortOptions& options = {});
  Status abort(uint64_t lease_id, std::vector<uint64_t> lookup_ids,
               const AbortOptions& options = {});
  Status abandon(uint64_t lease_id, std::string detail);
  Status abandon(uint64_t lease_id, std::vector<uint64_t> lookup_ids, std::string detail);
  Result<std::chrono::milliseconds> extend(uint64_t lease_id, std::chrono::milliseconds time);

  // --- both ---

  virtual ClientState state() const = 0;
  // True while the service answers and this client may use it.
  bool is_connected() const;

  // Ends all: waiting calls give kCancelled, pending puts their end state. Safe twice. Returns when
  // no callback runs or ever will; must not be called from a callback.
  virtual void stop() = 0;

 private:
  Status settle_and_wait(Settlement settlement);
  Status settle_named(Settlement settlement);
};

// What a client can tell without the service. Errors: kInvalidArgument, with the field.
Status check(const PutRequest& request);
Status check(const SubscribeOptions& options);
Status check(const Settlement& settlement);
// `size` is that of envelope and body; `message_max_bytes` is the service's, 0: not known yet.
Status check_size(size_t size, int64_t message_max_bytes);

}  // namespace verbatim::queue
