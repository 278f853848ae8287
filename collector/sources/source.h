// Source: where events come in. One folder each: grpc, zmq, xcp.
//
// A source reads its links, decodes, hands each event to Broker::submit and answers its peer from
// the callback: "received" or PASS only after Answer::Kind::kAccepted. It bounds what it holds
// unanswered and stops reading above that.
//
// Life cycle: create → start() → stop(). Threads: start and stop from the main thread; info from
// any.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

class Source {
 public:
  virtual ~Source() = default;

  // Binds and begins to take links. Errors: kAlreadyExists or kUnavailable where the address cannot
  // be bound.
  virtual Status start() = 0;

  // Graceful: takes no new links and reads no more, waits until everything in flight is answered or
  // `patience` is over, closes the links. Safe twice and before start(). After it returns nothing
  // of the source runs and no callback of it touches freed memory, even one called later.
  virtual void stop(std::chrono::milliseconds patience) = 0;

  // What verbatimctl shows: one row a link or producer.
  virtual std::vector<v1::SourceInfo> info() const = 0;

  // Name in the configuration, for capture gaps; "grpc" and "zmq" for those two.
  virtual const std::string& name() const = 0;
  // "xcp", "grpc" or "zmq".
  virtual const std::string& protocol() const = 0;
  // The address really bound, for the ready file; empty before start().
  virtual std::string bound_address() const = 0;
};

}  // namespace verbatim::collector
