// Broker: takes events from the sources, completes and checks them, makes them durable, and only
// then answers.
//
// I1 An awaited event is answered kAccepted only after the queue has confirmed it durable.
// I2 Events of one conversation reach the queue in the order of their submit() calls.
// I3 While the outbox holds anything of a conversation, awaited events of it wait behind it, until
//    their deadline.
// I4 Every submit() is answered exactly once, at the latest in stop().
//
// Threads: every method from any thread; submit() does not block on the queue, and on the disk only
// to note a link of a message that is to be fetched (collector/fetch).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "collector/broker/pending_event.h"
#include "collector/broker/profile.h"
#include "collector/broker/roster.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// What to say about a time in which events may have been missed.
struct GapReport {
  std::string source_name;      // of the configuration
  std::string source_protocol;  // "xcp", "grpc", "zmq"
  v1::CaptureGap gap;
};

class Broker {
 public:
  virtual ~Broker() = default;

  // Takes an event; see PendingEvent. Ownership of everything passes to the broker.
  virtual void submit(PendingEvent pending) = 0;

  // Records a capture gap, durably, in the source's own conversation; nobody waits for it.
  virtual void submit_gap(const GapReport& report) = 0;

  // Records what became of an answer after its event was durable (answered late, not answered,
  // refused by the node), in the conversation of `about`, which names source, conversation and
  // actor; `event_id` is Answer::event_id. Nobody waits for it.
  virtual void submit_outcome(const v1::Event& about, const std::string& event_id,
                              v1::VerdictOutcome::Outcome outcome, const std::string& detail) = 0;

  // The profile in force; never changes while the broker lives. Sources whose protocol has named
  // events ask it first: an event outside it is answered PASS and not submitted.
  virtual const Profile& profile() const = 0;

  // True where policies are to be asked or told about such an event; it is then archived, too.
  virtual bool has_route(std::string_view /*node*/, std::string_view /*event_name*/,
                         std::string_view /*packet_type*/) const {
    return false;
  }

  // Sessions and room occupants as far as the durable events tell; for snapshots.
  virtual Roster& roster() = 0;

  // Now + collector.event_deadline_ms, on the monotonic clock.
  virtual std::chrono::nanoseconds default_deadline() const = 0;

  virtual const base::Clock& clock() const = 0;
  // Name of this collector.
  virtual const std::string& collector_name() const = 0;
};

}  // namespace verbatim::collector
