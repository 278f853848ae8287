// ProducerSession: one connection of a numbered producer, whatever carries it (gRPC, ZeroMQ).
// ingest.proto is the contract.
//
// I1 Each event is answered once on the connection it came in on, in the order of arrival.
// I2 "Accepted" is said only of what is durable in the queue.
// I3 At most credit_events are unanswered; who sends more is told so and the session ends.
//
// The transport hands requests in with on_request(), one at a time, and fetches replies with
// next_reply() when `notify` has told it that there are some. Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "collector/broker/broker.h"
#include "collector/sources/producer.h"
#include "verbatim/v1/ingest.pb.h"

namespace verbatim::collector {

inline constexpr int kBatchMaxEvents = 65'536;
inline constexpr int kBatchMaxBytes = 8 * 1024 * 1024;
// Bound of a transport's frame: a full batch and what is around it.
inline constexpr int kRequestMaxBytes = kBatchMaxBytes + 64 * 1024;
inline constexpr size_t kProducersMaxCount = 1'024;
inline constexpr std::chrono::seconds kHelloPatience{10};

// All producers that one source has seen. Threads: any.
class ProducerBook {
 public:
  explicit ProducerBook(const base::Clock& clock) : clock_(clock) {}
  // Null where kProducersMaxCount are attached already.
  std::shared_ptr<Producer> find_or_add(const std::string& name);
  std::vector<v1::SourceInfo> info() const;

 private:
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Producer>> producers_ GUARDED_BY(mutex_);
};

class ProducerSession : public std::enable_shared_from_this<ProducerSession> {
 public:
  struct Options {
    Broker* broker = nullptr;
    ProducerBook* book = nullptr;
    std::string protocol;  // "grpc", "zmq"
    std::string node;      // what to write into source.node where the producer left it empty
    int64_t credit_events = 65'536;
    // An event unanswered for so long is answered UNAVAILABLE; it stays under way.
    std::chrono::milliseconds event_deadline{20'000};
  };
  // `notify`: next_reply() has something, or end_status() is set. Called without locks held, on any
  // thread, also inside on_request().
  ProducerSession(Options options, std::function<void()> notify);

  // Takes one message of the producer. An error ends the session: INVALID_ARGUMENT (no hello, a
  // second one, numbers out of range), RESOURCE_EXHAUSTED (beyond the credit, too many producers),
  // UNAVAILABLE (there is no room for what a restart of the producer means: try again).
  Status on_request(v1::SendRequest request);
  // Nothing more comes: the producer has half-closed (OK), or we read no more (UNAVAILABLE). The
  // session ends with `status` once everything is answered.
  void end_when_idle(const Status& status);
  // The transport is gone, for this reason; nothing is notified any more.
  void on_gone(const std::string& reason);

  // The next reply, where there is one; several events are answered in one.
  std::optional<v1::SendReply> next_reply();
  // Set once the session is to end: that of end_when_idle(), ABORTED where a newer connection of
  // the producer took over, DEADLINE_EXCEEDED where no hello came.
  std::optional<Status> end_status() const;

  // Answers what has waited too long; called every 100 ms or so.
  void tick();
  // Answers everything that waits with UNAVAILABLE.
  void expire_all();
  bool is_idle() const;

 private:
  friend class Producer;

  struct Slot {
    uint64_t sequence = 0;
    std::chrono::nanoseconds deadline{0};
    std::optional<Answer> answer;
  };

  void resolve(uint64_t slot, const Answer& answer);
  void end(const Status& status);
  Status on_hello(const v1::ProducerHello& hello);
  Status close_orphans();
  Status on_batch(v1::EventBatch batch);
  void take_event(uint64_t sequence, uint64_t slot, v1::Event event);
  void expire(std::chrono::nanoseconds now);

  const Options options_;
  const std::function<void()> notify_;
  const std::chrono::nanoseconds created_;

  // Set by hello; read by the thread of on_request only.
  std::shared_ptr<Producer> producer_;
  uint64_t epoch_ = 0;

  mutable base::Mutex mutex_;
  bool is_welcome_due_ GUARDED_BY(mutex_) = false;
  bool has_hello_ GUARDED_BY(mutex_) = false;
  v1::ProducerWelcome welcome_ GUARDED_BY(mutex_);
  std::deque<Slot> slots_ GUARDED_BY(mutex_);
  uint64_t first_slot_ GUARDED_BY(mutex_) = 0;  // number of slots_[0]
  std::optional<Status> idle_status_ GUARDED_BY(mutex_);
  bool is_gone_ GUARDED_BY(mutex_) = false;
  std::optional<Status> end_status_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::collector
