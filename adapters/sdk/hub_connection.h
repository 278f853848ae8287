// HubConnection: one gRPC stream to the hub, from dialling to its end (peer_stream.h), which gives
// batches that are already assembled and proven. Internal to the SDK.
//
// Threads: next() and write() from one thread; stop_waiting() from any.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>

#include "adapters/sdk/batch_assembler.h"
#include "adapters/sdk/peer_stream.h"
#include "base/status.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::adapters {

// What the session's loop has to act on, in the order of arrival.
using HubInput =
    std::variant<v1::AdapterWelcome, v1::Activity, AssembledBatch, v1::BatchStateQuestion>;

class HubConnection {
 public:
  HubConnection(const std::string& address, const BatchLimits& limits);

  // Sends the hello and starts reading. Errors: kUnavailable.
  Status open(const v1::AdapterHello& hello, std::chrono::milliseconds welcome_deadline);
  // Starts the heartbeats (after the welcome), and the watch over the hub's.
  void start_heartbeat(std::chrono::milliseconds interval) { stream_.start_heartbeat(interval); }

  // Waits for the next input. Errors: kCancelled after stop_waiting(), else why the stream ended.
  Result<HubInput> next() { return stream_.next(); }
  // Errors: kUnavailable when the stream is gone.
  Status write(const v1::FromAdapter& message) { return stream_.write(message); }
  // Says that there is nothing more to send, and gives what is under way some time.
  void finish(std::chrono::milliseconds deadline) { stream_.finish(deadline); }
  // Why the stream ended; waits a moment where that is still under way, then gives `otherwise`.
  Status end_reason_or(const Status& otherwise) { return stream_.end_reason_or(otherwise); }
  // Makes next() return, now or at its next call.
  void stop_waiting() { stream_.stop_waiting(); }

 private:
  using Stream = PeerStream<v1::FromAdapter, v1::ToAdapter, HubInput>;
  Stream::Options stream_options();
  // False when the hub does not keep the contract.
  bool take(v1::ToAdapter& message);
  bool push(HubInput input);

  std::unique_ptr<v1::AdapterHub::Stub> stub_;
  BatchAssembler assembler_;  // reading thread only
  Stream stream_;             // the last member: its threads end first
};

}  // namespace verbatim::adapters
