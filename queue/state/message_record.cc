#include "queue/state/message_record.h"

#include <algorithm>
#include <array>

#include "base/endian.h"
#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {
namespace {

constexpr size_t kFixedSize = 4 + 4 + 8 + 8 + 8 + 8 * 4;
constexpr size_t kDigestSize = 32;
constexpr size_t kDigestWithKeySize = kDigestSize + 24;
constexpr uint32_t kWantsConsumed = 1;
constexpr uint32_t kHasSourceKey = 2;
constexpr int kReasonShift = 8;

template <class Record>
auto parts_of(Record& record) {
  return std::array{&record.source, &record.order_key, &record.source_key, &record.verdict,
                    &record.extra,  &record.envelope,  &record.body};
}

}  // namespace

size_t message_record_size(const MessageRecord& record) {
  size_t size = kFixedSize;
  for (const std::string_view* part : parts_of(record)) size += part->size();
  return size;
}

void write_message_record(char* to, const MessageRecord& record) {
  base::put_le32(to, record.queue_id);
  base::put_le32(to + 4, record.delivery_count);
  base::put_le64(to + 8, record.lookup_id);
  base::put_le64(to + 16, static_cast<uint64_t>(record.put_unix_ns));
  base::put_le64(to + 24, record.source_count);
  char* size = to + 32;
  char* at = to + kFixedSize;
  for (const std::string_view* part : parts_of(record)) {
    base::put_le32(size, static_cast<uint32_t>(part->size()));
    size += 4;
    at = std::copy(part->begin(), part->end(), at);
  }
  base::put_le32(size, 0);
}

std::string message_record_bytes(const MessageRecord& record) {
  std::string bytes(message_record_size(record), '\0');
  write_message_record(bytes.data(), record);
  return bytes;
}

std::optional<MessageRecord> decode_message_record(std::string_view payload) {
  if (payload.size() < kFixedSize) return std::nullopt;
  const char* at = payload.data();
  MessageRecord record;
  record.queue_id = base::get_le32(at);
  record.delivery_count = base::get_le32(at + 4);
  record.lookup_id = base::get_le64(at + 8);
  record.put_unix_ns = static_cast<int64_t>(base::get_le64(at + 16));
  record.source_count = base::get_le64(at + 24);
  const char* sizes = at + 32;
  std::string_view rest = payload.substr(kFixedSize);
  for (std::string_view* part : parts_of(record)) {
    const uint32_t size = base::get_le32(sizes);
    sizes += 4;
    if (size > rest.size()) return std::nullopt;
    *part = rest.substr(0, size);
    rest.remove_prefix(size);
  }
  if (!rest.empty()) return std::nullopt;
  return record;
}

MessageDigest digest_of(const MessageRecord& record) {
  MessageDigest digest{.queue_id = record.queue_id,
                       .delivery_count = record.delivery_count,
                       .lookup_id = record.lookup_id,
                       .order_key_hash = order_key_hash(record.order_key),
                       .put_unix_ns = record.put_unix_ns};
  if (!record.extra.empty()) {
    v1::LogMessageExtra extra;
    if (extra.ParseFromArray(record.extra.data(), static_cast<int>(record.extra.size()))) {
      digest.wants_consumed = extra.acknowledge().on_consumed();
      if (extra.hops_size() > 0) {
        digest.reason = static_cast<uint8_t>(extra.hops(extra.hops_size() - 1).reason() & 15);
      }
    }
  }
  // What was moved is known by its first record for as long as the window lasts.
  if (!record.source_key.empty() && digest.reason == 0) {
    digest.has_source_key = true;
    digest.source_key_hash = source_key_hash(record.source_key);
  }
  return digest;
}

void encode_digest(const MessageDigest& digest, std::string& bytes) {
  bytes.clear();
  base::put_le32(bytes, digest.queue_id);
  base::put_le32(bytes, digest.delivery_count);
  base::put_le64(bytes, digest.lookup_id);
  base::put_le64(bytes, digest.order_key_hash);
  base::put_le32(bytes, (digest.wants_consumed ? kWantsConsumed : 0) |
                            (digest.has_source_key ? kHasSourceKey : 0) |
                            static_cast<uint32_t>(digest.reason) << kReasonShift);
  base::put_le32(bytes, 0);
  if (!digest.has_source_key) return;
  base::put_le64(bytes, digest.source_key_hash[0]);
  base::put_le64(bytes, digest.source_key_hash[1]);
  base::put_le64(bytes, static_cast<uint64_t>(digest.put_unix_ns));
}

std::optional<MessageDigest> decode_digest(std::string_view bytes) {
  if (bytes.size() != kDigestSize && bytes.size() != kDigestWithKeySize) return std::nullopt;
  const char* at = bytes.data();
  const uint32_t flags = base::get_le32(at + 24);
  MessageDigest digest{.queue_id = base::get_le32(at),
                       .delivery_count = base::get_le32(at + 4),
                       .lookup_id = base::get_le64(at + 8),
                       .order_key_hash = base::get_le64(at + 16),
                       .wants_consumed = (flags & kWantsConsumed) != 0,
                       .reason = static_cast<uint8_t>(flags >> kReasonShift & 15),
                       .has_source_key = (flags & kHasSourceKey) != 0};
  if (digest.has_source_key != (bytes.size() == kDigestWithKeySize)) return std::nullopt;
  if (digest.has_source_key) {
    digest.source_key_hash = {base::get_le64(at + 32), base::get_le64(at + 40)};
    digest.put_unix_ns = static_cast<int64_t>(base::get_le64(at + 48));
  }
  return digest;
}

}  // namespace verbatim::queue
