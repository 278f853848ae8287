// SegmentFiles: the folder of a log: making, recycling and opening its segments.
//
// Names: "<generation, 16 hex digits>.seg" is part of the log; "spare-*.tmp" waits to be reused;
// "lock" keeps a second process out. What a crash leaves at each step: docs/formats/log.md.
//
// I1 A name ending in .seg appears only when length and header under it are synced.
// I2 The header of a segment is overwritten only after its .seg name is durably gone.
// I3 A generation is used once: a new one is above every header in the folder, spares included.
//
// Threads: one at a time, but for spare_count() and can_grow(), which may be called from any.
// Blocks on the disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "queue/log/log_format.h"
#include "queue/log/spare_pool.h"

namespace verbatim::queue {

struct Segment {
  std::shared_ptr<base::File> file;
  SegmentHeader header;
};

class SegmentFiles {
 public:
  // Creates and locks the folder. Errors: kFailedPrecondition (in use), those of the disk.
  static Result<std::unique_ptr<SegmentFiles>> open(base::FileSystem& file_system,
                                                    const std::string& directory,
                                                    const SpareOptions& options);

  // All segments by generation. Drops unusable spares; with no segment there is no log yet and
  // `new_log_id` is its id, or a random one if that is 0. Errors: kDataLoss (length or header of a
  // segment is wrong; names it), kFailedPrecondition (a newer format version).
  Result<std::map<uint64_t, Segment>> load(uint64_t new_log_id = 0);

  // After recovery: spares are written ahead from now on.
  void start_spares() { spares_.start(); }
  // A new segment will soon be needed.
  void prepare_next() { spares_.prepare_next(); }

  // Makes the segment `generation` of a spare; of the last one only if `takes_last`, while the disk
  // takes no more. Durable: name, length, header.
  Result<Segment> make(uint64_t generation, bool takes_last);
  // Takes a segment out of the log and keeps it as a spare, or removes it when there are enough.
  // Durable: that the name is gone.
  Status retire(uint64_t generation);
  uint64_t log_id() const { return log_id_; }
  // Above every generation seen so far (I3).
  uint64_t highest_generation() const { return highest_generation_; }
  // Whether one spare more than asked for may be kept: see SparePool.
  void keep_one_more_spare(bool is_allowed) { spares_.keep_one_more(is_allowed); }
  void keep_second_reserve(bool is_wanted) { spares_.keep_second_reserve(is_wanted); }
  Status drop_surplus_spare() { return spares_.drop_surplus(); }
  size_t spare_count() const { return spares_.count(); }
  // After load(): a start that takes a spare leaves none, and the disk has no room for another.
  bool is_short_of_spares() const;
  // False: the disk takes no more segments, and nothing but the reserve is left.
  bool can_grow() const { return spares_.can_grow(); }

 private:
  SegmentFiles(base::FileSystem& file_system, std::string directory, const SpareOptions& options);
  Result<Segment> load_segment(const std::string& name, uint64_t generation);
  Status load_spare(const std::string& name);
  std::string path_of(const std::string& name) const;

  base::FileSystem& file_system_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  std::unique_ptr<base::FileLock> lock_;
  uint64_t log_id_ = 0;
  uint64_t highest_generation_ = 0;
  SparePool spares_;
};

// Of the segments in the folder, 0 if there are none; bad ones are left to load(). Errors: those of
// the disk.
Result<uint64_t> largest_segment_bytes(base::FileSystem& file_system, const std::string& directory);

inline constexpr std::string_view kSparePrefix = "spare-";
std::string segment_name(uint64_t generation);

}  // namespace verbatim::queue
