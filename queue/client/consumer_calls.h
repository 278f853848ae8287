// ConsumerCalls: receives, settlements and extensions on the client's side, free of sockets and
// threads: what waits for the connection or for credit, what is sent and unanswered, each call's
// end.
//
// I1 Every call ends exactly once: with its answer, or with an error.
// I2 Calls are sent in the order in which they were made, never twice: a lease is not known to
//    another connection, so what was sent over a lost one is in doubt (kUnavailable).
// I3 An answer to nothing that is unanswered changes nothing.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

struct ConsumerCall {
  using Callback = std::function<void(Result<v1::QueueFrame>)>;

  v1::QueueFrame frame;
  // How long its answer may take beyond the usual time.
  std::chrono::milliseconds wait{};
  // When it is given up for want of a connection.
  std::chrono::nanoseconds connect_until{};
  Callback done;
};

// What a refusal means to a consumer, see QueueClient.
Status status_of(const v1::Refused& refused);
v1::QueueFrame to_frame(const Settlement& settlement, const std::string& queue);

class ConsumerCalls {
 public:
  explicit ConsumerCalls(std::chrono::milliseconds answer_timeout)
      : answer_timeout_(answer_timeout) {}

  // Calls that the service lets be unanswered at once.
  void set_credit(int64_t count) {
    sent_max_count_ = static_cast<size_t>(std::max<int64_t>(count, 1));
  }

  void add(ConsumerCall call) { waiting_.push_back(std::move(call)); }

  // The next frame to send; `next_request_id` is used up where one is given.
  std::optional<std::string> next_frame(std::chrono::nanoseconds now, uint64_t& next_request_id);
  // True if the answer belonged to a call; it has taken the frame then.
  bool on_reply(v1::QueueFrame& frame);

  // Ends what was sent; what waits goes on waiting.
  void on_disconnected();
  // Ends what waits for a connection for too long; for a client that is not connected, and says why
  // where that is known.
  void expire(std::chrono::nanoseconds now, const std::string& why);
  void end_all(const Status& error);

  bool is_overdue(std::chrono::nanoseconds now) const;
  bool has_sent() const { return !sent_.empty(); }

  struct Ended {
    ConsumerCall::Callback callback;
    Result<v1::QueueFrame> answer;
  };
  // What ended since the last call; `ended` is emptied and gives its memory.
  void take_ended(std::vector<Ended>& ended);

 private:
  struct Sent {
    ConsumerCall::Callback done;
    std::chrono::nanoseconds due{};
  };

  const std::chrono::milliseconds answer_timeout_;
  size_t sent_max_count_ = 1;
  std::deque<ConsumerCall> waiting_;
  std::unordered_map<uint64_t, Sent> sent_;
  std::vector<Ended> ended_;
};

}  // namespace verbatim::queue
