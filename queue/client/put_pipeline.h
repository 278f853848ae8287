// PutPipeline: what a client knows of its puts: waiting, in flight under a number, ended. No
// sockets and no threads, so that every order of answers, refusals and losses can be tested.
//
// I1 Numbers are given at sending and without gaps; a put that is withdrawn has never had one, or
//    is known not to be stored.
// I2 In flight is a queue: after a refusal nothing is sent until all that was in flight is
//    answered, then what was not stored goes back to the front of what waits, in order.
// I3 Every put ends exactly once, see QueueClient I3.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

// The names that go into every Put frame, and the bounds of one.
struct PipelineOptions {
  std::string queue;
  std::string producer;
  size_t batch_max_bytes = 256 * 1024;
  size_t batch_max_count = 512;
  size_t in_flight_max_count = 8;
};

class PutPipeline {
 public:
  explicit PutPipeline(PipelineOptions options)
      : options_(std::move(options)), in_flight_max_count_(options_.in_flight_max_count) {}

  // What the service allows in flight.
  void set_credit(int64_t count, int64_t bytes);

  void add(PutRequest request, std::chrono::nanoseconds deadline, PutCallback done);

  // The next frame to send, if there is one and it may go now; it is in flight from then on.
  // `next_request_id` is used up where a frame is given.
  std::optional<v1::QueueFrame> next_frame(std::chrono::nanoseconds now, uint64_t& next_request_id);

  // True if the answer belonged to a put in flight.
  bool on_reply(const v1::QueueFrame& frame, std::chrono::nanoseconds now);

  // --- connection ---

  // The connection is gone: nothing is sent until one of the next two.
  void on_disconnected();
  // The service knows our epoch with this last number: in flight up to it is sent again for its
  // answers; what lies above goes back to what waits.
  void on_resumed(uint64_t last_sequence);
  // A new epoch was opened; whatever was in flight is not stored as far as the service knows.
  void on_opened(uint64_t epoch);
  uint64_t epoch() const { return epoch_; }

  enum class Trouble {
    kNone,
    kResync,  // say hello and ask for the last number again
    kFenced,  // someone else uses our producer name
  };
  Trouble trouble() const { return trouble_; }

  // Ends puts past their deadline.
  void expire(std::chrono::nanoseconds now);
  // Ends all: in flight with `error` "in doubt", the rest "withdrawn".
  void end_all(StatusCode code);

  // When expire() or a held send is due; max() if never.
  std::chrono::nanoseconds next_due() const;
  // When the oldest unanswered frame was sent.
  std::optional<std::chrono::nanoseconds> oldest_sent() const;
  bool has_in_flight() const { return !in_flight_.empty(); }

  struct Ended {
    std::function<void(Result<PutOutcome>)> callback;
    Result<PutOutcome> outcome;
    size_t bytes = 0;  // released
  };
  std::vector<Ended> take_ended();

  static size_t size_of(const PutRequest& request);

 private:
  struct Put {
    v1::PutMessage message;
    PutCallback done;
    std::function<void(Result<PutOutcome>)> late;
    std::chrono::nanoseconds deadline{};
    size_t bytes = 0;
    bool is_reported = false;  // as "in doubt"
  };
  struct Batch {
    uint64_t request_id = 0;
    uint64_t first_sequence = 0;
    std::vector<Put> puts;  // their messages are in `frame`
    v1::QueueFrame frame;
    std::chrono::nanoseconds sent{};
    bool is_refused = false;
    bool is_resent = false;  // false: waits to be sent again
  };

  bool may_send(std::chrono::nanoseconds now) const;
  size_t in_flight_bytes() const;
  v1::QueueFrame make_batch(std::chrono::nanoseconds now, uint64_t request_id);
  void on_refused(Batch& batch, const v1::Refused& refused, std::chrono::nanoseconds now);
  void settle_refusals();
  void take_back(size_t first_batch);
  void end_batch(size_t index, const Status& error);
  void end(Put& put, Result<PutOutcome> outcome);

  const PipelineOptions options_;
  size_t in_flight_max_count_;
  size_t credit_bytes_ = std::numeric_limits<size_t>::max();
  bool is_connected_ = false;
  uint64_t epoch_ = 0;
  uint64_t next_sequence_ = 1;
  Trouble trouble_ = Trouble::kNone;
  std::deque<Put> waiting_;
  size_t waiting_bytes_ = 0;
  std::deque<Batch> in_flight_;
  size_t single_count_ = 0;  // so many puts go alone, to find the one that is refused
  bool is_draining_ = false;
  std::chrono::nanoseconds hold_until_{};
  std::chrono::nanoseconds next_deadline_ = std::chrono::nanoseconds::max();
  std::vector<Ended> ended_;
};

}  // namespace verbatim::queue
