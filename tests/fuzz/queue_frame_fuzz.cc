// What a stranger can send to the queue, and what a log may hold as a message: frames, message
// records and digests of any bytes. What is read can be written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/frame.h"
#include "queue/state/message_record.h"
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
  std::string written(queue::message_record_size(*record), '\0');
  queue::write_message_record(written.data(), *record);
  const auto again = queue::decode_message_record(written);
  CHECK(again && again->body == record->body && again->lookup_id == record->lookup_id,
        "a record is written as it was read");
}

void read_digest(std::string_view bytes) {
  const auto digest = queue::decode_digest(bytes);
  if (!digest) return;
  std::string written;
  queue::encode_digest(*digest, written);
  const auto again = queue::decode_digest(written);
  CHECK(again && again->lookup_id == digest->lookup_id, "a digest is written as it was read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  read_frame(input);
  read_record(input.substr(1));
  read_digest(input.substr(1));
  return 0;
}
