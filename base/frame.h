// The header of every frame of ours on ZeroMQ: "VBF1", the crc32c of all that follows it (u32,
// little-endian), then a serialised protobuf message. docs/formats/frames.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace google::protobuf {
class MessageLite;
}

namespace verbatim::base {

inline constexpr std::string_view kFrameMagic = "VBF1";
inline constexpr size_t kFrameHeaderSize = 8;

// Gives header and message as one frame.
std::string encode_frame(const google::protobuf::MessageLite& message);

// Writes the header into the first kFrameHeaderSize bytes of a frame whose message is there
// already.
void finish_frame(std::string& frame);

// Checks the header and gives what lies behind it. Errors: as decode_frame, without the parsing.
Result<std::string_view> frame_body(std::string_view frame);

// Checks the header and parses the rest into `message`, which after kInvalidArgument holds the
// fields before the first bad one. Errors: kInvalidArgument (too short, a
// foreign magic or version, not this message), kDataLoss (the checksum). Never the frame's bytes.
Status decode_frame(std::string_view frame, google::protobuf::MessageLite& message);
// The same for what frame_body() gave.
Status decode_frame_body(std::string_view body, google::protobuf::MessageLite& message);

}  // namespace verbatim::base
