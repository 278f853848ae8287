// PutPipeline: hop numbering on the producer's side, free of sockets and threads: batches, what is
// in flight, what must be sent again under which number, and each put's end.
//
// I1 Numbers are given to batches in the order of the puts, without gaps; a number is used again
//    only for what is known not to be stored.
// I2 After a refusal nothing new is sent until everything in flight is answered; then all that was
//    refused goes back to the front of what waits.
// I3 Every put ends exactly once, see QueueClient I3.
// I4 An answer that belongs to nothing in flight, or to what is answered already, changes nothing.
// I5 What the queue has said that it has is never sent under another number nor forgotten; where it
//    will not say again how it answered, the put ends in doubt.
// I6 Where the queue has forgotten our epoch, what it has not refused may be stored: it ends in
//    doubt. A put with a source key is sent anew instead, I5 or not: the queue knows it by that.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
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

// A message on its way, encoded.
struct PipelinePut {
  PipelinePut(const PutRequest& request, std::chrono::nanoseconds until, PutCallback callback,
              PutCallback late_callback);

  // What it holds of the client's memory.
  size_t size() const { return message.size() + kOverheadBytes; }

  std::string message;  // encode_put_message()
  std::chrono::nanoseconds deadline;
  PutCallback done;
  PutCallback late;
  bool has_source_key = false;
  bool is_reported = false;  // as "in doubt"

 private:
  static constexpr size_t kOverheadBytes = 64;
};

class PutPipeline {
 public:
  explicit PutPipeline(PipelineOptions options)
      : options_(std::move(options)), in_flight_max_count_(options_.in_flight_max_count) {}

  // What the service allows in flight.
  void set_credit(int64_t count, int64_t bytes);
  size_t in_flight_max_count() const { return in_flight_max_count_; }

  void add(PipelinePut put);

  // The next frame to send, whole, if there is one and it may go now; it is in flight from then on.
  // `next_request_id` is used up where a frame is given.
  std::optional<std::string> next_frame(std::chrono::nanoseconds now, uint64_t& next_request_id);

  // True if the answer belonged to a put in flight.
  bool on_reply(const v1::QueueFrame& frame, std::chrono::nanoseconds now);

  // --- connection ---

  // The connection is gone: nothing is sent until one of the next two.
  void on_disconnected();
  // The service knows our epoch with this last number: in flight up to it is sent again for its
  // answers; what lies above goes back to what waits.
  void on_resumed(uint64_t last_sequence);
  // A new epoch was opened, because the service knew none of ours: I6.
  void on_opened(uint64_t epoch);
  uint64_t epoch() const { return epoch_; }

  enum class Trouble {
    kNone,
    kResync,  // say hello and ask for the last number again
    kFenced,  // someone else uses our producer name
  };
  Trouble trouble() const { return trouble_; }

  // Why puts wait though the service answers.
  enum class Hold { kNone, kFull, kPaused };
  Hold hold() const { return hold_; }

  // Why nothing can be sent, for those that end meanwhile; empty: the service is away.
  void set_obstacle(std::string why) { obstacle_ = std::move(why); }
  // Ends puts past their deadline.
  void expire(std::chrono::nanoseconds now);
  // Ends all with `code`: in flight "in doubt", the rest "withdrawn".
  void end_all(StatusCode code, std::string_view why);

  // How many more puts, or bytes of them, make next_frame() give one, if no answer comes before:
  // who waits for work need not be woken earlier. 1 where it cannot be told.
  struct Wanted {
    size_t count = 1;
    size_t bytes = 1;
  };
  Wanted wanted() const;

  // When expire() or a held send is due; max() if never.
  std::chrono::nanoseconds next_due() const;
  // When the oldest unanswered frame was sent.
  std::optional<std::chrono::nanoseconds> oldest_sent() const;

  struct Ended {
    PutCallback callback;
    Result<PutOutcome> outcome;
    size_t bytes = 0;  // released
  };
  // What ended since the last call; `ended` is emptied and gives its memory.
  void take_ended(std::vector<Ended>& ended);

 private:
  struct Batch {
    uint64_t request_id = 0;
    uint64_t first_sequence = 0;
    std::vector<PipelinePut> puts;
    size_t bytes = 0;
    std::chrono::nanoseconds sent{};
    bool is_refused = false;
    bool is_sent = true;     // false: waits to be sent again
    bool is_stored = false;  // the queue has said so; only its answer is wanted
    // The queue has refused it, so neither it nor what is behind it is stored.
    bool is_known_lost = false;
  };

  bool may_send(std::chrono::nanoseconds now) const;
  // Puts in flight.
  size_t in_flight_count() const;
  void make_batch();
  std::string encode(const Batch& batch) const;
  void on_results(Batch& batch, const v1::PutReply& reply);
  void on_refused(Batch& batch, const v1::Refused& refused, std::chrono::nanoseconds now);
  void refuse_for_good(Batch& batch, const Status& error);
  void end_stored(std::deque<Batch>::iterator batch, const v1::Refused& refused);
  void settle_refusals();
  void take_back(size_t first_batch);
  void end_forgotten();
  void end(PipelinePut& put, Result<PutOutcome> outcome);
  std::string withdrawn() const;

  const PipelineOptions options_;
  size_t in_flight_max_count_;
  size_t credit_bytes_ = std::numeric_limits<size_t>::max();
  bool is_connected_ = false;
  std::string obstacle_;
  uint64_t epoch_ = 0;
  uint64_t next_sequence_ = 1;
  Trouble trouble_ = Trouble::kNone;
  std::deque<PipelinePut> waiting_;
  size_t waiting_bytes_ = 0;
  std::deque<Batch> in_flight_;
  size_t in_flight_bytes_ = 0;
  size_t single_count_ = 0;  // so many puts go alone, to find the one that is refused
  bool is_draining_ = false;
  Hold hold_ = Hold::kNone;
  std::chrono::nanoseconds hold_until_{};
  std::chrono::nanoseconds next_deadline_ = std::chrono::nanoseconds::max();
  std::vector<Ended> ended_;
};

}  // namespace verbatim::queue
