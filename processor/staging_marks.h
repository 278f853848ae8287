// StagingMarks: whether staging takes more. Above its high mark in bytes, or with too little free
// disk beside what the store has still to write out, nothing is taken, and everything that is
// staged goes on; it takes again by itself below the low mark, or with somewhat more free disk than
// the least.
//
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {

struct StagingMarksOptions {
  uint64_t high_bytes = 32ULL << 30;
  uint64_t low_bytes = 28ULL << 30;
  uint64_t free_disk_min_bytes = 0;
  // Of the store's disk; null: not looked at.
  std::function<Result<uint64_t>()> free_disk;
};

class StagingMarks {
 public:
  enum class State { kTakes, kFull, kDiskFull };

  // `staging` outlives this.
  StagingMarks(Staging& staging, StagingMarksOptions options,
               const base::Clock& clock = base::system_clock());

  State look();
  // Whether the disk has room for what must be written to go on with what is staged: seals,
  // acknowledgements, commands. Without it they wait, for a write that fails ends the service.
  bool has_room();
  // The least free_disk_min_bytes that keeps the store from filling the disk by itself: beside what
  // is counted as still to be written lie a delivery of each queue on its way (in the log and in
  // memory), room for writes, and what the store takes ahead.
  static uint64_t least_free_bytes(uint64_t queue_count, uint64_t receive_max_bytes);
  // Of which for writes.
  static const uint64_t kWriteRoomBytes;
  // As last seen; 0 while it was not looked at.
  uint64_t free_disk_bytes() const;
  const StagingMarksOptions& options() const { return options_; }
  // For people: "staging is above its high mark".
  static std::string sentence(State state);

 private:
  void look_at_disk() REQUIRES(mutex_);

  Staging& staging_;
  const StagingMarksOptions options_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  bool is_full_ GUARDED_BY(mutex_) = false;
  bool is_disk_full_ GUARDED_BY(mutex_) = false;
  bool has_room_ GUARDED_BY(mutex_) = true;
  uint64_t free_disk_bytes_ GUARDED_BY(mutex_) = 0;
  // What the store had still to write out, looked at now and then, and what it had taken by then.
  std::chrono::nanoseconds looked_at_store_ GUARDED_BY(mutex_){-1};
  uint64_t unwritten_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t taken_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace verbatim::processor
