// ScriptedService: the queue service played by hand, a ROUTER whose every answer the test gives.
// Heartbeats are passed over.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/zmq_socket.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::testing {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// How long the other side may take.
inline constexpr std::chrono::seconds kPatience{20};

class ScriptedService {
 public:
  ScriptedService() {
    auto socket = base::ZmqSocket::create(context_, base::ZmqType::kRouter, {});
    CHECK(socket.has_value(), "a socket is made");
    socket_ = std::make_unique<base::ZmqSocket>(*std::move(socket));
    auto bound = socket_->bind("tcp://127.0.0.1:0");
    CHECK(bound.has_value(), "the socket is bound");
    address_ = *bound;
  }

  const std::string& address() const { return address_; }

  // The next request; one without a kind if none comes in time.
  v1::QueueFrame next(milliseconds patience = kPatience) {
    const auto end = base::system_clock().monotonic() + patience;
    while (true) {
      auto frames = socket_->receive();
      CHECK(frames.has_value(), "the socket works");
      v1::QueueFrame frame;
      if (*frames) {
        peer_ = (**frames)[0];
        CHECK(base::decode_frame((**frames)[1], frame).ok(), "the client's frames are right");
        if (!frame.has_heartbeat()) return frame;
        ++heartbeat_count_;
        continue;
      }
      const auto left = end - base::system_clock().monotonic();
      if (left <= nanoseconds::zero()) return frame;
      std::vector<base::PollItem> items{{.socket = socket_.get()}};
      CHECK(base::poll(items, std::chrono::ceil<milliseconds>(left)).has_value(), "it can wait");
    }
  }

  // To the connection of the last request.
  void send(const v1::QueueFrame& frame) { send_bytes(base::encode_frame(frame)); }
  void send_bytes(const std::string& bytes) {
    CHECK(socket_->send(peer_, {bytes}).ok(), "the answer is sent");
  }
  void refuse(const v1::QueueFrame& request, v1::RefusalReason reason, int64_t retry_after_ms = 1) {
    v1::QueueFrame answer;
    answer.set_request_id(request.request_id());
    answer.mutable_refused()->set_reason(reason);
    answer.mutable_refused()->set_detail("scripted");
    answer.mutable_refused()->set_retry_after_ms(retry_after_ms);
    send(answer);
  }
  void welcome(int64_t credit_count = 256) {
    const v1::QueueFrame hello = next();
    ASSERT_TRUE(hello.has_hello()) << hello.ShortDebugString();
    answer_hello(hello, credit_count);
  }
  void answer_hello(const v1::QueueFrame& hello, int64_t credit_count = 256) {
    v1::QueueFrame answer;
    answer.set_request_id(hello.request_id());
    answer.mutable_hello_reply()->set_credit_count(credit_count);
    answer.mutable_hello_reply()->set_credit_bytes(32 * 1024 * 1024);
    answer.mutable_hello_reply()->set_message_max_bytes(1'000);
    send(answer);
  }
  // Answers the open request that must come next; before it a hello may come once more, from a
  // client that waited too long for the answer to its first.
  void answer_open(uint64_t epoch, uint64_t last_sequence) {
    v1::QueueFrame open = next();
    while (open.has_hello()) {
      answer_hello(open);
      open = next();
    }
    ASSERT_TRUE(open.has_open_producer()) << open.ShortDebugString();
    v1::QueueFrame answer;
    answer.set_request_id(open.request_id());
    auto& reply = *answer.mutable_open_producer_reply();
    reply.set_epoch(open.open_producer().epoch() != 0 ? open.open_producer().epoch() : epoch);
    reply.set_last_sequence(last_sequence);
    epoch_ = reply.epoch();
    send(answer);
  }
  void open_new() {
    welcome();
    answer_open(0, 0);
    answer_open(0, 0);
  }
  uint64_t epoch() const { return epoch_; }
  v1::QueueFrame results(const v1::QueueFrame& put) {
    v1::QueueFrame answer;
    answer.set_request_id(put.request_id());
    for (int i = 0; i < put.put().messages_size(); ++i) {
      answer.mutable_put_reply()->add_results()->set_lookup_id(put.put().first_sequence() +
                                                               static_cast<uint64_t>(i));
    }
    return answer;
  }
  void push(uint64_t request_id, uint64_t lease_id) {
    v1::QueueFrame frame;
    frame.set_request_id(request_id);
    frame.mutable_receive_reply()->set_lease_id(lease_id);
    frame.mutable_receive_reply()->add_messages()->set_lookup_id(lease_id);
    send(frame);
  }
  void settled(const v1::QueueFrame& request) {
    v1::QueueFrame answer;
    answer.set_request_id(request.request_id());
    answer.mutable_settle_reply();
    send(answer);
  }

 private:
  base::ZmqContext context_;
  std::unique_ptr<base::ZmqSocket> socket_;
  std::string address_;
  std::string peer_;
  uint64_t epoch_ = 0;
  int heartbeat_count_ = 0;
};

}  // namespace verbatim::testing
