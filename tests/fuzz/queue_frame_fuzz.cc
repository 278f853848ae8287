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
#include "queue/put_view.h"
#include "queue/state/message_record.h"
#include "verbatim/v1/queue.pb.h"

using namespace verbatim;  // NOLINT: a program of one file

namespace {

// A put as protobuf reads it is what the view shows, and nothing but a put is taken for one.
void compare_put(std::string_view body, const v1::QueueFrame* parsed) {
  queue::PutView view;
  if (queue::read_put(body, SIZE_MAX, view) != queue::PutRead::kPut) return;
  CHECK(parsed != nullptr && parsed->has_put(), "protobuf reads what the view reads");
  const v1::Put& put = parsed->put();
  CHECK(view.request_id == parsed->request_id() && view.queue == put.queue() &&
            view.producer == put.producer() && view.epoch == put.epoch() &&
            view.first_sequence == put.first_sequence() &&
            view.messages.size() == static_cast<size_t>(put.messages_size()),
        "both read the same put");
  for (size_t i = 0; i < view.messages.size(); ++i) {
    const queue::PutMessageView& one = view.messages[i];
    const v1::PutMessage& other = put.messages(static_cast<int>(i));
    CHECK(one.order_key == other.order_key() && one.source_key == other.source_key() &&
              one.source == other.source() && one.verdict == other.verdict() &&
              one.envelope == other.envelope() && one.body == other.body() &&
              one.label == other.label() && one.correlation_id == other.correlation_id(),
          "both read the same message");
    CHECK(one.acknowledge.has_value() == other.has_acknowledge() &&
              (!one.acknowledge ||
               (one.acknowledge->queue() == other.acknowledge().queue() &&
                one.acknowledge->on_reached() == other.acknowledge().on_reached() &&
                one.acknowledge->on_consumed() == other.acknowledge().on_consumed())),
          "both read the same wish for acknowledgements");
  }
}

// The first byte's lowest bit says whether the checksum is made right.
void read_frame(std::string_view input) {
  std::string frame(input.substr(1));
  if ((input[0] & 1) != 0 && frame.size() >= base::kFrameHeaderSize) {
    frame.replace(0, base::kFrameMagic.size(), base::kFrameMagic);
    base::put_le32(frame.data() + base::kFrameMagic.size(),
                   base::crc32c(std::string_view(frame).substr(base::kFrameHeaderSize)));
  }
  const auto body = base::frame_body(frame);
  if (!body) return;
  v1::QueueFrame message;
  const bool is_parsed = base::decode_frame_body(*body, message).ok();
  compare_put(*body, is_parsed ? &message : nullptr);
  if (!is_parsed) return;
  v1::QueueFrame again;
  const std::string written = base::encode_frame(message);
  CHECK(base::decode_frame(written, again).ok(), "what was read is written");
  queue::PutView view;
  const auto read = queue::read_put(*base::frame_body(written), SIZE_MAX, view);
  CHECK((read == queue::PutRead::kPut) == message.has_put(),
        "the view reads every put that protobuf writes");
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
