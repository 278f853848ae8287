// QueueCoreFixture: the queues without sockets, over a disk in memory and with time that stands
// still. EventsQueueFixture: the same with words for one producer and one queue, "events".
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/frame.h"
#include "queue/queue_core.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::testing {

class QueueCoreFixture : public ::testing::Test {
 protected:
  QueueCoreFixture() {
    options_.log.directory = "/queue";
    options_.log.segment_bytes = 1024 * 1024;
    options_.message_max_bytes = 32 * 1024;
  }

  // Each peer is the connection of a client of its name.
  void open_for(const std::vector<std::string>& peers, const std::string& instance) {
    core_.reset();
    auto core = queue::QueueCore::open(disk_, clock_, options_);
    ASSERT_TRUE(core.has_value()) << core.error().to_string();
    core_ = *std::move(core);
    for (const std::string& peer : peers) hello(peer, instance);
  }
  // What a killed process and a power cut leave.
  void cut() {
    core_.reset();
    disk_.power_cut_dropping_all();
  }

  // Answers to one request, after the group has been synced.
  std::vector<v1::QueueFrame> ask(const std::string& peer, v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle(peer, base::encode_frame(frame));
    return flush();
  }
  std::vector<v1::QueueFrame> flush() {
    EXPECT_TRUE(core_->commit_group().ok());
    std::vector<v1::QueueFrame> frames;
    for (const queue::Outgoing& outgoing : core_->take_outgoing()) {
      v1::QueueFrame frame;
      EXPECT_TRUE(base::decode_frame(outgoing.frame, frame).ok());
      frames.push_back(frame);
    }
    return frames;
  }
  v1::QueueFrame ask_one(const std::string& peer, v1::QueueFrame frame) {
    const auto frames = ask(peer, std::move(frame));
    EXPECT_EQ(frames.size(), 1u);
    return frames.empty() ? v1::QueueFrame() : frames[0];
  }
  v1::QueueFrame hello(const std::string& peer, const std::string& instance = "1") {
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client("client-" + peer);
    frame.mutable_hello()->set_instance(instance);
    return ask_one(peer, frame);
  }
  static std::vector<std::string> bodies(const v1::ReceiveReply& reply) {
    std::vector<std::string> all;
    for (const auto& message : reply.messages()) all.push_back(message.body());
    return all;
  }

  FaultFileSystem disk_;
  FakeClock clock_;
  queue::CoreOptions options_;
  std::unique_ptr<queue::QueueCore> core_;
  uint64_t request_id_ = 0;
};

class EventsQueueFixture : public QueueCoreFixture {
 protected:
  EventsQueueFixture() { open(); }

  void open() { open_for({"p", "c"}, "1"); }
  void crash() {
    cut();
    open();
  }
  v1::QueueFrame open_producer(uint64_t epoch, const std::string& peer = "p") {
    v1::QueueFrame frame;
    frame.mutable_open_producer()->set_queue("events");
    frame.mutable_open_producer()->set_producer("producer");
    frame.mutable_open_producer()->set_epoch(epoch);
    return ask_one(peer, frame);
  }

  struct Message {
    std::string body;
    std::string key = "room";
    std::string source_key = {};
    std::string verdict = {};
  };
  static v1::QueueFrame put_frame(uint64_t epoch, uint64_t first_sequence,
                                  const std::vector<Message>& messages) {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue("events");
    put.set_producer("producer");
    put.set_epoch(epoch);
    put.set_first_sequence(first_sequence);
    for (const Message& message : messages) {
      v1::PutMessage* added = put.add_messages();
      added->set_body(message.body);
      added->set_order_key(message.key);
      added->set_source_key(message.source_key);
      added->set_verdict(message.verdict);
      added->set_source("source");
    }
    return frame;
  }
  v1::QueueFrame put(uint64_t epoch, uint64_t first_sequence,
                     const std::vector<Message>& messages) {
    return ask_one("p", put_frame(epoch, first_sequence, messages));
  }
  // Puts under the next number of epoch 5.
  void store(const std::vector<Message>& messages) {
    const auto known = open_producer(0).open_producer_reply();
    if (known.epoch() != 5) {
      ASSERT_TRUE(open_producer(5).has_open_producer_reply());
    }
    const uint64_t last = known.epoch() == 5 ? known.last_sequence() : 0;
    const auto reply = put(5, last + 1, messages);
    ASSERT_TRUE(reply.has_put_reply()) << reply.ShortDebugString();
  }

  static v1::QueueFrame receive_frame(int64_t max_count = 100, int64_t wait_ms = 0) {
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue("events");
    receive.set_max_count(max_count);
    receive.set_max_bytes(1 << 20);
    receive.set_lease_ms(1'000);
    receive.set_wait_ms(wait_ms);
    return frame;
  }
  v1::ReceiveReply receive(int64_t max_count = 100, const std::string& peer = "c") {
    return ask_one(peer, receive_frame(max_count)).receive_reply();
  }
  v1::QueueFrame commit(uint64_t lease_id, const std::vector<uint64_t>& ids = {},
                        const std::string& peer = "c") {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue("events");
    frame.mutable_commit()->set_lease_id(lease_id);
    for (const uint64_t id : ids) frame.mutable_commit()->add_lookup_ids(id);
    return ask_one(peer, frame);
  }
  v1::QueueFrame abort(uint64_t lease_id) {
    v1::QueueFrame frame;
    frame.mutable_abort()->set_queue("events");
    frame.mutable_abort()->set_lease_id(lease_id);
    return ask_one("c", frame);
  }
  v1::QueueInfo info() { return core_->list_queues().queues(0); }
};

}  // namespace verbatim::testing
