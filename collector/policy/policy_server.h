// PolicyServer: one registered compliance server: its instances, what it is asked, and what its
// silence means. Pure logic on an injected clock.
//
// I1 One instance is active and is asked; the others stand by, in the order in which they came.
// I2 Every ask() gives exactly one result, within the subject's time at the latest.
// I3 An answer counts only from the active instance, to an open question, once. Anything else has
// no
//    effect but is counted, and told (PolicyResults::lates) as long as the question is remembered.
// I4 Never more questions are unanswered than the credit allows, those given up included, until as
//    much time has passed again or the server resumes; a probe is one more.
// I5 A server that left with a word ("gone") has no share. One that left without ("lost") keeps its
//    share for outage_hold, and events wait for it up to outage_wait; what it was asked it is asked
//    again when it is back, and no other server instead.
// I6 After suspend_after timeouts in a row it is suspended: what it is asked ends at once. Each
//    probe_interval it is asked the event again that it did not answer last; an answer in time, or
//    another instance, ends the suspension. It keeps its share for outage_hold. Where an instance
//    stands by that has not been silent itself since the last answer, it takes over instead, with
//    all that is open, and the silent one's stream is closed.
//
// Threads: none of its own; the owner serialises.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "collector/policy/policy_question.h"
#include "collector/policy/policy_session.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct PolicyTimes {
  std::chrono::nanoseconds event_deadline{std::chrono::seconds(20)};
  std::chrono::nanoseconds put_reserve{std::chrono::seconds(2)};
  std::chrono::nanoseconds heartbeat{std::chrono::seconds(5)};
  std::chrono::nanoseconds outage_wait{std::chrono::seconds(10)};
  std::chrono::nanoseconds outage_hold{std::chrono::seconds(60)};
  std::chrono::nanoseconds probe_interval{std::chrono::seconds(5)};
  int64_t suspend_after = 20;

  // What policies have of an event's deadline at most.
  std::chrono::nanoseconds limit() const { return event_deadline - put_reserve; }
};

struct PolicyResult {
  uint64_t ticket = 0;
  // True: it was not asked, and its share is another server's now; `reply` is of no meaning.
  bool is_moved = false;
  PolicyReply reply;
};

// Where servers leave what came of it; the owner empties it.
struct PolicyResults {
  std::vector<PolicyResult> results;
  std::vector<LateReply> lates;
};

class PolicyServer {
 public:
  // `was_there`: take it for lost just now, as after a restart of the collector; else it is gone.
  PolicyServer(std::string name, const PolicyTimes& times, const base::Clock& clock,
               PolicyResults& results, bool was_there);

  void attach(const std::shared_ptr<PolicySession>& session);
  // `is_graceful`: it ended its stream itself.
  void detach(const std::shared_ptr<PolicySession>& session, bool is_graceful);
  void receive(const std::shared_ptr<PolicySession>& session, const v1::FromPolicy& message);

  void ask(uint64_t ticket, std::shared_ptr<const PolicySubject> subject);
  // Told, not asked; nothing where it is away.
  void notify(std::shared_ptr<const PolicySubject> subject);
  // PolicyChain::note_link.
  void note_link(bool is_connected, const std::string& reason);
  // Time passes: heartbeats, timeouts, probes.
  void tick();
  // Its last change could not be applied: an invalid reply after all.
  void note_invalid_change();
  // Ends all sessions and questions; nothing can attach to what is asked of it later.
  void close(const Status& reason);

  // False: its share belongs to the other servers of a profile, where there are some.
  bool has_share() const;
  // True where events of one conversation need not wait for each other here.
  bool is_order_free() const;
  size_t session_count() const { return sessions_.size(); }
  // Everything but profile, node and component.
  v1::ServerInfo info() const;

 private:
  enum class Presence { kGone, kLost, kUp };
  struct Entry {
    uint64_t ticket = 0;
    std::shared_ptr<const PolicySubject> subject;
    std::chrono::nanoseconds until{0};
    std::chrono::nanoseconds handed_over_at{0};
    std::chrono::nanoseconds asked_at{0};
    bool was_asked = false;
  };
  struct Probe {
    uint64_t question = 0;
    std::chrono::nanoseconds until{0};
  };

  struct GivenUp {
    LateReply late;
    std::chrono::nanoseconds until{0};  // counts against the credit
  };

  std::chrono::nanoseconds now() const { return clock_.monotonic(); }
  bool is_active(const std::shared_ptr<PolicySession>& session) const;
  void activate();
  void leave(bool is_graceful);
  void pump();
  void send(Entry entry);
  void take_verdict(const std::shared_ptr<PolicySession>& session, const v1::PolicyVerdict& answer);
  void take_unexpected(const std::shared_ptr<PolicySession>& session,
                       const v1::PolicyVerdict& answer);
  void count(const PolicyReply& reply);
  void note_latency(int64_t latency_us);
  int64_t recent_latency_us() const;
  void end(const Entry& entry, PolicyReply reply);
  void end_silent(const Entry& entry, v1::Verdict::Cause cause, std::string reason);
  void move(const Entry& entry);
  void give_up(uint64_t question, const Entry& entry);
  void expire_given_up();
  void forget_given_up();
  void forget(uint64_t question, LateReply late);
  void expire();
  void end_expired(const Entry& entry);
  void note_timeout(const Entry& entry);
  void suspend();
  bool hand_over();
  void resume();
  void probe();
  void beat();
  void set_presence(Presence presence, std::string reason);

  const std::string name_;
  const PolicyTimes& times_;
  const base::Clock& clock_;
  PolicyResults& results_;

  std::vector<std::shared_ptr<PolicySession>> sessions_;  // the first is active
  Presence presence_ = Presence::kGone;
  bool is_link_connected_ = false;
  std::string reason_;
  std::chrono::nanoseconds since_{0};
  int64_t since_unix_ns_ = 0;
  int32_t credit_ = 1;
  std::chrono::nanoseconds next_beat_{0};

  std::deque<Entry> waiting_;                // not sent yet
  std::map<uint64_t, Entry> open_;           // by question number
  std::map<uint64_t, GivenUp> given_up_;     // asked of this instance, and nobody waits any more
  std::map<uint64_t, LateReply> forgotten_;  // the last few of those, and of what was asked again
  std::deque<std::pair<uint64_t, std::shared_ptr<const PolicySubject>>> answered_;  // the last few
  uint64_t last_question_ = 0;
  std::chrono::nanoseconds last_answer_at_{0};
  std::deque<int64_t> latencies_us_;  // of the latest answers of this instance

  int64_t timeouts_in_a_row_ = 0;
  std::set<std::string> silent_;  // instances that timed out so since the last answer
  std::optional<std::chrono::nanoseconds> suspended_at_;
  std::shared_ptr<const PolicySubject> unanswered_;  // what a probe asks
  std::optional<Probe> probe_;
  std::chrono::nanoseconds next_probe_{0};

  v1::ServerInfo counts_;
};

}  // namespace verbatim::collector
