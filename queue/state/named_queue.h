// NamedQueue: the whole state of one queue or sub-queue, and its settings with their defaults.
// What is durable of it is in LogQueue (the snapshot) and in the records behind it.
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "queue/state/message_index.h"
#include "queue/state/producers.h"
#include "queue/state/source_keys.h"
#include "verbatim/v1/queue.pb.h"
#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {

inline constexpr int kDefaultRetries = 5;
inline constexpr int kDefaultRetryCycles = 2;
inline constexpr int64_t kDefaultRetryCycleDelayMs = 600'000;
inline constexpr int kDefaultLowMarkPercent = 95;

// Errors: kInvalidArgument, naming the field.
Status check_queue_settings(const v1::QueueSettings& settings);
// Tries in one cycle, and tries before a message is poison.
int64_t tries_per_cycle(const v1::QueueSettings& settings);
int64_t tries_max(const v1::QueueSettings& settings);
std::chrono::milliseconds retry_cycle_delay(const v1::QueueSettings& settings);
// The low mark of a quota.
int64_t low_mark(int64_t quota, const v1::QueueSettings& settings);
int64_t low_mark(int64_t quota, int percent);

// Events a second, smoothed over about ten seconds.
class Rate {
 public:
  void add(int64_t count) { count_ += count; }
  // Call it now and then.
  void update(std::chrono::nanoseconds now);
  double per_second() const { return per_second_; }

 private:
  int64_t count_ = 0;
  std::chrono::nanoseconds last_{};
  double per_second_ = 0;
};

// A consumer that waits for one answer, or that is pushed to under credit.
struct Demand {
  std::string peer;
  std::string client;
  uint64_t request_id = 0;
  bool is_push = false;
  int64_t max_count = 0;
  int64_t max_bytes = 0;
  std::chrono::milliseconds lease{};
  std::chrono::nanoseconds until{};   // of a receive
  uint64_t lookup_id = 0;             // not 0: this message alone
  std::vector<uint64_t> behind = {};  // leases that the consumer names
  // Of a push.
  int64_t batch_max_count = 0;
  int64_t unsettled_count = 0;
  int64_t unsettled_bytes = 0;
};

struct NamedQueue {
  NamedQueue(std::chrono::milliseconds window, size_t run_max_count)
      : producers(run_max_count), source_keys(window) {}

  uint32_t id = 0;
  std::string name;
  v1::QueueSettings settings;
  v1::QueueFlags flags;
  uint64_t next_lookup_id = 1;
  MessageIndex index;
  Producers producers;
  SourceKeys source_keys;

  // The oldest message and when it was put, as read last.
  mutable uint64_t oldest_lookup_id = 0;
  mutable int64_t oldest_put_unix_ns = 0;

  // Durable counters.
  int64_t accepted_count = 0;
  int64_t committed_count = 0;
  int64_t repeat_count = 0;
  int64_t redelivered_count = 0;
  int64_t moved_in_count = 0;
  int64_t destroyed_count = 0;
  std::map<std::string, uint64_t, std::less<>> accepted_by_source;
  int64_t source_bytes = 0;            // what the sources take in a snapshot at most
  std::map<int, int64_t> ended_count;  // by EndReason

  // Since the start.
  std::map<std::string, int64_t> refused;
  int64_t delivered_count = 0;
  Rate put_rate;
  Rate commit_rate;
  bool is_full = false;
  bool is_journal_full = false;

  // Oldest demand first; a push that was served goes to the end.
  std::deque<Demand> demands;
  // Of an exclusive queue: the client that has it, and when it last wanted or held a message.
  std::string active_client;
  std::chrono::nanoseconds active_seen{};

  // Full above a quota, until below its low mark.
  void update_full();

  // The count of a source, 0 for a new one.
  uint64_t& count_of_source(std::string_view source);
  static int64_t source_control_bytes(std::string_view source) {
    return kSourceBytes + static_cast<int64_t>(source.size());
  }
  // What this queue takes in a snapshot at most, without runs of answers; of a queue also what the
  // sub-queues take that the service makes of itself.
  int64_t control_bytes() const;
  static int64_t control_bytes_of_new(std::string_view name);

  void save(v1::LogQueue& saved) const;
  // Replaces the control state; messages and source keys stay.
  void load(const v1::LogQueue& saved);

 private:
  static constexpr int64_t kSourceBytes = 24;  // its count, and how both are written
};

}  // namespace verbatim::queue
