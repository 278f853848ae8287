#include "collector/outbox/record.h"

#include "base/crc32c.h"
#include "base/endian.h"

namespace verbatim::collector {

std::string encode_outbox_record(const OutboxRecord& record) {
  std::string rest;
  rest.reserve(kOutboxHeaderSize + record.payload.size());
  base::put_le32(rest, static_cast<uint32_t>(record.payload.size()));
  base::put_le32(rest, static_cast<uint32_t>(record.type));
  base::put_le64(rest, record.segment);
  base::put_le64(rest, record.synced_bytes);
  rest.append(record.payload);
  std::string bytes(kOutboxMagic);
  base::put_le32(bytes, base::crc32c(rest));
  bytes.append(rest);
  return bytes;
}

std::optional<OutboxRecord> decode_outbox_record(std::string_view bytes, uint64_t segment) {
  if (bytes.size() < kOutboxHeaderSize || !bytes.starts_with(kOutboxMagic)) return std::nullopt;
  const uint32_t crc = base::get_le32(bytes.data() + 4);
  const uint32_t size = base::get_le32(bytes.data() + 8);
  if (size > kOutboxPayloadMaxBytes || bytes.size() - kOutboxHeaderSize < size) return std::nullopt;
  if (base::crc32c(bytes.substr(8, kOutboxHeaderSize - 8 + size)) != crc) return std::nullopt;
  OutboxRecord record;
  record.type = static_cast<OutboxRecordType>(base::get_le32(bytes.data() + 12));
  record.segment = base::get_le64(bytes.data() + 16);
  record.synced_bytes = base::get_le64(bytes.data() + 24);
  record.payload = bytes.substr(kOutboxHeaderSize, size);
  if (record.segment != segment) return std::nullopt;
  return record;
}

}  // namespace verbatim::collector
