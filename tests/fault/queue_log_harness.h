// QueueLogHarness: a log over a disk that fails, and a model of what it must hold.
//
// Records are numbered; a record's digest is its number. What was answered (its group synced) must
// be there after any crash, in order, byte for byte; what was never answered may be there or not,
// but only as put, and only right behind what was answered. Segments given up are the one thing
// that may be missing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "queue/log/log.h"
#include "tests/fault/power_switch.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::testing {

inline constexpr const char* kLogFolder = "/queue";

// Keeps every record, as the queues keep theirs.
class RecordKeeper final : public queue::LogOwner {
 public:
  struct Kept {
    std::string payload;  // empty where only the digest was replayed
    queue::LogPosition position;
    uint32_t payload_size = 0;
  };
  Status replay(queue::RecordType type, std::string_view payload,
                queue::LogPosition position) override;
  Status replay_digest(queue::RecordType type, std::string_view digest, queue::LogPosition position,
                       uint32_t payload_size) override;
  std::string snapshot() override;

  // The payload of a record, read from the log where it is not known.
  Result<std::string> read(queue::Log& log, uint64_t number) const;

  std::map<uint64_t, Kept> records;
  uint64_t next_number = 0;  // the control state
};

class QueueLogHarness {
 public:
  explicit QueueLogHarness(uint64_t segment_bytes = 32 * 1024);

  // Opens the log and compares it with the model; the text says what is wrong, empty if nothing.
  // A refused start is wrong too: this disk loses nothing that was synced.
  std::string open();
  // As a killed process leaves it: nothing is closed properly.
  void kill();
  // Puts records into one group; false if the disk failed (the log is then dead).
  bool put(size_t count, size_t size);
  bool write_mark();
  // The end of a clean life, up to its last write; false as above.
  bool close();
  // Gives up the oldest segment, as if all of it had been committed.
  void release_oldest();

  bool is_open() const { return log_ != nullptr; }
  queue::Log& log() { return *log_; }
  RecordKeeper& keeper() { return *keeper_; }
  FaultFileSystem& disk() { return disk_; }
  PowerSwitch& power() { return power_; }
  queue::LogOptions& options() { return options_; }
  const Status& error() const { return error_; }
  uint64_t answered_count() const { return answered_count_; }

 private:
  std::string compare();

  FaultFileSystem disk_;
  PowerSwitch power_{disk_};
  queue::LogOptions options_;
  std::unique_ptr<RecordKeeper> keeper_;
  std::unique_ptr<queue::Log> log_;
  Status error_;
  std::vector<std::string> put_;  // payload by number
  uint64_t answered_count_ = 0;
  uint64_t released_count_ = 0;  // numbers below may be missing
  uint64_t incarnation_ = 0;
};

// A random life: puts, failing syncs, kills, power cuts, cuts during recovery, recycling. Gives
// what went wrong; empty if nothing did.
struct StormOptions {
  int step_count = 40;
  // The disk is full to its last byte again and again; records are so small that a start can pack a
  // segment of them into the next.
  bool has_full_disk = false;
  bool canary_no_rewrite_after_recovery = false;
  bool canary_ignore_generations = false;
  bool canary_trust_unsynced_summary = false;
};
std::string run_log_storm(uint64_t seed, const StormOptions& options = {});

}  // namespace verbatim::testing
