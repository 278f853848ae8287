#include "base/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "base/crc32c.h"
#include "base/endian.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::base {
namespace {

v1::QueueFrame sample() {
  v1::QueueFrame frame;
  frame.set_request_id(7);
  frame.mutable_hello()->set_client("client");
  frame.mutable_hello()->set_instance("instance");
  return frame;
}

TEST(Frame, WhatIsEncodedIsDecoded) {
  v1::QueueFrame decoded;
  ASSERT_TRUE(decode_frame(encode_frame(sample()), decoded).ok());
  EXPECT_EQ(decoded.SerializeAsString(), sample().SerializeAsString());
}

TEST(Frame, TheBytesOfVersionOneStay) {
  v1::QueueFrame frame;
  frame.set_request_id(1);
  // "VBF1", the crc32c of 08 01, then field 1 = 1.
  const std::string bytes = encode_frame(frame);
  EXPECT_EQ(bytes.substr(0, 4), "VBF1");
  EXPECT_EQ(bytes.substr(8), std::string("\x08\x01"));
  EXPECT_EQ(bytes.size(), 10u);
}

TEST(Frame, EachFlippedByteIsRefused) {
  const std::string bytes = encode_frame(sample());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x01);
    v1::QueueFrame decoded;
    EXPECT_FALSE(decode_frame(wrong, decoded).ok()) << at;
  }
}

TEST(Frame, EachCutLengthIsRefused) {
  const std::string bytes = encode_frame(sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    v1::QueueFrame decoded;
    EXPECT_FALSE(decode_frame(std::string_view(bytes).substr(0, size), decoded).ok()) << size;
  }
}

TEST(Frame, ARightChecksumOverForeignBytesIsNotAMessage) {
  v1::QueueFrame decoded;
  const std::string body = "\xFF\xFF\xFF";
  std::string frame(kFrameMagic);
  put_le32(frame, crc32c(body));
  frame += body;
  EXPECT_EQ(decode_frame(frame, decoded).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace verbatim::base
