// PendingEvent: what a source hands to the broker, and Answer: what it hears back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "collector/policy/policy_question.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// What became of an event. Exactly one Answer is given for each PendingEvent.
struct Answer {
  enum class Kind {
    // Awaited: durable in the queue. Not awaited: durable in the outbox, from where it reaches the
    // queue in its order.
    kAccepted,
    // The event itself is wrong; sending it again will not help. `reason` says what.
    kRefused,
    // Not durable in time: the act must not happen. `cause` says which.
    kError,
  };
  enum class Cause {
    kNone,
    kTooLarge,     // with kRefused: larger than the queue's message limit
    kFull,         // with kError: the queue or our memory is full; see retry_after
    kUnavailable,  // with kError: the queue does not answer, or we are stopping
    kDeadline,     // with kError: not durable before the event's deadline
  };

  Kind kind = Kind::kError;
  Cause cause = Cause::kNone;
  // kAccepted: the queue had the source key before; `verdict` is that of the first time.
  bool is_repeat = false;
  // kAccepted: the decision to answer. PASS where no policy was asked.
  v1::Verdict verdict;
  // kAccepted with DECISION_PASS_CHANGED: the stanza that is delivered instead.
  std::string changed_raw;
  // kAccepted with DECISION_HANDLE or DECISION_ERROR: what a policy would have the sender told.
  std::string text_for_sender;
  // kAccepted: Event.id of what was stored now; of no meaning for a repeat.
  std::string event_id;
  // kRefused and kError: for people ("body: not set"); never chat text, names or addresses.
  std::string reason;
  // kError with kFull or kUnavailable: when to try again.
  std::chrono::milliseconds retry_after{0};
};

struct PendingEvent {
  // What the source knows: source (name, node, protocol, raw_event), source_key (left unset, the
  // broker makes one for an event of its own), source_time, conversation (kind and address, name),
  // actor and others (address, session, nickname, display name, e-mail), phase, texts, references,
  // raw, body. The broker overwrites the rest.
  v1::Event event;

  // True: someone waits for the answer, so the event goes straight to the queue and never into the
  // outbox. False: fire-and-forget; it goes through the outbox.
  bool is_awaited = true;

  // Monotonic time (Clock::monotonic) by which `done` is called for an awaited event; unset: never
  // withdrawn, answered when the queue answers or the broker stops. Broker::default_deadline().
  std::optional<std::chrono::nanoseconds> deadline;

  // True where the sender sends the event again, under the same source key, after an error. Then an
  // event that becomes durable after its error needs no VerdictOutcome.
  bool is_resent_after_error = false;

  // For policies (docs/policies.md), from sources whose protocol has named events. JSM events: the
  // packet type.
  std::string packet_type;
  // True where the sender takes nothing but PASS (reply classes R2 to R4).
  bool is_pass_only = false;
  // True where it has happened, or goes on whatever is answered.
  bool has_happened = false;
  // False: `event` is the raw input only. Where a policy would have to decide, it is refused.
  bool is_understood = true;
  // What of Event.raw policies see; null: all of it.
  StanzaOf stanza_of = nullptr;
  // How a policy's change becomes the event's; empty: changes are not allowed.
  ApplyChange apply_change = {};

  // Called exactly once, on a broker, policy or queue-client thread, or inside submit(); must not
  // block and must not call Broker::stop(). May be empty where nobody waits.
  std::function<void(const Answer&)> done;
};

}  // namespace verbatim::collector
