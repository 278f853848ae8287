// What a stranger can send to the queue, and what a log may hold as a message: frames and message
// records of any bytes. What is read is written again as the same bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/frame.h"
#include "queue/message_record.h"
#include "verbatim/v1/queue.pb.h"

using namespace verbatim;  // NOLINT: a program of one file

namespace {

// The first byte's lowest bit says whether the checksum is made right.
void read_frame(std::string_view input) {
  std::string frame(input.substr(1));
  if ((input[0] & 1) != 0 && frame.size() >= base::kFrameHeaderSize) {
    frame.replace(0, base::kFrameMagic.size(), base::kFrameMagic);
    base::put_le32(frame.data() + base::kFrameMagic.size(),
                   base::crc32c(std::string_view(frame).substr(base::kFrameHeaderSize)));
  }
  v1::QueueFrame message;
  if (!base::decode_frame(frame, message).ok()) return;
  v1::QueueFrame again;
  CHECK(base::decode_frame(base::encode_frame(message), again).ok(), "what was read is written");
}

void read_record(std::string_view payload) {
  const auto record = queue::decode_message_record(payload);
  if (!record) return;
  CHECK(queue::message_record_size(*record) == payload.size(), "a record is all of its payload");
  std::string again;
  queue::append_message_record(again, *record);
  CHECK(again == payload, "a record is written as it was read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  read_frame(input);
  read_record(input.substr(1));
  return 0;
}
