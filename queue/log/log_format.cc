#include "queue/log/log_format.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/log.h"

namespace verbatim::queue {
namespace {

using base::crc32c;
using base::crc32c_extend;
using base::get_le32;
using base::get_le64;
using base::put_le32;
using base::put_le64;

constexpr std::string_view kSegmentMagic = "VBLOGSEG";
constexpr size_t kHeaderCrcAt = kLogHeaderSize - 4;

// The log's id goes into every checksum: bytes that a client sends can never pass for a record.
uint32_t checksum_seed(uint64_t log_id) {
  char seed[8];
  put_le64(seed, log_id);
  return crc32c(std::string_view(seed, sizeof(seed)));
}

}  // namespace

std::string to_string(const LogPosition& position) {
  return fmt::format("segment={:016x}.seg offset={}", position.generation, position.offset);
}

std::string encode_segment_header(const SegmentHeader& header, uint32_t version) {
  std::string block(kSegmentMagic);
  put_le32(block, version);
  put_le32(block, 0);
  put_le64(block, header.log_id);
  put_le64(block, header.generation);
  put_le64(block, header.segment_size);
  block.resize(kHeaderCrcAt, '\0');
  put_le32(block, crc32c(block));
  return block;
}

Result<SegmentHeader> decode_segment_header(std::string_view block) {
  if (block.size() != kLogHeaderSize) return data_loss("segment header is cut");
  if (block.substr(0, kSegmentMagic.size()) != kSegmentMagic) {
    return data_loss("segment header has a foreign magic");
  }
  if (get_le32(block.data() + kHeaderCrcAt) != crc32c(block.substr(0, kHeaderCrcAt))) {
    return data_loss("segment header has a wrong checksum");
  }
  if (const uint32_t version = get_le32(block.data() + 8); version > kLogFormatVersion) {
    return failed_precondition(
        fmt::format("the log was written by a newer verbatim-queue: format_version={} known={}; "
                    "start that version or a later one",
                    version, kLogFormatVersion));
  }
  if (const uint32_t version = get_le32(block.data() + 8); version < kLogFormatVersion) {
    return failed_precondition(
        fmt::format("the log was written by a verbatim-queue before the first release: "
                    "format_version={} known={}; move the folder away to begin a new log",
                    version, kLogFormatVersion));
  }
  SegmentHeader header;
  header.log_id = get_le64(block.data() + 16);
  header.generation = get_le64(block.data() + 24);
  header.segment_size = get_le64(block.data() + 32);
  return header;
}

RecordEncoder::RecordEncoder(uint64_t log_id, uint64_t generation)
    : generation_(generation), seed_(checksum_seed(log_id)) {}

void RecordEncoder::finish(char* at, size_t length, RecordType type) const {
  const size_t end = kRecordHeaderSize + length;
  put_le32(at + 4, static_cast<uint32_t>(length));
  put_le64(at + 8, generation_);
  put_le64(at + 16, static_cast<uint64_t>(type));
  std::memset(at + end, 0, record_size(length) - end);
  put_le32(at, crc32c_extend(seed_, std::string_view(at + 4, end - 4)));
}

void RecordEncoder::write_group_record(char* at, const GroupRecord& record) const {
  char* const payload = at + kRecordHeaderSize;
  put_le64(payload, record.number);
  put_le64(payload + 8, record.offset);
  put_le32(payload + 16, record.size);
  put_le32(payload + 20, record.record_count);
  put_le64(payload + 24, record.mark.generation);
  put_le64(payload + 32, record.mark.offset);
  put_le64(payload + 40, record.previous_end.generation);
  put_le64(payload + 48, record.previous_end.offset);
  put_le64(payload + 56, record.oldest_generation);
  put_le64(payload + 64, record.previous_summary);
  finish(at, kGroupPayloadSize, RecordType::kGroup);
}

RecordDecoder::RecordDecoder(uint64_t log_id, uint64_t generation, bool any_generation)
    : generation_(generation), seed_(checksum_seed(log_id)), any_generation_(any_generation) {}

std::optional<RecordView> RecordDecoder::decode(std::string_view bytes) const {
  if (bytes.size() < kRecordHeaderSize) return std::nullopt;
  if (get_le64(bytes.data() + 8) != generation_ && !any_generation_) return std::nullopt;
  const uint64_t length = get_le32(bytes.data() + 4);
  if (record_size(length) > bytes.size()) return std::nullopt;
  const std::string_view after_crc = bytes.substr(4, kRecordHeaderSize - 4 + length);
  if (get_le32(bytes.data()) != crc32c_extend(seed_, after_crc)) return std::nullopt;
  RecordView view;
  view.type = static_cast<RecordType>(bytes[16]);
  view.payload = bytes.substr(kRecordHeaderSize, length);
  view.size = record_size(length);
  return view;
}

std::optional<GroupRecord> decode_group_payload(std::string_view payload) {
  if (payload.size() != kGroupPayloadSize) return std::nullopt;
  const char* at = payload.data();
  GroupRecord record;
  record.number = get_le64(at);
  record.offset = get_le64(at + 8);
  record.size = get_le32(at + 16);
  record.record_count = get_le32(at + 20);
  record.mark = {get_le64(at + 24), get_le64(at + 32)};
  record.previous_end = {get_le64(at + 40), get_le64(at + 48)};
  record.oldest_generation = get_le64(at + 56);
  record.previous_summary = get_le64(at + 64);
  return record;
}

void encode_summary_entry(char* at, const SummaryEntry& entry) {
  at[0] = static_cast<char>(entry.type);
  put_le32(at + 1, static_cast<uint32_t>(entry.offset / kRecordAlignment));
  put_le32(at + 5, entry.payload_size);
  put_le32(at + 9, static_cast<uint32_t>(entry.digest.size()));
}

Status decode_summary(std::string_view payload,
                      const std::function<Status(const SummaryEntry&)>& visit) {
  while (!payload.empty()) {
    if (payload.size() < kSummaryEntryHeaderSize) return data_loss("a summary is cut");
    const char* at = payload.data();
    SummaryEntry entry;
    entry.type = static_cast<RecordType>(at[0]);
    entry.offset = uint64_t{get_le32(at + 1)} * kRecordAlignment;
    entry.payload_size = get_le32(at + 5);
    const size_t size = get_le32(at + 9);
    if (payload.size() < kSummaryEntryHeaderSize + size) return data_loss("a summary is cut");
    entry.digest = payload.substr(kSummaryEntryHeaderSize, size);
    RETURN_IF_ERROR(visit(entry));
    payload.remove_prefix(kSummaryEntryHeaderSize + size);
  }
  return {};
}

}  // namespace verbatim::queue
