// Ledger: what must have become of each message of one queue. The queue's words are taken as
// promises: accepted means that it comes out, committed means that it never does again.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"

namespace verbatim::soak {

struct Verdict {
  uint64_t accepted = 0;
  uint64_t consumed = 0;
  uint64_t parked = 0;  // found in a sub-queue at the end
  uint64_t lost = 0;
  uint64_t twice = 0;
  uint64_t disordered = 0;
};

// One message as it was received.
struct Received {
  uint64_t number = 0;  // the producer's own, from 1
  uint64_t order_key = 0;
  uint64_t lookup_id = 0;
  bool has_moved = false;  // it was in another queue meanwhile, so has another lookup id
};

class Ledger {
 public:
  explicit Ledger(bool checks_order) : checks_order_(checks_order) {}

  void accepted(uint64_t number, uint64_t lookup_id);
  // A message that was committed must not come, and none under two lookup ids.
  void received(const Received& message);
  void committed(const Received& message);
  // The commit's answer was lost: it may come again, or never.
  void maybe_committed(const Received& message);
  // It ended in a sub-queue.
  void parked(const Received& message);

  // Of what was accepted, how much is still to come.
  uint64_t open_count() const;
  Verdict verdict() const;

 private:
  enum State : uint8_t { kUnknown, kAccepted, kMaybe, kCommitted, kParked };
  State& state_of(uint64_t number) REQUIRES(mutex_);
  void check_lookup_id(uint64_t number, uint64_t lookup_id) REQUIRES(mutex_);

  const bool checks_order_;
  mutable base::Mutex mutex_;
  std::vector<State> states_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, uint64_t> lookup_ids_ GUARDED_BY(mutex_);  // of what is not settled
  std::map<uint64_t, uint64_t> last_by_key_ GUARDED_BY(mutex_);
  Verdict counts_ GUARDED_BY(mutex_);
  // Accepted, and neither committed nor maybe nor parked.
  uint64_t open_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace verbatim::soak
