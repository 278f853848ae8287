// LogVerifier: checks in the background what a start by summaries has not read.
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "base/status.h"
#include "queue/log/group_buffer.h"
#include "queue/log/log_format.h"
#include "queue/log/segment_files.h"

namespace verbatim::queue {

class LogVerifier {
 public:
  // One step reads this much, or one record where that is larger.
  static constexpr uint64_t kStepBytes = 256 * 1024;

  // Where each segment to check ends.
  void set_ends(std::deque<LogPosition> ends) { ends_ = std::move(ends); }

  // Checks the next piece; segments that are no longer in `segments` are left out. False when there
  // is nothing left. Errors: kDataLoss (names segment and offset; the rest of that segment is left
  // out), those of the disk.
  Result<bool> step(const std::map<uint64_t, Segment>& segments);

 private:
  Status check(const Segment& segment, uint64_t end);
  Result<std::string_view> read(base::File& file, uint64_t count);
  // Takes the record at the front of `bytes` into account; false if it is bad there.
  bool take(const RecordView& record);
  void next_segment();

  std::deque<LogPosition> ends_;
  // In the first of them: where to go on, and what is left of the group there.
  uint64_t offset_ = kLogHeaderSize;
  uint64_t group_left_bytes_ = 0;
  GroupBuffer buffer_{kStepBytes};
};

}  // namespace verbatim::queue
