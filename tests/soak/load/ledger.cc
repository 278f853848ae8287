#include "tests/soak/load/ledger.h"

namespace verbatim::soak {

using base::MutexLock;

Ledger::State& Ledger::state_of(uint64_t number) {
  if (states_.size() <= number) states_.resize(number + 1, kUnknown);
  return states_[number];
}

void Ledger::check_lookup_id(uint64_t number, uint64_t lookup_id) {
  const auto [it, is_new] = lookup_ids_.emplace(number, lookup_id);
  if (!is_new && it->second != lookup_id) ++counts_.twice;
}

// A consumer may be faster than the answer to its producer.
void Ledger::accepted(uint64_t number, uint64_t lookup_id) {
  MutexLock lock(mutex_);
  ++counts_.accepted;
  State& state = state_of(number);
  if (state != kUnknown) return;
  state = kAccepted;
  ++open_count_;
  check_lookup_id(number, lookup_id);
}

void Ledger::received(const Received& message) {
  MutexLock lock(mutex_);
  State& state = state_of(message.number);
  if (state == kCommitted || state == kParked) {
    ++counts_.twice;
    return;
  }
  if (state != kAccepted) ++open_count_;
  state = kAccepted;
  if (message.has_moved) {
    lookup_ids_[message.number] = message.lookup_id;
  } else {
    check_lookup_id(message.number, message.lookup_id);
  }
}

void Ledger::committed(const Received& message) {
  MutexLock lock(mutex_);
  State& state = state_of(message.number);
  if (state != kAccepted) return;
  state = kCommitted;
  --open_count_;
  ++counts_.consumed;
  lookup_ids_.erase(message.number);
  uint64_t& last = last_by_key_[message.order_key];
  if (checks_order_ && message.number < last) ++counts_.disordered;
  last = message.number;
}

void Ledger::maybe_committed(const Received& message) {
  MutexLock lock(mutex_);
  State& state = state_of(message.number);
  if (state != kAccepted) return;
  state = kMaybe;
  --open_count_;
}

void Ledger::parked(const Received& message) {
  MutexLock lock(mutex_);
  State& state = state_of(message.number);
  if (state == kCommitted || state == kParked) {
    ++counts_.twice;
    return;
  }
  if (state == kAccepted) --open_count_;
  state = kParked;
  ++counts_.parked;
  lookup_ids_.erase(message.number);
}

uint64_t Ledger::open_count() const {
  MutexLock lock(mutex_);
  return open_count_;
}

Verdict Ledger::verdict() const {
  MutexLock lock(mutex_);
  Verdict verdict = counts_;
  verdict.lost = open_count_;
  return verdict;
}

}  // namespace verbatim::soak
