// The payload of a message's record in the log: docs/formats/log.md, "Message". Fixed layout, so
// that bodies are copied once on the way in and once on the way out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace verbatim::queue {

struct MessageRecord {
  uint32_t queue_id = 0;
  uint32_t delivery_count = 0;  // of a copy: as of the time of copying
  uint64_t lookup_id = 0;
  int64_t put_unix_ns = 0;
  uint64_t source_count = 0;
  std::string_view source;
  std::string_view order_key;
  std::string_view source_key;
  std::string_view verdict;
  std::string_view envelope;
  std::string_view body;
};

size_t message_record_size(const MessageRecord& record);
void append_message_record(std::string& to, const MessageRecord& record);
// The views point into `payload`. Nothing if the sizes do not add up.
std::optional<MessageRecord> decode_message_record(std::string_view payload);

}  // namespace verbatim::queue
