#include "queue/log/log_format.h"

#include "base/check.h"
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
uint32_t record_crc(uint64_t log_id, std::string_view after_crc) {
  char seed[8];
  put_le64(seed, log_id);
  return crc32c_extend(crc32c(std::string_view(seed, sizeof(seed))), after_crc);
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
  SegmentHeader header;
  header.log_id = get_le64(block.data() + 16);
  header.generation = get_le64(block.data() + 24);
  header.segment_size = get_le64(block.data() + 32);
  return header;
}

size_t RecordEncoder::begin(std::string& group) const {
  const size_t at = group.size();
  group.append(kRecordHeaderSize, '\0');
  return at;
}

void RecordEncoder::finish(std::string& group, size_t begin, RecordType type) const {
  const size_t length = group.size() - begin - kRecordHeaderSize;
  char* header = group.data() + begin;
  put_le32(header + 4, static_cast<uint32_t>(length));
  put_le64(header + 8, generation_);
  header[16] = static_cast<char>(type);
  const std::string_view after_crc(header + 4, kRecordHeaderSize - 4 + length);
  put_le32(header, record_crc(log_id_, after_crc));
  group.resize(begin + record_size(length), '\0');
}

size_t RecordEncoder::append(std::string& group, RecordType type, std::string_view payload) const {
  const size_t at = begin(group);
  group.append(payload);
  finish(group, at, type);
  return at;
}

void RecordEncoder::write_group_record(std::string& group, const GroupRecord& record) const {
  CHECK(group.size() >= kGroupRecordSize, "the group has kept room for its first record");
  std::string first;
  const size_t at = begin(first);
  put_le64(first, record.number);
  put_le64(first, record.offset);
  put_le32(first, record.size);
  put_le32(first, record.record_count);
  put_le64(first, record.mark.generation);
  put_le64(first, record.mark.offset);
  put_le64(first, record.previous_end.generation);
  put_le64(first, record.previous_end.offset);
  put_le64(first, record.oldest_generation);
  put_le64(first, 0);
  finish(first, at, RecordType::kGroup);
  CHECK(first.size() == kGroupRecordSize, "the group record has its fixed size");
  group.replace(0, kGroupRecordSize, first);
}

std::optional<RecordView> decode_record(std::string_view bytes, uint64_t log_id,
                                        uint64_t generation, bool any_generation) {
  if (bytes.size() < kRecordHeaderSize) return std::nullopt;
  if (get_le64(bytes.data() + 8) != generation && !any_generation) return std::nullopt;
  const uint64_t length = get_le32(bytes.data() + 4);
  if (record_size(length) > bytes.size()) return std::nullopt;
  const std::string_view after_crc = bytes.substr(4, kRecordHeaderSize - 4 + length);
  if (get_le32(bytes.data()) != record_crc(log_id, after_crc)) return std::nullopt;
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
  return record;
}

}  // namespace verbatim::queue
