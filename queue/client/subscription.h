// Subscription: push under credit on the client's side, free of sockets and threads: when a
// Subscribe frame is due, which answers are its own, when it ends.
//
// I1 A new connection is told of the subscription again.
// I2 What comes after the end, or belongs to nothing, is to be given back untried: no lease is left
//    to its timeout.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

class Subscription {
 public:
  explicit Subscription(std::string queue) : queue_(std::move(queue)) {}

  void start(const SubscribeOptions& options, LeaseCallback on_lease);
  void end();
  void on_disconnected();

  // The next frame to send, if one is due.
  std::optional<std::string> next_frame(std::chrono::nanoseconds now, uint64_t& next_request_id);
  // When next_frame() has one after a refusal; max() if nothing is planned.
  std::chrono::nanoseconds next_due() const;

  enum class Answer {
    kNone,      // nothing to do with it, or nothing to do
    kPush,      // a lease for the callback
    kEnded,     // refused for good: the callback gets the error, and this has ended
    kGiveBack,  // a lease that nobody waits for (I2)
  };
  Answer on_reply(const v1::QueueFrame& frame, std::chrono::nanoseconds now);
  const LeaseCallback& callback() const { return on_lease_; }

 private:
  std::string queue_;
  SubscribeOptions options_;
  LeaseCallback on_lease_;  // empty: ended
  uint64_t request_id_ = 0;
  bool must_tell_ = false;
  bool is_known_ = false;  // the service has been told of a credit that is not 0
  std::chrono::nanoseconds hold_until_{};
};

// The messages of an answer, moved out of it.
Lease take_lease(v1::ReceiveReply& reply);

}  // namespace verbatim::queue
