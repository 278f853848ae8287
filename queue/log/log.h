// Log: the append-only log under all queues, in pre-written, recycled segments.
//
// Records are appended to an open group. seal() closes it, write() puts it on the disk with one
// sync, finished() takes note. The next group collects what comes in meanwhile: group commit.
//
//   owner's thread:   append... append... seal() ─┐          ┌─> finished() → answer
//   writer's thread:                              └─ write() ┘
//
// I1 At most one group is between seal() and finished(), so each group's mark is its own start.
// I2 A group that failed to be written or synced is the log's last: everything after it fails, and
//    only the next start's recovery says what is left.
// I3 open() returns after everything kept has been rewritten, if it may not have been synced
//    before, and a mark above it is synced.
// I4 An older segment is recycled only after a synced mark above the group that declared it
//    unneeded.
// I5 A segment is closed before the next one's first group is written: its last group is a summary
//    of all records that have a digest, synced. Room for it is never given to anything else.
// I6 On a disk that is full to its last byte, the last spare belongs to the start, and the start
//    makes another one free: it also rewrites the newest segments if all in them fits into the
//    fresh one. While running, the last one is taken only if the start could not do that.
// docs/formats/log.md: bytes, recovery, and what a crash at each step leaves.
//
// Threads: all methods belong to the owner's thread but write(), which may run in another one
// between seal() and finished().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "queue/log/group_buffer.h"
#include "queue/log/group_cache.h"
#include "queue/log/log_format.h"
#include "queue/log/log_recovery.h"
#include "queue/log/log_verifier.h"
#include "queue/log/read_windows.h"
#include "queue/log/samples.h"
#include "queue/log/segment_files.h"
#include "queue/log/segment_summary.h"

namespace verbatim::queue {

struct LogOptions {
  std::string directory;
  // At least 32 KiB.
  uint64_t segment_bytes = 64 * 1024 * 1024;
  // Segments written ahead at the start, at least two: the reserve (can_grow()), and the next one,
  // which is written when the present one is half full. Later the others come from recycling.
  size_t spare_count = 2;
  // Writes them in a thread of its own. Else open() and write() do it, so that the order of all
  // operations on the disk is fixed, which tests want.
  bool background_spares = false;
  // Segments are closed with a summary: the owner gives digests and understands replay_digest().
  bool writes_summaries = false;
  // Of a log that is begun; 0 draws one at random, as all but golden files want it.
  uint64_t log_id = 0;
  // Recent groups with live messages kept in memory.
  uint64_t cache_bytes = 16 * 1024 * 1024;
#if defined(VERBATIM_FAULT_POINTS)
  // Planted faults that the test harness must catch.
  bool canary_no_rewrite_after_recovery = false;
  bool canary_ignore_generations = false;
  bool canary_trust_unsynced_summary = false;
#endif
};

// Who owns the state that the log makes durable.
class LogOwner {
 public:
  virtual ~LogOwner() = default;
  // One record of the past, in order. `position` is where it can be read from now on.
  virtual Status replay(RecordType type, std::string_view payload, LogPosition position) = 0;
  // The same of a record in a segment whose summary is read in its place: what end_record() was
  // given as `digest`. Records without one are left out, and so are snapshots: a later segment's
  // snapshot, which is replayed, holds what they said.
  virtual Status replay_digest(RecordType type, std::string_view digest, LogPosition position,
                               uint32_t payload_size) = 0;
  // The serialised LogSnapshot of the state as of the last append() or replay().
  virtual std::string snapshot() = 0;
};

struct LogStats {
  uint64_t sync_count = 0;
  uint64_t synced_record_count = 0;
  uint64_t written_bytes = 0;
  // Of the newest groups.
  Samples write_ns;
  Samples group_bytes;
  // Of read(): from memory, from what a window had read ahead, and those that read the disk.
  uint64_t memory_read_count = 0;
  uint64_t window_read_count = 0;
  uint64_t disk_read_count = 0;
  // Of the start.
  uint64_t cut_bytes = 0;
  uint64_t recovered_record_count = 0;
  uint64_t summarised_segment_count = 0;
  uint64_t replayed_segment_count = 0;  // read in full
};

// A sealed group on its way to the disk.
struct LogGroup {
  std::shared_ptr<const GroupBuffer> bytes;
  LogPosition position;
  uint64_t record_count = 0;
  bool begins_segment = false;
  bool takes_last_spare = false;
  int64_t retained_count = 0;  // records that will be read
  bool is_mark = false;        // no records of the owner
  std::shared_ptr<base::File> file;
  // The last group of the segment before; written first.
  std::unique_ptr<ClosingGroup> closing;
  std::vector<uint64_t> retired;  // generations to recycle after the sync
  uint64_t written_bytes = 0;
  int64_t write_ns = 0;
};

class Log {
 public:
  // Recovers, replays into `owner`, rewrites, and is ready to append. Blocks on the disk.
  // Errors: kDataLoss (damage: names segment and offset; nothing was changed), kFailedPrecondition
  // (in use; written by a newer version), those of the disk.
  static Result<std::unique_ptr<Log>> open(base::FileSystem& file_system, const LogOptions& options,
                                           LogOwner& owner);

  // --- the open group ---

  // What a unit, whose records must not be parted, takes: the sizes of payloads and of digests.
  struct Unit {
    uint64_t payload_bytes = 0;
    uint64_t record_count = 1;
    uint64_t digest_bytes = 0;
  };
  // What a digest takes that is not as long as its record.
  static constexpr uint64_t kDigestUsualBytes = 64;
  // The same where each digest has at most that, or as many bytes as its payload.
  static Unit unit_of(uint64_t payload_bytes, uint64_t record_count) {
    return {payload_bytes, record_count, payload_bytes + record_count * kDigestUsualBytes};
  }

  // True if the unit fits into the open group and its segment. While it does not, the group must
  // be sealed first: prepare_append() then opens the next one where the unit fits.
  bool has_room(const Unit& unit) const;
  bool has_room(uint64_t payload_bytes, uint64_t count) const {
    return has_room(unit_of(payload_bytes, count));
  }
  // Largest unit that an empty group takes for sure.
  uint64_t unit_max_bytes() const { return group_max_bytes_; }
  // Opens the group if there is none, with a snapshot where a segment begins: call it before the
  // state that the next record describes is changed. A segment is filled until a unit does not fit,
  // so tell the sizes; without them it ends when the largest unit would not fit.
  void prepare_append(const Unit& unit);
  void prepare_append() { prepare_append(unit_of(group_max_bytes_, 1)); }
  // `digest`: what recovery needs of the record when its segment is read by its summary; empty: the
  // next snapshot says it.
  LogPosition append(RecordType type, std::string_view payload, std::string_view digest = {});
  // The same in place: fill the `payload_size` bytes given, then end_record().
  char* begin_record(uint64_t payload_size);
  // The same by way of a string: append the payload to it, then end_record().
  std::string& begin_record();
  LogPosition end_record(RecordType type, std::string_view digest = {});

  bool is_group_open() const { return open_ != nullptr; }
  uint64_t open_bytes() const { return open_ ? buffer_->size() : 0; }
  bool is_group_in_flight() const { return is_in_flight_; }
  // True if the last group is nothing but a mark: an idle log has nothing to write.
  bool ends_with_mark() const { return ends_with_mark_ && pending_retired_.empty(); }

  // Closes the open group; only while none is in flight (I1).
  std::unique_ptr<LogGroup> seal();
  // A group with nothing but a mark.
  std::unique_ptr<LogGroup> seal_mark();

  // Durable: the group. Any error ends the log (I2).
  Status write(LogGroup& group);
  // After write() returned OK.
  void finished(const LogGroup& group);

  // seal, write and finished in one, in the caller's thread.
  Status flush();
  // A final mark: everything below is known to be synced. The open group must be flushed.
  Status write_final_mark();
  // The same at the end of a clean life: also closes the segment, so that a later start needs not
  // read it in full.
  Status close();
  // False: the disk takes no more segments. The open one and the reserves are all there is, and
  // they belong to what takes no new messages.
  bool can_grow() const { return files_->can_grow(); }
  // Then copies of messages that end have a share of them: false once nothing is left but the
  // start's spare and half a segment, which no copy takes from commits and aborts.
  bool has_room_to_copy() const;

  // --- reading and recycling ---

  // The payload of a record, from the open group, the cache, a window of what was read last, or the
  // disk (a large one is then held in `scratch`). The view is valid until the next call of anything
  // that is not const. Errors: kDataLoss (its checksum; names segment and offset), those of the
  // disk.
  Result<std::string_view> read(LogPosition position, uint64_t payload_size, std::string& scratch);
  // For the cache: a record at this place will be read later, or never again.
  void retain(LogPosition position);
  void release(LogPosition position);
  // Checks the next piece of what a start by summaries has not read, about 256 KiB; blocks on the
  // disk. False when there is nothing left. Errors: kDataLoss (names segment and offset; go on).
  Result<bool> verify_step() { return verifier_.step(segments_); }
  // Says that nothing of the oldest segment is needed any more; the newest one cannot be released.
  void release_oldest();
  uint64_t oldest_generation() const { return oldest_generation_; }
  uint64_t newest_generation() const { return end_.generation; }
  size_t segment_count() const { return segments_.size(); }
  // Whether a segment that is given up may be kept though there are enough spares.
  void keep_one_more_spare(bool is_allowed) { files_->keep_one_more_spare(is_allowed); }
  // Whether two are kept for what must always fit: the start's, and one for commits, aborts and
  // copies of what ends.
  void keep_second_reserve(bool is_wanted) { files_->keep_second_reserve(is_wanted); }
  // Removes a spare if there are more than spare_count.
  Status drop_surplus_spare() { return files_->drop_surplus_spare(); }
  size_t spare_count() const { return files_->spare_count(); }
  uint64_t segment_bytes() const { return options_.segment_bytes; }
  // Of all segment files, spares and those on their way out included.
  uint64_t disk_bytes() const {
    return (segments_.size() + pending_retired_.size() + spare_count()) * options_.segment_bytes;
  }

  // Random, of the folder; the same for as long as the log lives.
  uint64_t log_id() const { return files_->log_id(); }
  const LogStats& stats() const { return stats_; }

 private:
  Log(const LogOptions& options, std::unique_ptr<SegmentFiles> files, LogOwner& owner);
  Status recover();
  Status finish_recovery(const RecoveredLog& log);
  void open_group(bool begins_segment);
  // True if `group_bytes` at `offset`, and behind them all that closes the segment, fit.
  bool fits_segment(uint64_t offset, uint64_t group_bytes, uint64_t summary_bytes) const;
  void close_segment();
  Status write_closing(ClosingGroup& closing);
  Result<std::string_view> read_disk(LogPosition position, uint64_t size, std::string& scratch);

  const LogOptions options_;
  const uint64_t group_max_bytes_;
  std::unique_ptr<SegmentFiles> files_;
  LogOwner& owner_;

  std::map<uint64_t, Segment> segments_;
  uint64_t next_generation_ = 1;
  uint64_t oldest_generation_ = 0;
  uint64_t declared_oldest_ = 0;  // by the newest sealed group
  uint64_t group_number_ = 0;
  LogPosition end_;     // where the next group goes, if it fits
  LogPosition synced_;  // everything below is synced

  // The open group.
  std::unique_ptr<LogGroup> open_;
  std::shared_ptr<GroupBuffer> buffer_;
  std::optional<RecordEncoder> encoder_;  // of the open group's segment
  LogPosition previous_end_;
  uint64_t previous_summary_ = 0;
  size_t record_begin_ = 0;
  uint64_t base_bytes_ = 0;              // group record and snapshot
  std::optional<uint64_t> record_size_;  // of the payload; none: it is in record_
  std::string record_;
  GroupBufferPool pool_;
  uint64_t last_group_bytes_ = 0;

  // Of the segment in which end_ lies.
  SegmentSummary summary_;
  uint64_t segment_group_bytes_ = 0;  // without what pads them
  uint64_t closed_at_ = 0;            // where its summary group stands; 0: it is not closed

  bool is_in_flight_ = false;
  bool ends_with_mark_ = false;
  struct Retired {
    uint64_t generation = 0;
    uint64_t declared_in = 0;  // number of the group that says so; 0: not sealed yet
  };
  std::vector<Retired> pending_retired_;
  GroupCache cache_;
  ReadWindows windows_;
  LogVerifier verifier_;
  LogStats stats_;
};

}  // namespace verbatim::queue
