#include "queue/put_view.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::queue {
namespace {

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
  ASSERT_TRUE(read_put(bytes, view));
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
  ASSERT_TRUE(read_put(full_put().SerializeAsString(), view));
  v1::QueueFrame frame;
  frame.set_request_id(8);
  frame.mutable_put()->add_messages()->set_body("b");
  const std::string bytes = frame.SerializeAsString();
  ASSERT_TRUE(read_put(bytes, view));
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
  ASSERT_TRUE(read_put(bytes, view));
  ASSERT_EQ(view.messages.size(), 2u);
  EXPECT_EQ(view.messages[1].label, "label");
}

TEST(PutView, OtherRequestsAndTwoInOneAreNotPuts) {
  PutView view;
  v1::QueueFrame other;
  other.set_request_id(1);
  other.mutable_heartbeat();
  EXPECT_FALSE(read_put(other.SerializeAsString(), view));
  const std::string put = full_put().SerializeAsString();
  EXPECT_FALSE(read_put(put + other.SerializeAsString(), view));
  EXPECT_FALSE(read_put(put + put, view));
  EXPECT_FALSE(read_put("", view));
}

TEST(PutView, ACutFrameIsNotRead) {
  const std::string bytes = full_put().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    PutView view;
    // The id stands first: what is cut behind it is no put at all.
    EXPECT_FALSE(read_put(std::string_view(bytes).substr(0, size), view)) << size;
  }
}

TEST(PutView, TextThatIsNotUtf8IsRefusedAsProtobufDoes) {
  v1::QueueFrame frame = full_put();
  std::string bytes = frame.SerializeAsString();
  bytes.replace(bytes.find("xmpp"), 4, "\xff\xfe--");
  PutView view;
  EXPECT_FALSE(read_put(bytes, view));
  EXPECT_FALSE(frame.ParseFromString(bytes));
}

}  // namespace
}  // namespace verbatim::queue
