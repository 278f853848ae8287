// Reading a log back: the recovery rule (docs/formats/log.md, "Recovery").
//
// recover_log() looks at every group, decides what is whole, what is damaged and what is an
// unfinished end, and changes nothing on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/status.h"
#include "queue/log/log_format.h"
#include "queue/log/segment_files.h"

namespace verbatim::queue {

struct RecoveredRecord {
  RecordType type{};
  std::string_view payload;  // valid during the call
  LogPosition position;
  bool is_above_mark = false;  // kept, but perhaps only in the page cache: rewrite it
};
using RecoveryVisitor = std::function<Status(const RecoveredRecord&)>;

struct RecoveredLog {
  // Where what is kept and known to be synced ends; {0, 0} for a log without a group.
  LogPosition synced_end;
  // Where all that is kept ends; above synced_end lie the groups to rewrite.
  LogPosition kept_end;
  // Cut from the unfinished end.
  uint64_t cut_bytes = 0;
  uint64_t group_number = 0;  // of the last kept group
  uint64_t oldest_generation = 0;
  // Segments that hold nothing of the log any more.
  std::vector<uint64_t> dead_generations;
};

// Visits all records in order, those above the mark last. Errors: kDataLoss (a bad or missing
// record below the highest mark; names segment and offset), the visitor's, those of the disk.
Result<RecoveredLog> recover_log(const std::map<uint64_t, Segment>& segments,
                                 bool canary_ignore_generations, const RecoveryVisitor& visit);

}  // namespace verbatim::queue
