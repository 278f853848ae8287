// QueueClient over ZeroMQ: the real one. docs/formats/frames.md has frames and connection states.
//
// It reconnects for ever with back-off. After a loss it says hello, asks for its last number, tells
// stored puts from lost ones, sends the lost ones again, all under its epoch; a service that has
// forgotten nothing therefore stores nothing twice. Pending puts travel together while earlier ones
// are in flight, under the service's credit.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/zmq_socket.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

struct ZmqQueueClientOptions {
  // "tcp://127.0.0.1:7410" or "ipc:///path".
  std::string address;
  // Our secret key and the service's public one; empty: plain.
  std::optional<base::ZmqCurve> curve = {};
  // Stable name of the client; a second one of the same name takes the first one's leases away.
  std::string client_name;
  // Stable name for the hop numbering; empty for a client that only receives.
  std::string producer;
  std::string queue = "events";
  // Puts taken over and not ended, bytes of them; beyond it put() refuses.
  size_t memory_max_bytes = 64 * 1024 * 1024;
  // Bounds of one Put frame.
  size_t batch_max_bytes = 256 * 1024;
  size_t batch_max_count = 512;
  // Put frames unanswered at once (the service's credit bounds them too).
  size_t in_flight_max_count = 8;
  // Receives, settlements and extensions not ended; beyond it they are refused.
  size_t calls_max_count = 4'096;
  // A service silent for so long while an answer is due counts as gone.
  std::chrono::milliseconds answer_timeout{10'000};
  std::chrono::milliseconds heartbeat_interval{1'000};
  std::chrono::milliseconds retry_min{20};
  std::chrono::milliseconds retry_max{1'000};
  base::Clock* clock = &base::system_clock();
};

// Starts the client's thread, which connects; does not wait for the service. Errors:
// kInvalidArgument (options), kResourceExhausted (sockets).
Result<std::unique_ptr<QueueClient>> create_zmq_queue_client(const ZmqQueueClientOptions& options);

}  // namespace verbatim::queue
