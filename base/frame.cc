#include "base/frame.h"

#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>

#include "base/crc32c.h"
#include "base/endian.h"

namespace verbatim::base {

std::string encode_frame(const google::protobuf::MessageLite& message) {
  std::string frame;
  const size_t size = message.ByteSizeLong();
  frame.reserve(kFrameHeaderSize + size);
  frame.append(kFrameHeaderSize, '\0');
  message.AppendToString(&frame);
  finish_frame(frame);
  return frame;
}

void finish_frame(std::string& frame) {
  frame.replace(0, kFrameMagic.size(), kFrameMagic);
  put_le32(frame.data() + kFrameMagic.size(),
           crc32c(std::string_view(frame).substr(kFrameHeaderSize)));
}

namespace {

// protobuf prints to standard error whatever a stranger sends wrongly; our callers say it better.
void silence_protobuf() {
  [[maybe_unused]] static auto* const previous = google::protobuf::SetLogHandler(nullptr);
}

}  // namespace

Result<std::string_view> frame_body(std::string_view frame) {
  if (frame.size() < kFrameHeaderSize) return invalid_argument("frame is shorter than its header");
  if (frame.substr(0, 3) != kFrameMagic.substr(0, 3)) {
    return invalid_argument("frame has a foreign magic");
  }
  if (frame[3] != kFrameMagic[3]) return invalid_argument("frame has an unknown version");
  const std::string_view body = frame.substr(kFrameHeaderSize);
  if (get_le32(frame.data() + kFrameMagic.size()) != crc32c(body)) {
    return data_loss("frame has a wrong checksum");
  }
  return body;
}

Status decode_frame(std::string_view frame, google::protobuf::MessageLite& message) {
  ASSIGN_OR_RETURN(const std::string_view body, frame_body(frame));
  return decode_frame_body(body, message);
}

Status decode_frame_body(std::string_view body, google::protobuf::MessageLite& message) {
  silence_protobuf();
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return invalid_argument("frame is not a message of this kind");
  }
  return {};
}

}  // namespace verbatim::base
