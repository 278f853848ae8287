// The bytes of the log, as docs/formats/log.md states them: segment header, group, record, summary.
// Pure functions; integers are little-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::queue {

inline constexpr uint64_t kBlockSize = 4096;  // no torn write reaches over a block's border
inline constexpr uint64_t kLogHeaderSize = kBlockSize;
inline constexpr uint32_t kLogFormatVersion = 2;
inline constexpr size_t kRecordHeaderSize = 24;
inline constexpr size_t kGroupPayloadSize = 72;
inline constexpr size_t kGroupRecordSize = kRecordHeaderSize + kGroupPayloadSize;
inline constexpr size_t kRecordAlignment = 8;

inline constexpr size_t kSummaryEntryHeaderSize = 13;

constexpr uint64_t align_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }
// What a record of this payload takes in a group.
constexpr uint64_t record_size(uint64_t payload) {
  return align_up(kRecordHeaderSize + payload, kRecordAlignment);
}

// What a record takes besides its payload, at most.
inline constexpr uint64_t kRecordOverhead = kRecordHeaderSize + kRecordAlignment;

// A place in the log; generations ascend, so positions are ordered as they were written.
struct LogPosition {
  uint64_t generation = 0;
  uint64_t offset = 0;
  auto operator<=>(const LogPosition&) const = default;
};
// "segment=0000000000000002.seg offset=4096".
std::string to_string(const LogPosition& position);

enum class RecordType : uint8_t {
  kGroup = 1,           // first of each group
  kSnapshot = 2,        // LogSnapshot
  kQueueMade = 3,       // LogQueueMade
  kProducerOpened = 4,  // LogProducerOpened
  kPut = 5,             // LogPut, followed by its messages
  kMessage = 6,         // queue/message_record.h
  kMessageCopy = 7,     // the same; moved here from an older segment
  kRemoved = 8,         // LogRanges
  kDelivered = 9,       // LogRanges
  kSourceKeyCopy = 10,  // LogSourceKey
  kSummary = 11,        // of the segment that it closes
  kQueueChanged = 12,   // LogQueueChanged
  kQueueDeleted = 13,   // LogQueueDeleted
  kReturned = 14,       // LogRanges
  kMessageMoved = 15,   // as kMessage; came from another queue
};

// The header block of a segment.
struct SegmentHeader {
  uint64_t log_id = 0;      // random, the same in all segments of a log
  uint64_t generation = 0;  // > 0; 0: a spare never used
  uint64_t segment_size = 0;
};
// Gives kLogHeaderSize bytes; another version than ours is for tests.
std::string encode_segment_header(const SegmentHeader& header,
                                  uint32_t version = kLogFormatVersion);
// Errors: kDataLoss (wrong bytes), kFailedPrecondition (written by a newer program).
Result<SegmentHeader> decode_segment_header(std::string_view block);

// What the first record of a group says.
struct GroupRecord {
  uint64_t number = 0;
  uint64_t offset = 0;  // where it stands in its segment
  uint32_t size = 0;    // of all its records, itself included, without the padding
  uint32_t record_count = 0;
  LogPosition mark;                // everything below is synced
  LogPosition previous_end;        // first group of a segment: where the segment before it ends
  uint64_t oldest_generation = 0;  // older segments are not needed any more
  // First group of a segment: the offset of the group in the segment before it that holds its
  // summary; 0: it has none.
  uint64_t previous_summary = 0;
};

// A record as it stands in a buffer.
struct RecordView {
  RecordType type{};
  std::string_view payload;
  uint64_t size = 0;  // in the group, header and padding included
};

// Writes what surrounds a payload that stands in its place already; the log's id seeds the
// checksum.
class RecordEncoder {
 public:
  RecordEncoder(uint64_t log_id, uint64_t generation);

  // Makes the record at `at` whole: record_size(length) bytes, the payload behind the header's
  // room.
  void finish(char* at, size_t length, RecordType type) const;
  // Writes the kGroupRecordSize bytes at `at`.
  void write_group_record(char* at, const GroupRecord& record) const;

 private:
  uint64_t generation_;
  uint32_t seed_;
};

class RecordDecoder {
 public:
  // `any_generation` is for the canary only.
  RecordDecoder(uint64_t log_id, uint64_t generation, bool any_generation = false);

  // Reads the record at the front of `bytes`; nothing unless it is whole and of this log and
  // generation.
  std::optional<RecordView> decode(std::string_view bytes) const;

 private:
  uint64_t generation_;
  uint32_t seed_;
  bool any_generation_;
};

std::optional<GroupRecord> decode_group_payload(std::string_view payload);

// One record of a segment as its summary tells it.
struct SummaryEntry {
  RecordType type{};
  uint64_t offset = 0;
  uint32_t payload_size = 0;
  std::string_view digest;
};
// Writes the entry's header; the digest follows it.
void encode_summary_entry(char* at, const SummaryEntry& entry);
// Calls `visit` with each entry until it fails. Errors: kDataLoss (not a summary), those of
// `visit`.
Status decode_summary(std::string_view payload,
                      const std::function<Status(const SummaryEntry&)>& visit);

}  // namespace verbatim::queue
