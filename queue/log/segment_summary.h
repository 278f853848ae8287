// SegmentSummary: collects the digests of a segment's records while it is written, and becomes the
// group that closes it.
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/file_system.h"
#include "queue/log/group_buffer.h"
#include "queue/log/log_format.h"

namespace verbatim::queue {

// The last group of a segment. Its checksums are computed where it is written.
struct ClosingGroup {
  GroupRecord record;
  LogPosition position;
  std::shared_ptr<base::File> file;
  std::unique_ptr<GroupBuffer> bytes;  // padded; the headers of both records are still missing
  uint64_t summary_size = 0;           // payload
};

class SegmentSummary {
 public:
  // What the closing group takes with `more` bytes of entries added; 0 if there will be none.
  uint64_t group_bytes(uint64_t more) const {
    if (!is_complete_) return 0;
    return align_up(kGroupRecordSize + record_size(size() + more), kBlockSize);
  }
  static uint64_t entry_bytes(uint64_t record_count, uint64_t digest_bytes) {
    return record_count * kSummaryEntryHeaderSize + digest_bytes;
  }

  // Begins anew, for the next segment.
  void begin() {
    is_complete_ = true;
    bytes_.reset();
  }
  // There is a record whose digest is not known: this segment gets no summary.
  void give_up() {
    is_complete_ = false;
    bytes_.reset();
  }
  bool is_complete() const { return is_complete_; }

  void add(const SummaryEntry& entry) {
    if (!is_complete_) return;
    if (!bytes_) start();
    char* const at = bytes_->extend(kSummaryEntryHeaderSize);
    encode_summary_entry(at, entry);
    bytes_->append(entry.digest);
  }

  // The closing group but for its place and its group record; nothing is left to add to.
  std::unique_ptr<ClosingGroup> close() {
    CHECK(is_complete_, "only a complete summary closes a segment");
    if (!bytes_) start();
    auto closing = std::make_unique<ClosingGroup>();
    closing->summary_size = size();
    capacity_ = bytes_->size() + bytes_->size() / 4;
    bytes_->pad(kBlockSize);
    closing->bytes = std::move(bytes_);
    give_up();
    return closing;
  }

 private:
  static constexpr size_t kFront = kGroupRecordSize + kRecordHeaderSize;

  void start() {
    bytes_ = std::make_unique<GroupBuffer>(capacity_);
    bytes_->extend(kFront);
  }
  uint64_t size() const { return bytes_ ? bytes_->size() - kFront : 0; }

  std::unique_ptr<GroupBuffer> bytes_;
  uint64_t capacity_ = kBlockSize;  // as the last one needed, so that a large one does not move
  bool is_complete_ = false;
};

}  // namespace verbatim::queue
