// What Staging (staging.h) has in memory, and what it makes of it on the way to a write. Its own
// files only; its mutex guards all of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "processor/staging/adapter_filter.h"
#include "processor/staging/rocks_store.h"
#include "processor/staging/sealed_batch.h"
#include "processor/staging/taken_ranges.h"
#include "verbatim/v1/staging.pb.h"

namespace verbatim::processor::staging_parts {

// What was left of a run interval that is over when this was made.
struct IntervalPlan {
  int64_t length_ns = 0;
  int64_t start_unix_ns = 0;
  uint64_t last_member = 0;
  uint64_t passed_through = 0;  // what lies between them was filtered
  bool is_one_batch = false;
  // Each conversation's last member; empty for one batch.
  std::unordered_map<std::string, uint64_t> last_of_conversation;
};
struct Adapter {
  v1::AdapterRow row;
  std::optional<SealedBatch> sealed;
  // In quarantine for this adapter, above its cursor.
  std::set<uint64_t> quarantined_ahead;
  // In quarantine and to be given to it again.
  std::set<uint64_t> released;
  // Below it nothing of `unrouted` is owed to it any more.
  uint64_t owed_from = 0;
  EventSelector selector;
  // Of the last acknowledged batch, without header and members: where run intervals go on.
  v1::SealRow last_acked;
  // While batches of one run interval are made.
  std::optional<IntervalPlan> interval;
};
struct LeftOut {
  uint64_t count = 0;
  uint64_t bytes = 0;
};
struct Queue {
  v1::QueuePosition position;
  TakenRanges exceptions;
};
// Rows that a change has touched; commit() writes them with the rest.
struct Changes {
  explicit Changes(RocksStore& store, size_t reserved_bytes = 0) : writes(store, reserved_bytes) {}
  WriteSet writes;
  std::set<uint32_t> sources;
  std::set<std::string> adapters;
  std::set<std::string> queues;
  // Of each queue, where ranges of exceptions that were changed, or went, begin.
  std::map<std::string, std::set<uint64_t>> exceptions;
  // New events of each conversation.
  std::unordered_map<std::string, std::vector<uint64_t>> conversations;
};
// What a seal is made of, before the bodies are read.
struct Draft {
  std::vector<uint64_t> members;
  uint64_t cursor = 0;
  uint64_t replaces = 0;
  uint64_t body_bytes = 0;
  std::string body_digest;
  int32_t schema_revision = 0;
  std::string reason;
  bool is_adapter_too_old = false;
  bool is_release = false;
  bool is_replay = false;
  uint64_t replay_loss_count = 0;  // as it was then
  bool is_owed = false;
  uint64_t late_below = 0;
  uint64_t passed_through = 0;
  LeftOut left_out;
  // The run interval, if it is of one, and the parts so far of slices that go on after it.
  int64_t interval_start_unix_ns = 0;
  int64_t interval_end_unix_ns = 0;
  bool is_interval_complete = false;
  std::map<std::string, uint32_t> open_parts;
};

}  // namespace verbatim::processor::staging_parts
