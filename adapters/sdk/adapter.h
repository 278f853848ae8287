// Adapter: what a plugin author writes. Everything else (stream, credit, digests, heartbeat, epoch,
// standby, reconnecting) is the SDK's: see hub_client.h and run_adapter.h, and adapters/count for
// the smallest example.
//
// I1 A batch is atomic: applied means that all of it took effect and is durable; rejected means
//    that nothing of it did.
// I2 translate() of a batch that took effect before changes nothing and answers applied: the hub
//    repeats what it has not heard about, byte for byte, even across restarts of both sides.
// I3 Batches come in the order of their numbers; a number that is missing was replaced and will
//    never come.
//
// Threads: all methods are called from one thread, one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/sdk/batch.h"
#include "base/status.h"

namespace verbatim::adapters {

// What became of a batch.
struct Outcome {
  enum class Kind { kApplied, kRetry, kReject };

  Kind kind = Kind::kApplied;
  // kRetry: 0 leaves the delay to the SDK.
  std::chrono::milliseconds retry_after{0};
  // kReject: the culprits; empty where unknown (the hub then halves the batch).
  std::vector<v1::RejectedEvent> rejected;
  // For people; never chat text, a name or a secret.
  std::string reason;

  static Outcome applied() { return {}; }
  static Outcome retry(std::string why, std::chrono::milliseconds after = {}) {
    return {Kind::kRetry, after, {}, std::move(why)};
  }
  static Outcome reject(std::string why, std::vector<v1::RejectedEvent> culprits = {}) {
    return {Kind::kReject, {}, std::move(culprits), std::move(why)};
  }
};

enum class BatchState {
  kApplied,       // this very batch took effect
  kNotApplied,    // nothing of it took effect, as far as can be known
  kOtherApplied,  // a batch of this number but with another digest took effect: another chain
};

// The newest batch that took effect; number 0 where none is known.
struct AppliedBatch {
  uint64_t number = 0;
  std::string digest;

  bool operator==(const AppliedBatch&) const = default;
};

class Adapter {
 public:
  virtual ~Adapter() = default;

  // Takes the settings that the processor's configuration holds for this adapter; called with every
  // connection. An error is logged and the connection is tried again later.
  virtual Status configure(const std::map<std::string, std::string>& settings) {
    (void)settings;
    return {};
  }

  // The newest batch that took effect, read from where the effects are: another instance may have
  // written there since the last call. Called with every connection, also while another instance
  // is active, and after activate(): it changes nothing.
  virtual Result<AppliedBatch> last_applied() = 0;

  // This instance is now the active one, or no longer. Between the two calls no other instance
  // is given batches; take locks and clean up here. An error of activate() is tried again.
  virtual Status activate() { return {}; }
  virtual void deactivate() {}

  // Brings the batch into effect, durably (I1, I2). An error that is_transient() means retry, any
  // other one means reject without known culprits.
  virtual Result<Outcome> translate(const Batch& batch) = 0;

  // Did this batch take effect? Changes nothing. After kNotApplied the hub may replace the batch,
  // so nothing of it may come into effect later; where that cannot be told, give an error: the hub
  // then sends the batch again.
  virtual Result<BatchState> batch_state(uint64_t number, std::string_view digest) = 0;
};

}  // namespace verbatim::adapters
