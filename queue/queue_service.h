// QueueService: the queues on a ZeroMQ ROUTER. One thread owns the socket and the QueueCore, and
// writes small groups itself where the disk is fast; a second one writes the others.
//
// I1 A refused send is never ignored: a full peer is tried again, a gone one gives its leases back.
// I2 A failed write ends the service: no answer leaves after it.
//
// Life cycle: start() → stop(). Threads: call(), failure() and stop() from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/zmq_socket.h"
#include "queue/log_writer.h"
#include "queue/queue_core.h"

namespace verbatim::queue {

struct QueueServiceOptions {
  CoreOptions core;
  std::string listen = "tcp://127.0.0.1:0";
  // The service's secret key and the keys that may come in; empty: plain.
  std::optional<base::ZmqCurve> curve;
  // An idle log gets a mark after so long, so that damage can be told from an unfinished end.
  std::chrono::milliseconds mark_after{100};
  // Replies held for one peer that does not read; beyond it the peer counts as gone.
  size_t unsent_max_bytes = 64 * 1024 * 1024;
#if defined(VERBATIM_FAULT_POINTS)
  // Tests: answers are lost on purpose where this says so.
  std::function<bool()> loses_answer;
#endif
};

class QueueService {
 public:
  // Recovers the log and listens. Errors: those of QueueCore::open and of binding.
  static Result<std::unique_ptr<QueueService>> start(base::FileSystem& file_system,
                                                     base::Clock& clock,
                                                     const QueueServiceOptions& options);
  // Stops.
  ~QueueService();

  const std::string& bound_endpoint() const { return bound_endpoint_; }

  // Refuses new work, finishes the open group, sends its replies, writes the final mark. Safe
  // twice.
  void stop();

  // Runs `work` on the core's thread and waits. Errors: kUnavailable (stopped or failed).
  Status call(const std::function<void(QueueCore&)>& work);
  // The same, and waits until everything that `work` appended is durable.
  Status change(const std::function<void(QueueCore&)>& work);

  // Why the service ended by itself; OK while it runs.
  Status failure() const;

  // Replies that could not be delivered.
  uint64_t dropped_count() const { return dropped_count_.load(); }
  // Connections that were refused before they could ask for anything.
  base::ZmqRefusals refused_connections() const;

 private:
  struct Call {
    const std::function<void(QueueCore&)>* work = nullptr;
    bool must_be_durable = false;
    bool is_done = false;
    bool was_run = false;
  };
  Status run_call(Call& call);

  QueueService(base::Clock& clock, const QueueServiceOptions& options,
               std::unique_ptr<QueueCore> core);
  Status listen();
  void run();
  void read_frames();
  void read_frame(const base::ZmqMessage& message);
  void run_calls();
  void finish_calls(std::vector<Call*>& calls);
  void write_log();
  void send_replies();
  bool send(Outgoing& outgoing);
  void drop(const Outgoing& outgoing);
  void retry_unsent();
  void fail(Status status);
  void finish();

  base::Clock& clock_;
  const QueueServiceOptions options_;
  std::unique_ptr<QueueCore> core_;
  base::ZmqContext context_;
  std::unique_ptr<base::ZmqSocket> socket_;
  base::ZmqMessage message_;
  std::string user_;  // of the message at hand; its memory is used again
  std::string bound_endpoint_;
  base::Waker waker_;
  std::unique_ptr<LogWriter> writer_;

  struct Unsent {
    std::deque<Outgoing> outgoing;
    size_t bytes = 0;
  };
  std::map<std::string, Unsent> unsent_;
  std::chrono::nanoseconds last_group_{};

  bool is_written_here(const LogGroup& group) const;
  void on_written(const LogGroup& group);
  // What a small group takes, smoothed.
  std::chrono::nanoseconds sync_time_{};
  // Company: clients that were just answered usually ask again at once; on a slow disk a small
  // group waits for them for a part of a sync's time, so that one sync serves all of them.
  bool waits_for_company() const;
  std::chrono::nanoseconds submitted_{};
  std::chrono::nanoseconds company_until_{};
  int64_t expected_count_ = 0;
  std::atomic<uint64_t> dropped_count_{0};

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  // Calls whose records are in the open group, and in the one on its way.
  std::vector<Call*> calls_behind_open_;
  std::vector<Call*> calls_behind_flight_;
  std::deque<Call*> calls_ GUARDED_BY(mutex_);
  Status failure_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  base::ZmqRefusals last_refusals_ GUARDED_BY(mutex_){};
  bool has_ended_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::queue
