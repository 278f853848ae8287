// PolicyChain: an event's way through the policies, between a source's submit() and the queue.
//
// The servers of the event's routes are asked in routing priority. PASS: the next is asked, and
// sees a changed stanza. HANDLE ends the chain. An error is bounced or discarded as the profile
// says; silence stops messages, rooms and invites, and never logins, logouts and presence. Servers
// of one profile share its events by conversation (chain_rules.h). docs/policies.md has every rule.
//
// I1 Every submit() is answered by `done` exactly once, in the order of the submit() calls of its
//    conversation.
// I2 A server that is not order-free is asked about an event only when all earlier ones of the
//    conversation are decided.
// I3 A policy has what is left of the event's deadline less put_reserve; past it the event is
// decided. I4 Events that wait hold at most waiting_max_bytes together, twice that with those that
// may not be
//    refused.
// I5 No event is asked of two servers of one profile.
//
// Threads: any; `done` and `on_late` run on whichever thread brought the decision, without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "collector/compliance/routing_table.h"
#include "collector/policy/policy_server.h"
#include "collector/policy/server_report.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::collector {

struct PolicyOutcome {
  enum class Kind {
    kDecided,
    kFull,     // too much waits; nothing was decided
    kStopped,  // the collector stops; nothing was decided
  };
  Kind kind = Kind::kDecided;
  // With every verdict and the final text.
  v1::Event event;
  // What the sender is to hear. No policy of an unawaited event is asked: then of no meaning, and
  // the event has no verdict but where its node discards it.
  v1::Verdict verdict;
  std::string changed_raw;
  std::string text_for_sender;
};

struct PolicyRequest {
  v1::Event event;  // prepared: as archived, but for verdicts and final text
  std::string packet_type;
  bool is_awaited = true;  // false: policies are only told
  bool is_pass_only = false;
  // True where no answer can undo it: nothing but PASS may be answered, and errors are discarded.
  bool has_happened = false;
  // False: no policy can judge it; where one would have to, it is stopped as an error.
  bool is_understood = true;
  StanzaOf stanza_of = nullptr;
  ApplyChange apply_change;              // empty: no policy may change it
  std::chrono::nanoseconds deadline{0};  // monotonic; of the event
  std::function<void(PolicyOutcome)> done;
};

struct PolicyChainOptions {
  PolicyTimes times;
  uint64_t waiting_max_bytes = 128 << 20;
  std::string collector_name = "collector";
  const base::Clock* clock = &base::system_clock();
};

// Errors: kInvalidArgument where the policies' times do not fit the event's deadline.
Result<PolicyChainOptions> policy_options(const v1::Collector& config);

class PolicyChain final : public ServerReport {
 public:
  // `compliance` outlives the chain.
  PolicyChain(PolicyChainOptions options, const ComplianceSource& compliance);
  ~PolicyChain() override;

  // Before the first submit().
  void set_on_late(std::function<void(const LateReply&)> on_late);

  bool has_route(std::string_view node, std::string_view event_name,
                 std::string_view packet_type) const;
  // True for an event that has to go through submit(): policies are asked or told, or earlier
  // events of its conversation are still under way.
  bool concerns(const v1::Event& event, std::string_view packet_type,
                bool is_understood = true) const;
  void submit(PolicyRequest request);

  // A server's stream: the session has its hello. Pushes the welcome. Errors: kNotFound (no server
  // of that name and kind is registered), kInvalidArgument, kResourceExhausted, kUnavailable
  // (stopped).
  Status attach(const std::shared_ptr<PolicySession>& session,
                v1::ComplianceServer::Kind kind = v1::ComplianceServer::KIND_PLUGIN);
  void detach(const std::shared_ptr<PolicySession>& session, bool is_graceful);
  void receive(const std::shared_ptr<PolicySession>& session, const v1::FromPolicy& message);

  // Of a server that we dial, while it is not attached: how far the link is, and why no further.
  void note_link(const std::string& server, bool is_connected, const std::string& reason);

  // Time passes. Called every few milliseconds.
  void tick();
  // Decides all that is left as stopped and ends the sessions. Safe twice.
  void stop();

  std::vector<v1::ServerInfo> servers() const override;
  Waiting waiting() const override;

 private:
  struct Case;
  using CasePointer = std::shared_ptr<Case>;
  struct Lane {
    std::list<CasePointer> cases;  // most lanes have one, and an empty deque takes half a KiB
    bool is_handing_on = false;
  };

  std::chrono::nanoseconds now() const { return options_.clock->monotonic(); }
  void sync_servers() REQUIRES(mutex_);
  std::vector<std::string> profiles_of(const std::string& server) const REQUIRES(mutex_);
  v1::ComplianceServer::Kind kind_of(const std::string& name) const REQUIRES(mutex_);
  PolicyServer* choose(const Case& one, const Route& route, std::string& name) REQUIRES(mutex_);
  bool is_turn(const Case& one) REQUIRES(mutex_);
  void step(const CasePointer& one) REQUIRES(mutex_);
  bool step_route(const CasePointer& one, const Route& route) REQUIRES(mutex_);
  void step_lane(const std::string& key) REQUIRES(mutex_);
  void conclude(Case& one, PolicyReply reply) REQUIRES(mutex_);
  bool change(Case& one, PolicyReply& reply) REQUIRES(mutex_);
  void decide(Case& one) REQUIRES(mutex_);
  void settle() REQUIRES(mutex_);
  CasePointer take_due() REQUIRES(mutex_);
  void release(const Case& one) REQUIRES(mutex_);
  void deliver();
  bool must_refuse(const Case& one) const REQUIRES(mutex_);
  v1::Verdict own_verdict(v1::Decision decision, std::string reason) const;
  std::shared_ptr<const PolicySubject> subject_of(const Case& one, const Route& route) const;
  PolicyOutcome outcome_of(Case& one) const;

  const PolicyChainOptions options_;
  const ComplianceSource& compliance_;
  std::function<void(const LateReply&)> on_late_;
  std::atomic<int64_t> waiting_count_{0};

  mutable base::Mutex mutex_;
  std::shared_ptr<const RoutingTable> table_ GUARDED_BY(mutex_);  // that servers_ was made from
  std::map<std::string, std::unique_ptr<PolicyServer>, std::less<>> servers_ GUARDED_BY(mutex_);
  PolicyResults results_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, Lane> lanes_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, CasePointer> by_ticket_ GUARDED_BY(mutex_);
  std::deque<std::string> ready_ GUARDED_BY(mutex_);
  uint64_t last_ticket_ GUARDED_BY(mutex_) = 0;
  uint64_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool is_stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::collector
