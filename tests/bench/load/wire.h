// Wire: one client connection of the load generator. It speaks QueueFrame itself, so that the very
// same bytes go to the queue and to the null queue, and costs as little as it can.
//
// The null queue answers everything with an empty put reply without a number; answers are therefore
// matched by their order, and the number is checked where there is one.
//
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <zmq.hpp>

#include "verbatim/v1/queue.pb.h"

namespace verbatim::bench {

using SteadyTime = std::chrono::steady_clock::time_point;

class Wire {
 public:
  // Connects and says hello as `client`; returns when that is answered.
  Wire(zmq::context_t& context, const std::string& address, const std::string& client);

  // Opens a new epoch of this producer and gives it.
  uint64_t open_producer(const std::string& queue, const std::string& producer);

  // Gives the frame its request_id and sends it.
  uint64_t send(v1::QueueFrame& frame);
  // Takes an answer if there is one. A refusal ends the process: no case expects one.
  bool take(v1::QueueFrame& answer);
  // Waits for one; ends the process after 30 s without.
  void wait(v1::QueueFrame& answer);
  // The same until a point of time; false: there is none.
  bool wait_until(v1::QueueFrame& answer, SteadyTime until);

  zmq::socket_t& socket() { return socket_; }

 private:
  void read(const zmq::message_t& message, v1::QueueFrame& answer) const;

  zmq::socket_t socket_;
  uint64_t next_id_ = 1;
};

}  // namespace verbatim::bench
