// IntakeWorker: takes the messages of one queue into staging, for as long as it runs.
//
// I1 A lease is committed only after stage() has returned: what is lost in between comes again and
//    is known by its lookup id.
// I2 It never gives up: a queue that is away is asked again with a growing delay, for ever. Above
//    a mark (staging_marks.h) it takes nothing, until staging is below the low one.
// I3 Only a failure of staging ends it.
// I4 The next lease is asked for while one is staged, and may have what is behind it under the same
//    order keys. So leases are staged in the order in which they came, and one that is not staged
//    is given back before any is asked for.
//
// Life cycle: create → start → stop. Threads: one of its own; everything else from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "processor/staging/staging.h"
#include "processor/staging_marks.h"
#include "queue/client/queue_client.h"

namespace verbatim::processor {

struct IntakeOptions {
  std::string queue;
  queue::ReceiveOptions receive;
  std::chrono::milliseconds retry_min{20};
  std::chrono::milliseconds retry_max{1'000};
};

// Where the queue is reached now (it may move when it is configured as "@queue"), and how.
struct QueueDoor {
  std::function<Result<std::string>()> address;
  std::function<Result<std::unique_ptr<queue::QueueClient>>(const std::string& address)> connect;
};

class IntakeWorker {
 public:
  // `staging` and `marks` outlive the worker. `on_staged` is called after each durable intake.
  IntakeWorker(Staging& staging, StagingMarks& marks, IntakeOptions options, QueueDoor door,
               std::function<void()> on_staged);
  ~IntakeWorker();

  void start();
  // Safe twice and before start; returns when its thread has ended.
  void stop();

  // A sentence for people, empty when all is well.
  std::string notice() const;

 private:
  void run();
  // One receive and all that follows. Errors: the queue is away.
  Status take_once();
  queue::ReceiveOptions behind(uint64_t lease_id) const;
  void give_back_next();
  // Does not wait for the answer: what is not committed comes again, and is known.
  Status commit(queue::QueueClient& client, const queue::Lease& lease);
  // There is no room for them: they go out again, and this delivery does not count.
  Status give_back(queue::QueueClient& client, const queue::Lease& lease);
  Status ensure_client();
  bool is_full();
  bool wait(std::chrono::milliseconds time);
  void set_notice(std::string notice);

  Staging& staging_;
  StagingMarks& marks_;
  const IntakeOptions options_;
  const QueueDoor door_;
  const std::function<void()> on_staged_;
  StagingMarks::State mark_ = StagingMarks::State::kTakes;
  std::string address_;
  // Asked for and not taken yet; of client_.
  std::future<Result<queue::Lease>> next_;
  std::thread thread_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::string notice_ GUARDED_BY(mutex_);
  // Set by the thread, under the mutex because stop() uses it.
  std::shared_ptr<queue::QueueClient> client_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::processor
