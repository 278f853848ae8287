// PolicyConnection: one gRPC stream to the policy broker, from dialling to its end (peer_stream.h).
// Internal to the SDK.
//
// Questions and notices that nobody has taken yet are bounded: beyond the bound the stream is not
// read, so that the broker's credit and gRPC's own flow control hold the rest back.
//
// Threads: next() and write() from one thread; stop_waiting() from any.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>

#include "adapters/sdk/peer_stream.h"
#include "base/status.h"
#include "verbatim/v1/policy.grpc.pb.h"

namespace verbatim::adapters {

struct ArrivedQuestion {
  v1::PolicyQuestion question;
  std::chrono::steady_clock::time_point deadline;
};

// What the session's loop has to act on, in the order of arrival.
using PolicyInput =
    std::variant<v1::PolicyWelcome, v1::PolicyActivity, ArrivedQuestion, v1::PolicyNotice>;

class PolicyConnection {
 public:
  PolicyConnection(const std::string& address, size_t inbox_max_count);

  // Sends the hello and starts reading. Errors: kUnavailable.
  Status open(const v1::PolicyHello& hello, std::chrono::milliseconds welcome_deadline);
  void start_heartbeat(std::chrono::milliseconds interval) { stream_.start_heartbeat(interval); }
  // Waits for the next input. After stop_waiting() it gives what had come in before, then
  // kCancelled; after the end of the stream why it ended.
  Result<PolicyInput> next() { return stream_.next(); }
  Status write(const v1::FromPolicy& message);
  void finish(std::chrono::milliseconds deadline) { stream_.finish(deadline); }
  Status end_reason_or(const Status& otherwise) { return stream_.end_reason_or(otherwise); }
  void stop_waiting() { stream_.stop_waiting(); }

 private:
  using Stream = PeerStream<v1::FromPolicy, v1::ToPolicy, PolicyInput>;
  Stream::Options stream_options();
  bool take(v1::ToPolicy& message);

  const size_t inbox_max_count_;
  std::unique_ptr<v1::PolicyBroker::Stub> stub_;
  Stream stream_;  // the last member: its threads end first
};

}  // namespace verbatim::adapters
