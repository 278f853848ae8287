// The bytes of a Put frame, written once: a message is encoded by the thread that puts it, and a
// frame is its header and the messages' bytes one behind the other. Equal to what protobuf writes
// (a test compares them); docs/formats/frames.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "queue/client/queue_client.h"

namespace verbatim::queue {

// v1::PutMessage as an element of v1::Put.messages: tag, length, fields.
std::string encode_put_message(const PutRequest& request);

struct PutFrameHeader {
  uint64_t request_id = 0;
  std::string_view queue;
  std::string_view producer;
  uint64_t epoch = 0;
  uint64_t first_sequence = 0;
};

// Builds a whole frame: begin with the size of all messages, append each, finish.
class PutFrameBuilder {
 public:
  PutFrameBuilder(const PutFrameHeader& header, size_t messages_bytes);
  void append(std::string_view encoded_message) { frame_.append(encoded_message); }
  std::string finish() &&;

 private:
  std::string frame_;
};

}  // namespace verbatim::queue
