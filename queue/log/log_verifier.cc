#include "queue/log/log_verifier.h"

#include <algorithm>

#include "base/endian.h"
#include "base/log.h"

namespace verbatim::queue {

Result<bool> LogVerifier::step(const std::map<uint64_t, Segment>& segments) {
  while (!ends_.empty() && !segments.contains(ends_.front().generation)) next_segment();
  if (ends_.empty()) return false;
  const LogPosition end = ends_.front();
  if (const Status status = check(segments.at(end.generation), end.offset); !status.ok()) {
    next_segment();
    return status;
  }
  if (offset_ >= end.offset) next_segment();
  return true;
}

Status LogVerifier::check(const Segment& segment, uint64_t end) {
  const RecordDecoder decoder(segment.header.log_id, segment.header.generation);
  ASSIGN_OR_RETURN(std::string_view bytes,
                   read(*segment.file, std::min(kStepBytes, end - offset_)));
  for (bool is_first = true; offset_ < end; is_first = false) {
    auto record = decoder.decode(bytes);
    if (!record && !is_first) return {};  // bad or cut: the next step begins with it
    if (!record && bytes.size() >= kRecordHeaderSize) {
      // Cut, if it is longer than what was read.
      const uint64_t size = record_size(base::get_le32(bytes.data() + 4));
      if (size > bytes.size() && size <= end - offset_) {
        ASSIGN_OR_RETURN(bytes, read(*segment.file, size));
        record = decoder.decode(bytes);
      }
    }
    const LogPosition at{segment.header.generation, offset_};
    if (!record || !take(*record)) {
      return data_loss(fmt::format("the log is damaged {}: a record is bad", to_string(at)));
    }
    bytes.remove_prefix(std::min<uint64_t>(offset_ - at.offset, bytes.size()));
  }
  return {};
}

Result<std::string_view> LogVerifier::read(base::File& file, uint64_t count) {
  buffer_.clear();
  char* const to = buffer_.extend(count);
  ASSIGN_OR_RETURN(const size_t got, file.read_at(offset_, std::span<char>(to, count)));
  return buffer_.view().substr(0, got);
}

bool LogVerifier::take(const RecordView& record) {
  if (group_left_bytes_ == 0) {
    const auto group = decode_group_payload(record.payload);
    if (record.type != RecordType::kGroup || !group || group->offset != offset_) return false;
    group_left_bytes_ = group->size;
  }
  if (record.size > group_left_bytes_) return false;
  group_left_bytes_ -= record.size;
  offset_ += record.size;
  if (group_left_bytes_ == 0) offset_ = align_up(offset_, kBlockSize);
  return true;
}

void LogVerifier::next_segment() {
  ends_.pop_front();
  offset_ = kLogHeaderSize;
  group_left_bytes_ = 0;
}

}  // namespace verbatim::queue
