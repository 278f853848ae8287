// The payload of a message's record in the log, and its digest: docs/formats/log.md, "Message" and
// "Digests". Fixed layouts, so that bodies are copied once on the way in and once on the way out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "queue/state/key_hash.h"

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
  std::string_view extra;  // LogMessageExtra; empty for most
  std::string_view envelope;
  std::string_view body;
};

size_t message_record_size(const MessageRecord& record);
// Writes message_record_size() bytes.
void write_message_record(char* to, const MessageRecord& record);
std::string message_record_bytes(const MessageRecord& record);
// The views point into `payload`. Nothing if the sizes do not add up.
std::optional<MessageRecord> decode_message_record(std::string_view payload);

// What the index knows of a message.
struct MessageDigest {
  uint32_t queue_id = 0;
  uint32_t delivery_count = 0;
  uint64_t lookup_id = 0;
  uint64_t order_key_hash = 0;
  // When it is to be told to an administration queue that the message is consumed.
  bool wants_consumed = false;
  uint8_t reason = 0;  // EndReason of its last hop
  // Only of a message with a source key.
  bool has_source_key = false;
  SourceKeyHash source_key_hash{};
  int64_t put_unix_ns = 0;
};

MessageDigest digest_of(const MessageRecord& record);
// Replaces `to`.
void encode_digest(const MessageDigest& digest, std::string& to);
std::optional<MessageDigest> decode_digest(std::string_view bytes);

}  // namespace verbatim::queue
