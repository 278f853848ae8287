#include "queue/put_view.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::queue {
namespace {

constexpr size_t kMany = 1'000;

v1::QueueFrame full_put() {
  v1::QueueFrame frame;
  frame.set_request_id(7);
  v1::Put& put = *frame.mutable_put();
  put.set_queue("events");
  put.set_producer("p");
  put.set_epoch(3);
  put.set_first_sequence(9);
  for (const char* body : {"one", ""}) {
    v1::PutMessage& message = *put.add_messages();
    message.set_order_key("room");
    message.set_source_key("key");
    message.set_source("xmpp");
    message.set_verdict("pass");
    message.set_envelope(std::string("\0e", 2));
    message.set_body(body);
    message.set_label("label");
    message.set_correlation_id("c");
    message.mutable_acknowledge()->set_queue("acks");
    message.mutable_acknowledge()->set_on_reached(true);
  }
  return frame;
}

TEST(PutView, ShowsEveryFieldThatProtobufHasWritten) {
  const std::string bytes = full_put().SerializeAsString();
  PutView view;
  ASSERT_EQ(read_put(bytes, kMany, view), PutRead::kPut);
  EXPECT_EQ(view.request_id, 7u);
  EXPECT_EQ(view.queue, "events");
  EXPECT_EQ(view.producer, "p");
  EXPECT_EQ(view.epoch, 3u);
  EXPECT_EQ(view.first_sequence, 9u);
  ASSERT_EQ(view.messages.size(), 2u);
  const PutMessageView& message = view.messages[0];
  EXPECT_EQ(message.order_key, "room");
  EXPECT_EQ(message.source_key, "key");
  EXPECT_EQ(message.source, "xmpp");
  EXPECT_EQ(message.verdict, "pass");
  EXPECT_EQ(message.envelope, std::string_view("\0e", 2));
  EXPECT_EQ(message.body, "one");
  EXPECT_EQ(message.label, "label");
  EXPECT_EQ(message.correlation_id, "c");
  ASSERT_TRUE(message.acknowledge);
  EXPECT_EQ(message.acknowledge->queue(), "acks");
  EXPECT_TRUE(message.acknowledge->on_reached());
  EXPECT_EQ(view.messages[1].body, "");
}

TEST(PutView, NothingOfAnEarlierPutIsLeft) {
  PutView view;
  ASSERT_EQ(read_put(full_put().SerializeAsString(), kMany, view), PutRead::kPut);
  v1::QueueFrame frame;
  frame.set_request_id(8);
  frame.mutable_put()->add_messages()->set_body("b");
  const std::string bytes = frame.SerializeAsString();
  ASSERT_EQ(read_put(bytes, kMany, view), PutRead::kPut);
  EXPECT_EQ(view.queue, "");
  EXPECT_EQ(view.epoch, 0u);
  ASSERT_EQ(view.messages.size(), 1u);
  EXPECT_EQ(view.messages[0].label, "");
  EXPECT_FALSE(view.messages[0].acknowledge);
}

TEST(PutView, WhatALaterVersionAddsIsPassedOver) {
  v1::QueueFrame frame = full_put();
  const auto add = [](google::protobuf::Message& message) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(99, 5);
    message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(98, "new");
  };
  add(frame);
  add(*frame.mutable_put());
  add(*frame.mutable_put()->mutable_messages(1));
  const std::string bytes = frame.SerializeAsString();
  PutView view;
  ASSERT_EQ(read_put(bytes, kMany, view), PutRead::kPut);
  ASSERT_EQ(view.messages.size(), 2u);
  EXPECT_EQ(view.messages[1].label, "label");
}

TEST(PutView, OtherRequestsAndTwoInOneAreNotPuts) {
  PutView view;
  v1::QueueFrame other;
  other.set_request_id(1);
  other.mutable_heartbeat();
  const std::string beat = other.SerializeAsString();
  EXPECT_EQ(read_put(beat, kMany, view), PutRead::kOther);
  const std::string put = full_put().SerializeAsString();
  EXPECT_EQ(read_put(put + beat, kMany, view), PutRead::kUnreadable);
  EXPECT_EQ(read_put(beat + put, kMany, view), PutRead::kUnreadable);
  EXPECT_EQ(read_put(put + put, kMany, view), PutRead::kUnreadable);
  EXPECT_EQ(read_put("", kMany, view), PutRead::kOther);
  v1::QueueFrame answer;
  answer.mutable_receive_reply()->add_messages();
  EXPECT_EQ(read_put(answer.SerializeAsString(), kMany, view), PutRead::kUnreadable);
}

TEST(PutView, TheNumberOfAKindUnderAnotherWireTypeIsAnUnknownField) {
  const std::string put = full_put().SerializeAsString();
  for (const std::string unknown : {"\x50\x01", "\x60\x01"}) {  // 10 and 12, varints
    PutView view;
    EXPECT_EQ(read_put(put + unknown, kMany, view), PutRead::kPut);
    EXPECT_EQ(read_put(unknown + put, kMany, view), PutRead::kPut);
    EXPECT_EQ(read_put(unknown, kMany, view), PutRead::kOther);
    v1::QueueFrame frame;
    EXPECT_TRUE(frame.ParseFromString(put + unknown) && frame.has_put());
  }
}

// What a newer protocol may add, and what none may: as protobuf's parser has it.
TEST(PutView, UnknownFieldsAreReadAsStrictlyAsProtobufReadsThem) {
  using std::string_literals::operator""s;
  const std::string put = full_put().SerializeAsString();
  const auto expect = [&](const std::string& field, bool is_sound) {
    PutView view;
    v1::QueueFrame frame;
    EXPECT_EQ(frame.ParseFromString(put + field), is_sound);
    EXPECT_EQ(read_put(put + field, kMany, view) == PutRead::kPut, is_sound);
  };
  expect("\xa2\x06\x01x"s, true);                              // bytes
  expect("\xa3\x06\x08\x01\xa4\x06"s, true);                   // a group
  expect("\xa3\x06\xab\x06\xac\x06\xa4\x06"s, true);           // one in another
  expect("\xa3\x06\x08\x01\xac\x06"s, false);                  // another one's end
  expect("\xa3\x06\x08\x01"s, false);                          // no end
  expect("\xa2\x06\x80\x80\x80\x80\x80\x00"s, false);          // a size of six bytes
  expect("\xe8\xe8\xe8\xe8\xe8\xe8\xe8\xe8\x50\x50"s, false);  // a tag of nine
  expect("\x02\x00"s, false);                                  // field 0
}

TEST(PutView, ACutFrameIsNotRead) {
  const std::string bytes = full_put().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    PutView view;
    // The id stands first: what is cut behind it is no put at all.
    EXPECT_NE(read_put(std::string_view(bytes).substr(0, size), kMany, view), PutRead::kPut)
        << size;
  }
}

TEST(PutView, TextThatIsNotUtf8IsRefusedAsProtobufDoes) {
  v1::QueueFrame frame = full_put();
  std::string bytes = frame.SerializeAsString();
  bytes.replace(bytes.find("xmpp"), 4, "\xff\xfe--");
  PutView view;
  EXPECT_EQ(read_put(bytes, kMany, view), PutRead::kUnreadable);
  EXPECT_EQ(view.request_id, 7u) << "so that it can be refused";
  EXPECT_FALSE(frame.ParseFromString(bytes));
}

// Two bytes each, so a frame has room for millions of them.
TEST(PutView, MessagesBeyondTheBoundAreCountedAndTakeNoMemory) {
  v1::QueueFrame frame = full_put();
  for (int i = 0; i < 100'000; ++i) frame.mutable_put()->add_messages();
  const std::string bytes = frame.SerializeAsString();
  PutView view;
  ASSERT_EQ(read_put(bytes, 10, view), PutRead::kPut);
  EXPECT_EQ(view.messages.size(), 10u);
  EXPECT_EQ(view.message_count, 100'002u);
  EXPECT_LE(view.messages.capacity(), 16u);
}

TEST(PutView, ALargePutsMemoryIsNotKept) {
  v1::QueueFrame frame = full_put();
  for (int i = 0; i < 10'000; ++i) frame.mutable_put()->add_messages();
  PutView view;
  ASSERT_EQ(read_put(frame.SerializeAsString(), 20'000, view), PutRead::kPut);
  EXPECT_GT(view.messages.capacity(), 10'000u);
  ASSERT_EQ(read_put(full_put().SerializeAsString(), 20'000, view), PutRead::kPut);
  EXPECT_LT(view.messages.capacity(), 1'000u);
}

// As protobuf reads it: a field that comes twice is the later one.
TEST(PutView, AnAcknowledgementInPartsIsOne) {
  v1::QueueFrame frame = full_put();
  v1::PutMessage& message = *frame.mutable_put()->mutable_messages(0);
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(
      v1::PutMessage::kAcknowledgeFieldNumber, std::string("\x0a\x01z\x10\x00\x18\x01\x78\x05", 9));
  const std::string bytes = frame.SerializeAsString();
  ASSERT_TRUE(frame.ParseFromString(bytes));
  PutView view;
  ASSERT_EQ(read_put(bytes, kMany, view), PutRead::kPut);
  const v1::AcknowledgementRequest& read = *view.messages[0].acknowledge;
  const v1::AcknowledgementRequest& parsed = frame.put().messages(0).acknowledge();
  EXPECT_EQ(read.queue(), "z");
  EXPECT_EQ(read.queue(), parsed.queue());
  EXPECT_EQ(read.on_reached(), parsed.on_reached());
  EXPECT_EQ(read.on_consumed(), parsed.on_consumed());
}

}  // namespace
}  // namespace verbatim::queue
