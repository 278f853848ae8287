// Reading a log back: the recovery rule (docs/formats/log.md, "Recovery").
//
// recover_log() decides what is whole, what is damaged and what is an unfinished end, and changes
// nothing on the disk. Segments that have a summary below the mark are read by it alone; what else
// is in them is checked when it is read, and by LogVerifier.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "base/status.h"
#include "queue/log/log_format.h"
#include "queue/log/segment_files.h"

namespace verbatim::queue {

struct RecoveredRecord {
  RecordType type{};
  std::string_view payload;  // or its digest; valid during the call
  LogPosition position;
  uint32_t payload_size = 0;
  bool is_digest = false;      // of a summary
  bool is_above_mark = false;  // kept, but perhaps only in the page cache: rewrite it
};
using RecoveryVisitor = std::function<Status(const RecoveredRecord&)>;

struct RecoveredLog {
  // Where what is kept and known to be synced ends; {0, 0} for a log without a group.
  LogPosition synced_end;
  // Where all that is kept ends; above synced_end lie the groups to rewrite.
  LogPosition kept_end;
  // Offset of the summary group of the segment in which synced_end lies, if nothing but marks
  // stands behind it; else 0.
  uint64_t summary_offset = 0;
  // Cut from the unfinished end.
  uint64_t cut_bytes = 0;
  uint64_t group_number = 0;  // of the last kept group
  uint64_t oldest_generation = 0;
  // Segments that hold nothing of the log any more.
  std::vector<uint64_t> dead_generations;
  // Those of them that never held anything of their own: nothing is lost if they are reused at
  // once.
  std::vector<uint64_t> begun_generations;
  // Segments read by their summaries, and where each one ends; the others were read in full.
  std::deque<LogPosition> summarised_ends;
  uint64_t full_count = 0;
};

struct RecoveryOptions {
  // The newest segments whose groups take together no more than that are visited as if they lay
  // above the mark: what is written again then makes them unneeded. 0: none.
  uint64_t fold_max_bytes = 0;
  // No spare is left. If the newest segment is a start's, which has got no further than its mark,
  // and all that it wrote again is still where it was, it counts as begun, so that it can be one.
  bool gives_up_start = false;
  // Planted faults that the test harness must catch.
  bool canary_ignore_generations = false;
  bool canary_trust_unsynced_summary = false;
};

// Visits all records in order, those above the mark last; the log's own (groups, summaries) are
// left out. Errors: kDataLoss (a bad or missing record below the highest mark; names segment and
// offset), the visitor's, those of the disk.
Result<RecoveredLog> recover_log(const std::map<uint64_t, Segment>& segments,
                                 const RecoveryOptions& options, const RecoveryVisitor& visit);

}  // namespace verbatim::queue
