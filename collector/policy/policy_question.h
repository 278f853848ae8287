// What policies are asked and what they answer, as the chain sees it: plain values without a
// thread, a stream or a clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/policy.pb.h"

namespace verbatim::collector {

// The stanza within Event.raw, as people's clients would see it.
using StanzaOf = std::string_view (*)(std::string_view raw);
// Gives the event as it is archived once policies have changed its stanza to `changed_raw`. Errors:
// kInvalidArgument where the change is not allowed (another kind of stanza, sender, recipient, id).
using ApplyChange =
    std::function<Result<v1::Event>(const v1::Event& event, const std::string& changed_raw)>;

// One event as one server is asked about it. Shared and never changed.
struct PolicySubject {
  std::shared_ptr<const v1::Event> event;  // as archived so far, without verdicts
  std::vector<v1::Verdict> verdicts;       // of the policies before
  std::string changed_raw;                 // as the policies before left it; empty: unchanged
  StanzaOf stanza_of = nullptr;            // null: Event.raw is shown as it is
  std::vector<v1::Decision> allowed;
  std::string profile;
  // Monotonic: when the time of the policies ends.
  std::chrono::nanoseconds until{0};
  // False: never waits for a server that is away.
  bool may_wait = true;

  // PolicyQuestion.event.
  v1::Event shown() const;
};

// What a server said, or why it said nothing, in the form that is archived.
struct PolicyReply {
  v1::Verdict verdict;
  std::string changed_raw;      // with DECISION_PASS_CHANGED
  std::string text_for_sender;  // with DECISION_HANDLE and DECISION_ERROR
};

// An answer that came after its question was closed, or a second time.
struct LateReply {
  std::string event_id;
  v1::Event about;  // source, conversation, actor, others
  std::string detail;
};

// The reply of one of its kinds of silence. `reason` is for people.
PolicyReply no_reply(v1::Verdict::Cause cause, const std::string& server, std::string reason);

// Checks an answer against what was allowed; texts beyond their limits are cut. Anything that is
// not allowed becomes an error of CAUSE_INVALID_REPLY. The caller fills instance, profile and
// latency.
PolicyReply read_reply(const PolicySubject& subject, const std::string& server,
                       const v1::PolicyVerdict& answer);

// What the archive needs to place a late reply.
LateReply about_late(const v1::Event& event, std::string detail);

}  // namespace verbatim::collector
