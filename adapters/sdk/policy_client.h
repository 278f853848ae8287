// PolicyClient: attaches one Policy to the collector's policy broker and keeps it attached, for
// ever.
//
// Per connection: hello, welcome, credit, then questions while this instance is the active one. A
// lost connection, a silent broker, a refused hello are logged and tried again after a growing,
// jittered delay.
//
// I1 Each question gets exactly one answer, on the connection that brought it, or none where that
//    connection is gone.
// I2 Heartbeats go out while the policy is busy with a question.
// I3 At most twice the credit of questions and notices is held in memory.
//
// Threads: run() blocks its caller, on whose thread the policy is asked; each connection has a
// reading and a heartbeat thread of its own. stop() may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "adapters/sdk/policy.h"
#include "base/status.h"

namespace verbatim::adapters {

struct PolicyClientOptions {
  // Name of the compliance server under which it is registered.
  std::string policy;
  // Where the broker is, asked anew before each attempt; "127.0.0.1:7423".
  std::function<Result<std::string>()> address;
  // For people: program and version.
  std::string software;
  // Questions that may be open at once.
  int credit = 1024;
  // Events of one conversation may be evaluated out of order: nothing depends on those before.
  bool is_order_free = false;
  std::chrono::milliseconds reconnect_min{50};
  std::chrono::milliseconds reconnect_max{2'000};
  // From dialling to the welcome.
  std::chrono::milliseconds attach_deadline{10'000};
  // How long stop() lets the last answers travel.
  std::chrono::milliseconds stop_deadline{1'000};
};

class PolicyClient {
 public:
  // The policy stays the caller's and outlives the client.
  PolicyClient(Policy& policy, PolicyClientOptions options);
  // stop() must have been called and run() have returned.
  ~PolicyClient();
  PolicyClient(const PolicyClient&) = delete;
  PolicyClient& operator=(const PolicyClient&) = delete;

  // Returns after stop().
  void run();

  // Answers what has come in so far, then ends run(). Safe twice and before run().
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::adapters
