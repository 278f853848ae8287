#include "queue/message_record.h"

#include <array>

#include "base/endian.h"

namespace verbatim::queue {
namespace {

constexpr size_t kFixedSize = 4 + 4 + 8 + 8 + 8 + 6 * 4;

template <class Record>
auto parts_of(Record& record) {
  return std::array{&record.source,  &record.order_key, &record.source_key,
                    &record.verdict, &record.envelope,  &record.body};
}

}  // namespace

size_t message_record_size(const MessageRecord& record) {
  size_t size = kFixedSize;
  for (const std::string_view* part : parts_of(record)) size += part->size();
  return size;
}

void append_message_record(std::string& to, const MessageRecord& record) {
  base::put_le32(to, record.queue_id);
  base::put_le32(to, record.delivery_count);
  base::put_le64(to, record.lookup_id);
  base::put_le64(to, static_cast<uint64_t>(record.put_unix_ns));
  base::put_le64(to, record.source_count);
  for (const std::string_view* part : parts_of(record)) {
    base::put_le32(to, static_cast<uint32_t>(part->size()));
  }
  for (const std::string_view* part : parts_of(record)) to.append(*part);
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

}  // namespace verbatim::queue
