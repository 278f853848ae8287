// HubClient: attaches one Adapter to the processor's hub and keeps it attached, for ever.
//
// Per connection: hello (with the last applied batch), welcome, settings, then batches while this
// instance is the active one; what was applied is looked up again when it becomes that. A lost
// connection, a silent hub, a refused hello are logged and tried again after a growing, jittered
// delay. Credit is one batch: memory is bounded by one in the adapter and, from a hub that does not
// keep the contract, one waiting and one coming in.
//
// I1 An answer goes out on the connection that brought the batch, or not at all: what a hub of an
//    older store epoch asked is never told to a newer one.
// I2 Heartbeats go out while the adapter is busy with a batch.
//
// Threads: run() blocks its caller, on whose thread every Adapter method is called; each connection
// has a reading and a heartbeat thread of its own. stop() may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "adapters/sdk/adapter.h"
#include "adapters/sdk/batch_assembler.h"
#include "base/status.h"

namespace verbatim::adapters {

struct HubClientOptions {
  // Name at the hub, as in the processor's configuration.
  std::string adapter;
  // Where the hub is, asked anew before each attempt; "127.0.0.1:7430".
  std::function<Result<std::string>()> address;
  // For people: program and version.
  std::string software;
  std::chrono::milliseconds reconnect_min{50};
  std::chrono::milliseconds reconnect_max{2'000};
  // From dialling to the welcome.
  std::chrono::milliseconds attach_deadline{10'000};
  // How long stop() lets a last answer travel.
  std::chrono::milliseconds stop_deadline{1'000};
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{30'000};
  BatchLimits limits;
};

class HubClient {
 public:
  // The adapter stays the caller's and outlives the client.
  HubClient(Adapter& adapter, HubClientOptions options);
  // stop() must have been called and run() have returned.
  ~HubClient();
  HubClient(const HubClient&) = delete;
  HubClient& operator=(const HubClient&) = delete;

  // Returns OK after stop(). Errors: kFailedPrecondition when the adapter's effects belong to
  // another chain of batches, which no retry can heal.
  Status run();

  // Lets a batch that the adapter has in hand come to its end, then ends run(). Safe twice and
  // before run().
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::adapters
