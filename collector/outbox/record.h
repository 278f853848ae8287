// One record of an outbox segment: header of 32 bytes, then the payload. docs/formats/outbox.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace verbatim::collector {

inline constexpr std::string_view kOutboxMagic = "VBOX";
inline constexpr size_t kOutboxHeaderSize = 32;
inline constexpr uint32_t kOutboxPayloadMaxBytes = 128 * 1024 * 1024;

enum class OutboxRecordType : uint32_t {
  kMessage = 1,    // payload: serialised v1::PutMessage
  kConfirmed = 2,  // payload: segment (u64), offset (u64): everything before is in the queue
  kReplaces = 3,   // no payload: all older segments are void
  kSynced = 4,     // no payload: only carries synced_bytes
};

struct OutboxRecord {
  OutboxRecordType type = OutboxRecordType::kMessage;
  uint64_t segment = 0;
  // Offset in this segment known to be synced when the record was written.
  uint64_t synced_bytes = 0;
  std::string_view payload;

  uint64_t size() const { return kOutboxHeaderSize + payload.size(); }
};

std::string encode_outbox_record(const OutboxRecord& record);

// Reads the record at the front of `bytes`; none where there is no whole, sound record of this
// segment.
std::optional<OutboxRecord> decode_outbox_record(std::string_view bytes, uint64_t segment);

}  // namespace verbatim::collector
