// OutboxFile: the outbox on disk: an ordered list of messages for the queue, in segment files.
// docs/formats/outbox.md has the bytes, and what a crash at each step leaves.
//
// I1 What append() and then sync() returned OK for is given by open() after any crash, in order,
//    until confirm() has passed it.
// I2 A record that cannot be read below a position known to be synced is damage: open() refuses
//    with kDataLoss, file and offset. At or above it lies an unfinished append, which is cut.
// I3 What open() keeps is rewritten to a fresh segment and synced before it is given.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "collector/outbox/record.h"

namespace verbatim::collector {

class OutboxFile {
 public:
  struct Options {
    std::string directory;
    // A segment that has grown beyond it is followed by a new one.
    uint64_t segment_bytes = 8 * 1024 * 1024;
  };

  // Recovers and locks `directory`. `cut_bytes()` tells what was cut. Errors: kDataLoss (I2),
  // kFailedPrecondition (locked, or a newer format), those of the file system.
  static Result<std::unique_ptr<OutboxFile>> open(base::FileSystem& file_system, Options options);
  ~OutboxFile();

  // Writes one message behind the others; not durable before sync().
  Status append(const std::string& message);
  // Durable: everything appended and confirmed. After an error the outbox must not be used again.
  Status sync();

  // Messages not confirmed, and their bytes on disk.
  uint64_t count() const { return entries_.size(); }
  uint64_t bytes() const { return bytes_; }
  // Reads the message at `index` of the unconfirmed ones. Errors: kDataLoss, kUnavailable.
  Result<std::string> read(uint64_t index);
  // Drops the first `count` messages; durable at the next sync(). Segments with nothing left go.
  Status confirm(uint64_t count);

  uint64_t cut_bytes() const { return cut_bytes_; }

 private:
  struct Segment;
  struct Entry {
    uint64_t segment = 0;
    uint64_t offset = 0;
    uint64_t size = 0;  // with the header
  };
  struct Recovery;

  OutboxFile(base::FileSystem& file_system, Options options);
  Status recover();
  Status scan_segment(uint64_t number, bool is_newest, std::string_view bytes, Recovery& recovery);
  Status take_record(const OutboxRecord& record, const Entry& entry, Recovery& recovery) const;
  Status rewrite(const Recovery& recovery);
  Status begin_segment();
  Status append_record(OutboxRecordType type, const std::string& payload);
  Status remove_below(uint64_t number);
  Segment* find(uint64_t number);
  std::string path_of(uint64_t number) const;

  base::FileSystem& file_system_;
  const Options options_;
  std::unique_ptr<base::FileLock> lock_;
  std::deque<std::unique_ptr<Segment>> segments_;
  std::deque<Entry> entries_;
  uint64_t next_segment_ = 1;
  uint64_t bytes_ = 0;
  uint64_t cut_bytes_ = 0;
  bool is_dirty_ = false;
  bool has_failed_ = false;
};

}  // namespace verbatim::collector
