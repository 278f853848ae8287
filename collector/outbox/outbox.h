// Outbox: takes messages that no one waits for, makes them durable on our own disk, and drains them
// into the queue in order.
//
// I1 `done(OK)` is called only after the message is synced.
// I2 Messages reach the queue in the order of enqueue().
// I3 holds(key) is true from enqueue() until the queue has confirmed the last message of that key.
// I4 Disk use stays below max_bytes and one segment.
//
// A failed write or sync is final: `failed` is called once and the service must end (a later sync
// could claim what the disk does not have).
//
// Threads: any for enqueue, holds, info; one own thread writes, drains and calls `done` and the
// hooks, without a lock held.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "collector/outbox/outbox_file.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::collector {

class Outbox {
 public:
  struct Options {
    std::string directory;
    uint64_t max_bytes = 256 * 1024 * 1024;
    size_t in_flight_max_count = 256;
  };
  struct Hooks {
    // The outbox holds nothing of this order key any more.
    std::function<void(const std::string& order_key)> released;
    // The queue has refused a message for good; it is not kept.
    std::function<void(const v1::PutMessage&, const Status&)> lost;
    // The disk failed.
    std::function<void(const Status&)> failed;
    // The queue takes nothing from this client again: another one uses its name.
    std::function<void()> fenced;
  };
  using Done = std::function<void(const Status&)>;

  // Recovers what is on disk. `client` must outlive the outbox.
  static Result<std::unique_ptr<Outbox>> open(base::FileSystem& file_system, Options options,
                                              queue::QueueClient& client);
  // Stops.
  ~Outbox();

  void start(Hooks hooks);
  // Writes and syncs what was enqueued, answers it, and ends the thread. Safe twice. The client may
  // still call back afterwards.
  void stop();

  // Errors at once (`done` is not called): kResourceExhausted (full), kUnavailable (stopped or
  // failed). `done` gets OK once the message is durable here, or the disk's error.
  Status enqueue(v1::PutMessage message, Done done);

  bool holds(const std::string& order_key) const;
  v1::OutboxInfo info() const;

 private:
  struct Pending {
    v1::PutMessage message;
    Done done;
    uint64_t bytes = 0;
  };
  // What the client's callbacks write to; outlives the outbox where one comes late.
  struct Shared;

  Outbox(Options options, queue::QueueClient& client);
  void run();
  bool write_pending();
  bool settle();
  uint64_t take_answers();
  bool report_lost(uint64_t index, const Status& status);
  bool fill();
  bool put_next();
  void fail(const Status& status);

  const Options options_;
  queue::QueueClient& client_;
  Hooks hooks_;
  std::unique_ptr<OutboxFile> file_;  // the thread's own after start()
  std::deque<std::string> key_of_;    // order key of each unconfirmed message; the thread's own
  // Of take_answers(): index and error of messages refused for good; the thread's own.
  std::vector<std::pair<uint64_t, Status>> refused_;
  bool is_fenced_ = false;  // not told yet; the thread's own
  std::shared_ptr<Shared> shared_;

  mutable base::Mutex mutex_;
  std::deque<Pending> pending_ GUARDED_BY(mutex_);
  uint64_t pending_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t file_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t file_count_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, uint64_t> keys_ GUARDED_BY(mutex_);
  bool is_open_ GUARDED_BY(mutex_) = true;
  std::thread thread_;
};

}  // namespace verbatim::collector
