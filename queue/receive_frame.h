// ReceiveFrame: the frame of an answer with messages, written once: each message goes from the
// log's memory to the frame by one copy. The bytes are those of a QueueFrame with a ReceiveReply
// (proto/verbatim/v1/queue.proto), behind the header of base/frame.h; a test holds them against
// what protobuf reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "queue/state/queue_store.h"

namespace verbatim::queue {

class ReceiveFrame {
 public:
  ReceiveFrame(uint64_t request_id, uint64_t lease_id, uint64_t log_id);
  // So many bytes will be added, about.
  void reserve(size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
  void add(const StoredMessage& message, uint32_t delivery_count);
  // The whole frame; nothing can be added afterwards.
  std::string finish();

 private:
  std::string bytes_;
  size_t length_at_ = 0;
};

}  // namespace verbatim::queue
