#include "processor/staging/event_index.h"

#include "base/endian.h"

namespace verbatim::processor {

std::string encode_index(const EventIndex& index) {
  std::string bytes;
  bytes.reserve(kEventIndexSize);
  base::put_le32(bytes, index.source_ref);
  base::put_le32(bytes, index.size);
  base::put_le64(bytes, index.total_bytes);
  base::put_le64(bytes, static_cast<uint64_t>(index.staged_unix_ns));
  base::put_le32(bytes, static_cast<uint32_t>(index.schema_revision));
  if (index.left_out != 0) base::put_le64(bytes, index.left_out);
  return bytes;
}

Result<EventIndex> decode_index(std::string_view bytes) {
  const bool has_left_out = bytes.size() == kEventIndexSize + sizeof(uint64_t);
  if (bytes.size() != kEventIndexSize && !has_left_out) {
    return data_loss("staging: an index row has the wrong size size_bytes=" +
                     std::to_string(bytes.size()));
  }
  EventIndex index;
  index.source_ref = base::get_le32(bytes.data());
  index.size = base::get_le32(bytes.data() + 4);
  index.total_bytes = base::get_le64(bytes.data() + 8);
  index.staged_unix_ns = static_cast<int64_t>(base::get_le64(bytes.data() + 16));
  index.schema_revision = static_cast<int32_t>(base::get_le32(bytes.data() + 24));
  if (has_left_out) index.left_out = base::get_le64(bytes.data() + kEventIndexSize);
  return index;
}

}  // namespace verbatim::processor
