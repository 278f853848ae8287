// QueueStore: all queues over one log, as a state machine: each method appends the record of a
// change and makes it in memory; replaying the records makes the same changes again. No clients, no
// leases, no answers: those are QueueCore's.
//
//   reserve(room) ─> change, change, …            (one unit: all of it is in one group)
//
// I1 What is in memory is what the log says, the open group included. Nothing else decides.
// I2 A change is made after reserve() said that its records fit, so a unit is never torn.
// I3 A message is in one queue: a move appends the copy and removes the original in one unit.
// I4 The oldest segment goes when nothing in it counts any more: no message, no source key within
//    its window. What counts in it is copied forward before the disk space passes its bound.
//
// Threads: one; only Log::write may run elsewhere.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"
#include "queue/log/log.h"
#include "queue/state/canaries.h"
#include "queue/state/message_record.h"
#include "queue/state/named_queue.h"
#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {

struct StoreOptions {
  LogOptions log;
  std::chrono::milliseconds source_key_window{900'000};
  // Copying forward: see I4.
  int64_t copy_bytes_per_second = 64 * 1024 * 1024;
  Canaries canaries;
};

// A message as it lies in the log; the views are valid until the log is changed.
struct StoredMessage {
  MessageRecord record;
  v1::LogMessageExtra extra;
};

class QueueStore final : private LogOwner {
 public:
  using Queues = std::map<uint32_t, std::unique_ptr<NamedQueue>>;

  // Recovers. Segments are never made smaller than those that are there: what lies in them need not
  // fit into smaller ones. Errors: those of Log::open, and kDataLoss where records contradict each
  // other.
  static Result<std::unique_ptr<QueueStore>> open(base::FileSystem& file_system, base::Clock& clock,
                                                  const StoreOptions& options);
  ~QueueStore() override;

  Log& log() { return *log_; }
  const Log& log() const { return *log_; }
  const Queues& queues() const { return queues_; }
  NamedQueue* find(std::string_view name);
  const NamedQueue* find(std::string_view name) const;

  // True if `bytes` of payload in `count` records fit into the open group, which is opened if there
  // is none. False: seal it first. `range_bytes`: how much of it is ranges of lookup ids.
  bool reserve(uint64_t bytes, uint64_t count, uint64_t range_bytes = 0);
  // The largest that reserve() grants for sure in an empty group.
  uint64_t unit_max_bytes() const { return log_->unit_max_bytes(); }
  // Room for one range of lookup ids in a record.
  static constexpr uint64_t kRangeBytes = 24;
  static constexpr uint64_t kRecordBytes = 512;  // a record without message bytes

  // --- queues ---
  // Needs kRecordBytes.
  NamedQueue& make_queue(const std::string& name, const v1::QueueSettings& settings);
  void change_queue(NamedQueue& queue, const v1::QueueSettings& settings,
                    const v1::QueueFlags& flags);
  // It must be empty. `queue` is gone afterwards.
  void delete_queue(NamedQueue& queue);

  // What a snapshot may take: a share of a segment, so that it fits beside groups whatever clients
  // do. Runs of answers have a smaller share of their own, within which the oldest are forgotten.
  int64_t control_max_bytes() const { return static_cast<int64_t>(log_->segment_bytes() / 4); }
  // What it takes at most, cheap to ask. Names of deleted queues count for ever, because the lookup
  // ids of a name are never reused.
  int64_t control_bytes() const;
  // Ask before a new queue, producer or source is let in.
  bool has_control_room(int64_t bytes) const {
    return control_bytes() + bytes <= control_max_bytes();
  }

  // --- messages ---
  void open_producer(NamedQueue& queue, const v1::LogProducerOpened& opened);
  // Stores a message under the queue's next lookup id, which is given. `record` has neither ids nor
  // times.
  uint64_t put(NamedQueue& queue, MessageRecord record, const v1::LogMessageExtra* extra,
               int64_t unix_now_ns);
  // What numbers were used and how they were answered; closes the unit of a put.
  void finish_put(NamedQueue& queue, const v1::LogPut& put);
  // Leases messages to `lease_id`, oldest first, and counts the try.
  std::vector<uint64_t> take(NamedQueue& queue, const MessageIndex::TakeLimits& limits,
                             uint64_t lease_id);
  // Leased messages go back; with a delay, they wait until `not_before_unix_ns`.
  struct Return {
    int64_t not_before_unix_ns = 0;
    bool is_untried = false;
  };
  void give_back(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids, const Return& how);
  // Of messages that are not out.
  void postpone(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                int64_t not_before_unix_ns);
  // The messages leave.
  struct Removal {
    v1::EndReason reason = v1::END_REASON_UNSPECIFIED;  // committed
    bool is_destroyed = false;
  };
  void remove(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids, const Removal& how);
  // Room that move() or copy() of this message needs.
  uint64_t move_bytes(const NamedQueue& queue, uint64_t lookup_id) const;
  // Appends the message to `to` under a new lookup id, with one more hop. The original stays:
  // remove it in the same unit.
  struct Hop {
    v1::EndReason reason = v1::END_REASON_UNSPECIFIED;
    std::string_view detail;
  };
  Result<uint64_t> copy(NamedQueue& from, uint64_t lookup_id, NamedQueue& to, const Hop& hop);

  // Errors: those of Log::read; kDataLoss if it is not the message that the index says.
  Result<StoredMessage> read(const NamedQueue& queue, uint64_t lookup_id);
  // The same into one that is used again.
  Status read(const NamedQueue& queue, uint64_t lookup_id, StoredMessage& stored);
  // The first message of this source key within the window, with its verdict.
  struct Repeat {
    uint64_t lookup_id = 0;
    std::string verdict;
  };
  Result<std::optional<Repeat>> find_repeat(NamedQueue& queue, std::string_view source_key,
                                            int64_t unix_now_ns);

  // --- space: queue_store_space.cc ---
  // Recycles and copies forward what is due. Call it often. Errors: those of reading.
  Status recycle();
  // Forgets what is past the source keys' window.
  void expire_source_keys();
  int64_t message_count() const;
  // Of all queues there ever were.
  int64_t destroyed_count() const;
  int64_t message_bytes() const;
  int64_t source_key_count() const;
  size_t source_key_memory() const;
  // Records that still count.
  int64_t live_bytes() const;
  int64_t copied_bytes() const { return copied_bytes_; }
  // Above the bound of disk space in spite of copying at full speed: put nothing.
  bool is_short_of_space() const { return is_short_of_space_; }

 private:
  struct SegmentUse {
    int64_t message_count = 0;
    int64_t bytes = 0;
    struct Range {
      uint32_t queue_id = 0;
      uint64_t first = 0;
      uint64_t last = 0;
    };
    std::vector<Range> ranges;  // what lies in it lies between these
  };

  QueueStore(base::Clock& clock, const StoreOptions& options);

  // --- LogOwner: queue_store_replay.cc ---
  Status replay(RecordType type, std::string_view payload, LogPosition position) override;
  Status replay_digest(RecordType type, std::string_view digest, LogPosition position,
                       uint32_t payload_size) override;
  std::string snapshot() override;
  Status replay_snapshot(std::string_view payload);
  Status replay_message(RecordType type, std::string_view payload, LogPosition position);
  Status apply_message(const MessageDigest& digest, LogPosition position, uint32_t payload_size);
  Status apply_ranges(RecordType type, const v1::LogRanges& ranges, bool counts);
  Status apply_deleted(const v1::LogQueueDeleted& deleted);
  void apply_put(const v1::LogPut& put);
  Status finish_replay();

  void retire_name(const std::string& name, uint64_t next_lookup_id);
  void use_name(const std::string& name);

  NamedQueue& queue_of(uint32_t id);
  NamedQueue* find(uint32_t id);
  uint64_t append_message(NamedQueue& queue, MessageRecord& record, RecordType type);
  void append_ranges(RecordType type, const NamedQueue& queue,
                     const std::vector<uint64_t>& lookup_ids, v1::LogRanges& ranges);
  size_t run_max_count() const;
  void set_opened(NamedQueue& queue, const v1::LogProducerOpened& opened);
  void add_runs(NamedQueue& queue, const v1::LogPut& put);
  bool drop_run(NamedQueue& queue, const v1::LogPut& newest);
  std::chrono::nanoseconds monotonic_of(int64_t unix_ns) const;

  void use_segment(const NamedQueue& queue, uint64_t lookup_id, LogPosition position,
                   uint32_t bytes);
  void unuse_segment(LogPosition position, uint32_t bytes);
  bool is_unused(uint64_t generation) const;
  int64_t excess_bytes() const;
  uint64_t copy_budget();
  Status copy_oldest(uint64_t budget_bytes);
  Status copy_messages(uint64_t generation, uint64_t& budget_bytes);
  Status copy_message(NamedQueue& queue, uint64_t lookup_id);
  Status copy_keys(uint64_t generation, uint64_t& budget_bytes);
  Result<bool> copy_key(NamedQueue& queue, const SourceKeyHash& hash, const SourceKeyState& state);

  base::Clock& clock_;
  const StoreOptions options_;
  std::unique_ptr<Log> log_;
  Queues queues_;
  std::map<std::string, uint32_t, std::less<>> ids_;
  uint32_t next_queue_id_ = 1;
  // Names of deleted queues, with the next lookup id of each.
  std::map<std::string, uint64_t> retired_names_;
  int64_t destroyed_of_deleted_count_ = 0;
  int64_t retired_bytes_ = 0;  // what they take in a snapshot at most
  // Counted anew when something new has come or gone.
  mutable std::optional<int64_t> control_bytes_;
  size_t run_count_ = 0;  // of all queues

  std::map<uint64_t, SegmentUse> segment_use_;
  struct Copying {
    uint64_t generation = 0;
    size_t range = 0;  // where the search goes on
    uint64_t lookup_id = 0;
    uint64_t sync_count = 0;  // one portion for each group
  };
  std::optional<Copying> copying_;
  int64_t copied_bytes_ = 0;
  double copy_tokens_ = 0;
  std::chrono::nanoseconds tokens_since_{};
  bool is_in_hurry_ = false;
  bool is_short_of_space_ = false;

  // Reused, so that the hot path allocates little.
  std::string scratch_;
  std::string digest_;
  v1::LogRanges ranges_;
};

}  // namespace verbatim::queue
