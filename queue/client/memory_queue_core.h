// MemoryQueueCore: the messages, leases and rules of the queue in memory; the clients share one.
//
// I1 Messages of an order key are in at most one lease, but for who names the leases that it holds;
// a message that waits out a delay holds back
//    what is behind it under its key.
// I2 A message leaves by a commit, or dead: abandoned, or tried (cycles + 1) × (retries + 1) times.
// Threads: `mutex` is held for every call; `changed` tells of every change.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "queue/client/memory_queue_client.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

class MemoryQueueCore {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  MemoryQueueCore(base::Clock& clock, const MemoryQueueSettings& settings);

  const MemoryQueueSettings& settings() const { return settings_; }
  base::Clock& clock() const { return clock_; }

  mutable base::Mutex mutex;
  base::CondVar changed;

  // Wakes all who wait.
  void touch() REQUIRES(mutex);
  uint64_t change_count() const REQUIRES(mutex) { return change_count_; }

  MemoryQueue::State state() const REQUIRES(mutex) { return state_; }
  void set_state(MemoryQueue::State state) REQUIRES(mutex);
  bool is_up() const REQUIRES(mutex) { return state_ == MemoryQueue::State::kUp; }
  // True while consumers get answers.
  bool answers_consumers() const REQUIRES(mutex);

  PutOutcome store(const PutRequest& request) REQUIRES(mutex);

  struct TakeLimits {
    int64_t max_count = 0;
    int64_t max_bytes = 0;
    bool is_first_free = true;  // one message is given even if it is beyond max_bytes
    nanoseconds lease{};
    uint64_t lookup_id = 0;             // not 0: this message alone
    std::vector<uint64_t> behind = {};  // leases that the client names
  };
  // A lease for this client, or one without messages.
  Lease take(const void* client, const TakeLimits& limits) REQUIRES(mutex);
  // Errors: kAborted (no such lease of this client).
  Status settle(const void* client, const Settlement& settlement) REQUIRES(mutex);
  Result<std::chrono::milliseconds> extend(const void* client, uint64_t lease_id,
                                           std::chrono::milliseconds time) REQUIRES(mutex);
  // The client is gone: its messages go out again.
  void end_leases_of(const void* client) REQUIRES(mutex);

  struct Unsettled {
    int64_t count = 0;
    int64_t bytes = 0;
  };
  // What this client was given and has not settled.
  Unsettled unsettled(const void* client) REQUIRES(mutex);

  Status refusal GUARDED_BY(mutex);
  uint64_t committed_count GUARDED_BY(mutex) = 0;
  std::vector<v1::QueueMessage> all() const REQUIRES(mutex);
  size_t depth() const REQUIRES(mutex) { return messages_.size(); }
  std::vector<v1::QueueMessage> dead GUARDED_BY(mutex);

 private:
  struct Stored {
    v1::QueueMessage message;
    bool is_leased = false;
    nanoseconds not_before{};
  };
  struct Held {
    const void* client = nullptr;
    nanoseconds until{};
    std::set<uint64_t> ids;
  };
  struct SourceKeyEntry {
    uint64_t lookup_id = 0;
    std::string verdict;
  };

  void expire_leases() REQUIRES(mutex);
  void end_lease(uint64_t lease_id) REQUIRES(mutex);
  Held* find_lease(const void* client, uint64_t lease_id) REQUIRES(mutex);
  void give_back(uint64_t lookup_id, const Settlement& abort) REQUIRES(mutex);
  void bury(uint64_t lookup_id, v1::EndReason reason, const std::string& detail) REQUIRES(mutex);
  std::set<uint64_t> held_by(const void* client, const std::vector<uint64_t>& lease_ids) const
      REQUIRES(mutex);

  base::Clock& clock_;
  const MemoryQueueSettings settings_;
  const std::string log_id_;
  uint64_t change_count_ GUARDED_BY(mutex) = 0;
  MemoryQueue::State state_ GUARDED_BY(mutex) = MemoryQueue::State::kUp;
  uint64_t next_lookup_id_ GUARDED_BY(mutex) = 1;
  uint64_t next_lease_id_ GUARDED_BY(mutex) = 1;
  std::map<uint64_t, Stored> messages_ GUARDED_BY(mutex);
  std::map<uint64_t, Held> leases_ GUARDED_BY(mutex);
  std::map<std::string, SourceKeyEntry> source_keys_ GUARDED_BY(mutex);
  std::map<std::string, uint64_t> source_counts_ GUARDED_BY(mutex);
};

}  // namespace verbatim::queue
