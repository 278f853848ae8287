// Policy: what the author of a policy plugin writes. Everything else (stream, credit, heartbeat,
// standby, reconnecting, deadlines) is the SDK's: see policy_client.h and run_policy.h, and
// docs/write-a-policy.md for an afternoon's guide. The contract behind it is policy.proto.
//
// A policy is asked about an event before the chat node goes on with it, and a person waits for the
// answer. PASS lets it go on; PASS with a changed stanza lets that go on instead; HANDLE stops it;
// ERROR refuses it, and the profile says whether the sender hears of it or the error is discarded
// (so what must not be delivered is HANDLE). A policy that only watches passes and flags.
//
// I1 evaluate() gives the same answer for the same event, as far as rules and facts are the same:
//    after a reconnect the broker may ask again. Take the time from Event.accept_time_unix_ns.
// I2 What decides is one whole rule set, and rule_set_sha256 of the answer is its digest: do not
//    look at the rules in force twice within one evaluate().
// I3 An answer says nothing of what was said: rule and reason go to the archive and into logs.
//
// Threads: configure(), activate(), evaluate(), notice() and deactivate() are called from one
// thread, one at a time, questions in the order in which the broker asked. maintain() and
// rule_set_sha256() come from other threads at any time.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/policy.pb.h"

namespace verbatim::adapters {

// A question; valid during evaluate().
struct PolicyQuestion {
  // As it will be archived, but for the verdicts of policies that are asked later. `raw` holds the
  // stanza as the policies before left it.
  const v1::Event& event;
  // The profile through which it is asked.
  const std::string& profile;
  // What the event allows as an answer; empty: anything. The SDK keeps to it: an answer that is not
  // allowed (what has happened cannot be stopped) becomes PASS, flagged, with the decision that it
  // would have been; but a change where only stopping is allowed becomes HANDLE. A policy whose
  // change can be left out (a disclaimer) asks is_allowed() first.
  std::vector<v1::Decision> allowed;
  // After this no answer counts. What is still waiting then is answered by the SDK.
  std::chrono::steady_clock::time_point deadline;

  bool is_allowed(v1::Decision decision) const {
    return allowed.empty() || std::find(allowed.begin(), allowed.end(), decision) != allowed.end();
  }
};

struct PolicyAnswer {
  v1::Decision decision = v1::DECISION_PASS;
  // DECISION_PASS_CHANGED: the stanza as it is to be delivered, whole. Its kind, from, to and id
  // stay as they were.
  std::string changed_raw;
  // DECISION_HANDLE and DECISION_ERROR: what the sender may be told; cut after 1,024 bytes.
  std::string text_for_sender;
  // For the archive: which rule decided, and why; cut after 256 and 1,024 bytes.
  std::string rule;
  std::string reason;
  // 32 bytes, or empty where there are no rules.
  std::string rule_set_sha256;
  // A person should look at it.
  bool is_flagged = false;
  // Of a dry run: what it would have decided.
  v1::Decision dry_run_decision = v1::DECISION_UNSPECIFIED;

  static PolicyAnswer pass() { return {}; }
  static PolicyAnswer pass_changed(std::string stanza) {
    PolicyAnswer answer;
    answer.decision = v1::DECISION_PASS_CHANGED;
    answer.changed_raw = std::move(stanza);
    return answer;
  }
  static PolicyAnswer handle(std::string text_for_sender = {}) {
    PolicyAnswer answer;
    answer.decision = v1::DECISION_HANDLE;
    answer.text_for_sender = std::move(text_for_sender);
    return answer;
  }
  static PolicyAnswer error(std::string text_for_sender = {}) {
    PolicyAnswer answer;
    answer.decision = v1::DECISION_ERROR;
    answer.text_for_sender = std::move(text_for_sender);
    return answer;
  }

  // The same as a dry run has it: passes, and says what it would have decided.
  PolicyAnswer as_dry_run() && {
    dry_run_decision = decision;
    decision = v1::DECISION_PASS;
    changed_raw.clear();
    text_for_sender.clear();
    return std::move(*this);
  }
};

class Policy {
 public:
  virtual ~Policy() = default;

  // Told with every connection: the collector's name and the profiles assigned to this policy. An
  // error is logged and the connection is tried again later.
  virtual Status configure(const v1::PolicyWelcome& welcome) {
    (void)welcome;
    return {};
  }

  // This instance is now asked, or no longer: another one is, or the connection is lost.
  virtual void activate() {}
  virtual void deactivate() {}

  // Decides (I1, I2, I3). An error is answered as DECISION_ERROR with the error's text as reason.
  virtual Result<PolicyAnswer> evaluate(const PolicyQuestion& question) = 0;

  // An event that no one waits for (fire-and-forget in the profile).
  virtual void notice(const v1::Event& event, const std::string& profile) {
    (void)event, (void)profile;
  }

  // Digest of the rule set in force, for the hello.
  virtual std::string rule_set_sha256() const { return {}; }

  // Called by run_policy() several times a second, and with `true` after a SIGHUP.
  virtual void maintain(bool is_reload_asked) { (void)is_reload_asked; }
};

}  // namespace verbatim::adapters
