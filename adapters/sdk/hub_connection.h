// HubConnection: one gRPC stream to the hub, from dialling to its end. Internal to the SDK.
//
// A reading thread turns what comes in into a short inbox (batches already assembled and proven); a
// heartbeat thread writes heartbeats and ends a connection whose hub is silent.
//
// Threads: next() and write() from one thread; stop_waiting() from any.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "adapters/sdk/batch_assembler.h"
#include "base/mutex.h"
#include "base/status.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::adapters {

// What the session's loop has to act on, in the order of arrival.
using HubInput =
    std::variant<v1::AdapterWelcome, v1::Activity, AssembledBatch, v1::BatchStateQuestion>;

class HubConnection {
 public:
  HubConnection(const std::string& address, const BatchLimits& limits);
  // Cancels and joins.
  ~HubConnection();
  HubConnection(const HubConnection&) = delete;
  HubConnection& operator=(const HubConnection&) = delete;

  // Sends the hello and starts reading. Errors: kUnavailable.
  Status open(const v1::AdapterHello& hello, std::chrono::milliseconds welcome_deadline);
  // Starts the heartbeats (after the welcome), and the watch over the hub's.
  void start_heartbeat(std::chrono::milliseconds interval);

  // Waits for the next input. Errors: kCancelled after stop_waiting(), else why the stream ended.
  Result<HubInput> next();
  // Errors: kUnavailable when the stream is gone.
  Status write(const v1::FromAdapter& message);
  // Says that there is nothing more to send, and gives what is under way some time.
  void finish(std::chrono::milliseconds deadline);

  // Why the stream ended; waits a moment where that is still under way, then gives `otherwise`.
  Status end_reason_or(const Status& otherwise);

  // Makes next() return, now or at its next call.
  void stop_waiting();

 private:
  void read_loop();
  // False when the hub does not keep the contract: the reason is in end_reason_.
  bool take(v1::ToAdapter& message);
  bool push(HubInput input);
  void end_with(Status reason);
  // Before the welcome it only watches.
  void watch(std::chrono::milliseconds interval, bool has_welcome);
  void heartbeat_loop(std::chrono::milliseconds interval, bool has_welcome);
  int64_t now_ms() const;

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AdapterHub::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromAdapter, v1::ToAdapter>> stream_;

  BatchAssembler assembler_;  // reading thread only
  base::Mutex write_mutex_;   // one writer at a time
  bool is_writing_over_ GUARDED_BY(write_mutex_) = false;
  std::atomic<int64_t> last_heard_ms_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<HubInput> inbox_ GUARDED_BY(mutex_);
  Status end_reason_ GUARDED_BY(mutex_);
  bool has_ended_ GUARDED_BY(mutex_) = false;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  bool is_heartbeat_over_ GUARDED_BY(mutex_) = false;

  std::thread reader_;
  std::thread heartbeat_;
};

}  // namespace verbatim::adapters
