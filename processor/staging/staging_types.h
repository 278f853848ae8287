// What Staging (staging.h) is given and gives: values, without behaviour.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "processor/staging/sealed_batch.h"
#include "verbatim/v1/event.pb.h"

namespace rocksdb {
class Env;
}

namespace verbatim::processor {

struct StagingOptions {
  std::string path;
  // RocksDB's seam to the disk, for tests; null is the machine's.
  rocksdb::Env* env = nullptr;
  base::Clock* clock = &base::system_clock();
  std::chrono::milliseconds source_key_window{900'000};
  // How far an optional adapter may lag behind the archive before deletion overtakes it.
  uint64_t optional_lag_max_bytes = 1ULL << 30;
  // An adapter that rejects so many events in a row is paused.
  uint64_t rejects_max_count = 100;
  // A store with more events is not looked through for a message whose conversation is not given.
  uint64_t trace_max_count = 1'000'000;
};

struct StageOutcome {
  uint64_t stored_count = 0;
  // Known by their own lookup id, and known by their source key.
  uint64_t known_count = 0;
  uint64_t repeat_count = 0;
  uint64_t undecodable_count = 0;
};

struct BatchLimits {
  uint64_t events_max_count = 10'000;
  uint64_t max_bytes = 64ULL << 20;
  // Only what a replay has left; else everything but that.
  bool is_replay = false;
  // Only what the cursor has passed (owed, released): nothing of what comes is due yet.
  bool is_behind_only = false;
  // Of the serialised header: half of what the SDK takes. A single event's may be larger.
  uint64_t header_max_bytes = 32ULL << 20;
  // The newest schema revision that the adapter understands.
  int32_t schema_revision = v1::SCHEMA_REVISION_CURRENT;
  // For BatchHeader.reason.
  std::string reason = "count";
  // Not 0: a batch holds events of one run interval only, which the caller knows to be over, unless
  // it asks for what is behind only.
  std::chrono::nanoseconds run_interval{0};
};

// What waits for one adapter.
struct Pending {
  std::optional<SealedBatch> sealed;  // the batch under way
  bool is_paused = false;
  bool has_plan = false;      // parts of a rejected batch, to be sealed at once
  bool has_owed = false;      // events that were unrouted, likewise, and before all others
  bool has_released = false;  // events from the quarantine, likewise
  bool has_replay = false;    // what an operator wants to be given again, when nothing else is due
  // Not sealed yet.
  uint64_t event_count = 0;
  uint64_t bytes = 0;
  uint64_t first_sequence = 0;
  int64_t first_staged_unix_ns = 0;
  // Of the newest event of all.
  int64_t last_staged_unix_ns = 0;
  // See next_interval_start(); 0 before the first batch of a run interval.
  int64_t interval_floor_unix_ns = 0;
};

// What the store has, at one moment.
struct StagingCounts {
  uint64_t last_sequence = 0;
  // Not deleted yet.
  uint64_t staged_count = 0;
  uint64_t staged_bytes = 0;
  // Copies for holds, behind deletion.
  uint64_t kept_count = 0;
  uint64_t kept_bytes = 0;
  uint64_t quarantined_count = 0;
  // Copies of what no required adapter's filter takes; part of what counts as staged.
  uint64_t unrouted_count = 0;
  bool has_required_adapter = false;
  // By adapter, where there are any: events that deletion has taken from an optional one.
  std::map<std::string, uint64_t> skipped;
};

struct Rejected {
  uint64_t sequence = 0;
  std::string reason;
};

struct SealOutcome {
  std::shared_ptr<const LoadedBatch> batch;  // null: there is nothing to seal
  bool is_adapter_too_old = false;           // the next event is newer than the adapter
};

}  // namespace verbatim::processor
