// ProducerSession: how a client gets, and gets back, its producer's place in a queue: ask → (open)
// → open; and what stands in the way. Free of sockets and threads.
//
// I1 An epoch is opened only where the queue knows none of ours, and above the one that it knows.
// I2 A newer epoch that is not ours means that someone else uses the name: this client is fenced
//    for good.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "queue/client/put_pipeline.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

class ProducerSession {
 public:
  // Without a producer name it has nothing to do. The pipeline outlives it.
  ProducerSession(std::string queue, std::string producer, PutPipeline& pipeline)
      : queue_(std::move(queue)), producer_(std::move(producer)), pipeline_(pipeline) {}

  // The next request of a connection that has said hello, if one is due; one at a time.
  std::optional<v1::QueueFrame> next_step(std::chrono::nanoseconds now, int64_t unix_now_ns);
  // When next_step() has one again after a refusal; max() if nothing is planned.
  std::chrono::nanoseconds next_due() const;
  void on_step(const v1::QueueFrame& answer, std::chrono::nanoseconds now);
  void on_disconnected();

  // Another client has the name: all puts end, none goes out any more.
  void fence();
  bool is_refused() const { return obstacle_ != Obstacle::kNone; }
  bool is_fenced() const { return obstacle_ == Obstacle::kFenced; }
  // Puts that were taken over before the obstacle was known end, too.
  void end_puts_if_barred();

  // Of a client that has said hello.
  ClientState state() const;

 private:
  enum class Step { kAsk, kOpen, kOpened };
  enum class Obstacle { kNone, kUnknownQueue, kNotPermitted, kFenced, kOther };

  void on_asked(const v1::OpenProducerReply& known);
  void on_refused(const v1::Refused& refused, std::chrono::nanoseconds now);

  const std::string queue_;
  const std::string producer_;
  PutPipeline& pipeline_;
  Step step_ = Step::kAsk;
  uint64_t opening_epoch_ = 0;
  uint64_t known_epoch_ = 0;
  Obstacle obstacle_ = Obstacle::kNone;
  std::string detail_;
  bool is_asked_ = false;
  std::chrono::nanoseconds hold_until_{};
};

}  // namespace verbatim::queue
