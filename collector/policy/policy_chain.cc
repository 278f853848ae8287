#include "collector/policy/policy_chain.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "collector/policy/chain_rules.h"

namespace verbatim::collector {
namespace {

constexpr size_t kSessionsMaxCount = 16;  // of one server
constexpr size_t kNameMaxBytes = 128;

std::chrono::nanoseconds from_ms(int64_t ms) { return std::chrono::milliseconds(ms); }

Status check_hello(const v1::PolicyHello& hello) {
  if (hello.policy().empty() || hello.policy().size() > kNameMaxBytes) {
    return invalid_argument("policy: must have 1 to 128 bytes");
  }
  if (hello.instance().empty() || hello.instance().size() > kNameMaxBytes) {
    return invalid_argument("instance: must have 1 to 128 bytes");
  }
  if (hello.software().size() > kNameMaxBytes) return invalid_argument("software: too long");
  const size_t digest = hello.rule_set_sha256().size();
  if (digest != 0 && digest != 32) return invalid_argument("rule_set_sha256: not 32 bytes");
  return {};
}

}  // namespace

Result<PolicyChainOptions> policy_options(const v1::Collector& config) {
  const v1::Policies& policies = config.policies();
  PolicyChainOptions options;
  PolicyTimes& times = options.times;
  times.event_deadline = from_ms(config.event_deadline_ms());
  times.put_reserve = from_ms(policies.put_reserve_ms());
  times.heartbeat = from_ms(policies.heartbeat_ms());
  times.outage_wait = from_ms(policies.outage_wait_ms());
  times.outage_hold = from_ms(policies.outage_hold_ms());
  times.probe_interval = from_ms(policies.probe_interval_ms());
  times.suspend_after = policies.suspend_after_timeouts();
  options.waiting_max_bytes = static_cast<uint64_t>(policies.waiting_max_bytes());
  options.collector_name = config.name();
  const auto values = " event_deadline_ms=" + std::to_string(config.event_deadline_ms()) +
                      " put_reserve_ms=" + std::to_string(policies.put_reserve_ms()) +
                      " outage_wait_ms=" + std::to_string(policies.outage_wait_ms());
  if (times.put_reserve >= times.event_deadline) {
    return invalid_argument(
        "collector.policies: put_reserve_ms leaves policies nothing of the event's deadline" +
        values);
  }
  if (times.outage_wait > times.limit()) {
    return invalid_argument(
        "collector.policies: outage_wait_ms does not fit into the event's deadline less "
        "put_reserve_ms" +
        values);
  }
  return options;
}

struct PolicyChain::Case {
  PolicyRequest request;  // its event is moved out
  std::string key;
  std::shared_ptr<const v1::Event> event;
  uint64_t size = 0;
  std::vector<Route> routes;
  size_t stage = 0;
  std::chrono::nanoseconds until{0};
  bool is_asked = false;
  bool is_decided = false;
  bool is_discarded = false;  // by a profile that says bounce and fire-and-forget
  PolicyOutcome::Kind kind = PolicyOutcome::Kind::kDecided;
  std::vector<v1::Verdict> verdicts;
  std::string changed_raw;
  v1::Verdict changing;  // the last that changed it
  std::string text_for_sender;
};

PolicyChain::PolicyChain(PolicyChainOptions options, const ComplianceSource& compliance)
    : options_(std::move(options)), compliance_(compliance) {
  base::MutexLock lock(mutex_);
  sync_servers();
}

PolicyChain::~PolicyChain() { stop(); }

void PolicyChain::set_on_late(std::function<void(const LateReply&)> on_late) {
  on_late_ = std::move(on_late);
}

// Plugins that are registered when the collector starts were there before it, as far as it knows.
void PolicyChain::sync_servers() {
  const auto table = compliance_.routing();
  if (table == table_) return;
  const bool is_first = table_ == nullptr;
  table_ = table;
  std::set<std::string> names;
  for (const v1::ComplianceServer& server : table->state().servers()) {
    names.insert(server.name());
    if (servers_.contains(server.name())) continue;
    servers_.emplace(server.name(),
                     std::make_unique<PolicyServer>(server.name(), options_.times, *options_.clock,
                                                    results_, is_first));
  }
  for (auto place = servers_.begin(); place != servers_.end();) {
    if (names.contains(place->first)) {
      ++place;
      continue;
    }
    place->second->close(not_found("the server is not registered any more"));
    place = servers_.erase(place);
  }
}

bool PolicyChain::has_route(std::string_view node, std::string_view event_name,
                            std::string_view packet_type) const {
  return !compliance_.routing()->routes(node, event_name, packet_type).empty();
}

bool PolicyChain::concerns(const v1::Event& event, std::string_view packet_type,
                           bool is_understood) const {
  const v1::Source& source = event.source();
  if (has_route(source.node(), source.raw_event(), packet_type)) return true;
  if (!is_understood && compliance_.routing()->awaits_unnamed(source.node(), source.raw_event())) {
    return true;
  }
  if (waiting_count_ == 0) return false;
  base::MutexLock lock(mutex_);
  return lanes_.contains(event.conversation().key());
}

void PolicyChain::submit(PolicyRequest request) {
  auto one = std::make_shared<Case>();
  one->key = request.event.conversation().key();
  one->size = request.event.ByteSizeLong();
  one->event = std::make_shared<const v1::Event>(std::exchange(request.event, {}));
  one->until = request.deadline - options_.times.put_reserve;
  one->request = std::move(request);
  if (is_over(*one->event)) one->request.has_happened = true;
  if (one->request.has_happened) one->request.is_pass_only = true;
  const v1::Source& source = one->event->source();
  {
    base::MutexLock lock(mutex_);
    sync_servers();
    one->routes = table_->routes(source.node(), source.raw_event(), one->request.packet_type);
    lanes_[one->key].cases.push_back(one);
    ++waiting_count_;
    waiting_bytes_ += one->size;
    const bool is_full = waiting_bytes_ > options_.waiting_max_bytes;
    if (is_stopped_) {
      one->kind = PolicyOutcome::Kind::kStopped;
      decide(*one);
    } else if (is_full && (waiting_bytes_ > 2 * options_.waiting_max_bytes ||
                           !is_never_blocked(*one->event, one->request.is_pass_only))) {
      one->kind = PolicyOutcome::Kind::kFull;
      decide(*one);
    } else if (is_full) {
      one->verdicts.push_back(own_verdict(v1::DECISION_PASS, "too many events wait for policies"));
      decide(*one);
    } else if (must_refuse(*one)) {
      one->verdicts.push_back(
          own_verdict(v1::DECISION_ERROR, "it is not understood, and policies decide here"));
      one->verdicts.back().set_cause(v1::Verdict::CAUSE_ANSWERED);
      one->text_for_sender = "Not delivered: it could not be understood.";
      decide(*one);
    } else {
      step(one);
      settle();
    }
  }
  deliver();
}

// What is not understood has neither sender nor recipient for a policy, so a wall would let it
// through. A profile that discards errors does not discard this one.
bool PolicyChain::must_refuse(const Case& one) const {
  const PolicyRequest& request = one.request;
  if (request.is_understood || !request.is_awaited) return false;
  const v1::Source& source = one.event->source();
  if (is_never_blocked_name(source.raw_event(), request.packet_type) || request.is_pass_only) {
    return false;
  }
  return std::any_of(one.routes.begin(), one.routes.end(),
                     [](const Route& route) { return !route.is_fire_and_forget; }) ||
         table_->awaits_unnamed(source.node(), source.raw_event());
}

v1::Verdict PolicyChain::own_verdict(v1::Decision decision, std::string reason) const {
  v1::Verdict verdict;
  verdict.set_instance(options_.collector_name);
  verdict.set_decision(decision);
  verdict.set_reason(std::move(reason));
  return verdict;
}

std::shared_ptr<const PolicySubject> PolicyChain::subject_of(const Case& one,
                                                             const Route& route) const {
  auto subject = std::make_shared<PolicySubject>();
  subject->event = one.event;
  subject->verdicts = one.verdicts;
  subject->changed_raw = one.changed_raw;
  subject->stanza_of = one.request.stanza_of;
  subject->allowed =
      allowed_decisions(one.request.is_pass_only, one.request.apply_change != nullptr);
  subject->profile = route.profile;
  subject->until = one.until;
  subject->may_wait = may_wait_for_server(*one.event);
  return subject;
}

// I5: only who has a share is chosen; where nobody has, the one who would own it says why not.
PolicyServer* PolicyChain::choose(const Case& one, const Route& route, std::string& name) {
  std::vector<std::string> candidates;
  for (const std::string& server : route.servers) {
    const auto found = servers_.find(server);
    if (found != servers_.end() && found->second->has_share()) candidates.push_back(server);
  }
  name = choose_server(candidates.empty() ? route.servers : candidates, one.key);
  const auto found = servers_.find(name);
  return found == servers_.end() ? nullptr : found->second.get();
}

bool PolicyChain::is_turn(const Case& one) {
  for (const CasePointer& other : lanes_.at(one.key).cases) {
    if (!other->is_decided) return other.get() == &one;
  }
  return false;
}

// Goes on with an event as far as it can now.
void PolicyChain::step(const CasePointer& one) {
  while (!one->is_decided && !one->is_asked) {
    if (one->stage >= one->routes.size()) return decide(*one);
    if (!step_route(one, one->routes[one->stage])) return;
  }
}

// False: it has to wait for its turn.
bool PolicyChain::step_route(const CasePointer& one, const Route& route) {
  std::string name;
  PolicyServer* const server = choose(*one, route, name);
  if (!one->request.is_awaited || route.is_fire_and_forget) {
    if (!is_turn(*one)) return false;
    if (server != nullptr) server->notify(subject_of(*one, route));
    if (is_discarded(*one->event, one->request.is_awaited, one->request.is_pass_only, route)) {
      one->verdicts.push_back(
          own_verdict(v1::DECISION_HANDLE,
                      "discarded: profile " + route.profile + " says bounce and fire-and-forget"));
      one->verdicts.back().set_profile(route.profile);
      one->is_discarded = true;
      decide(*one);
    }
    ++one->stage;
    return true;
  }
  if (now() >= one->until) {
    conclude(*one, no_reply(v1::Verdict::CAUSE_TIMEOUT, name,
                            "no time was left to ask; earlier events of the conversation waited"));
    return true;
  }
  if ((server == nullptr || !server->is_order_free()) && !is_turn(*one)) return false;
  if (server == nullptr) {
    conclude(*one, no_reply(v1::Verdict::CAUSE_ABSENT, name, "no such plugin is registered"));
    return true;
  }
  one->is_asked = true;
  by_ticket_.emplace(++last_ticket_, one);
  server->ask(last_ticket_, subject_of(*one, route));
  return true;
}

void PolicyChain::step_lane(const std::string& key) {
  const auto lane = lanes_.find(key);
  if (lane == lanes_.end()) return;
  for (const CasePointer& one : lane->second.cases) {
    step(one);
    if (!one->is_decided) return;
  }
}

void PolicyChain::conclude(Case& one, PolicyReply reply) {
  const Route& route = one.routes[one.stage];
  if (reply.verdict.decision() == v1::DECISION_PASS_CHANGED && !change(one, reply)) {
    reply = no_reply(v1::Verdict::CAUSE_INVALID_REPLY, reply.verdict.policy(),
                     "the changed stanza is not one of the same kind, sender, recipient and id");
  }
  if (reply.verdict.profile().empty()) reply.verdict.set_profile(route.profile);
  one.verdicts.push_back(reply.verdict);
  const v1::Decision decision = reply.verdict.decision();
  if (decision == v1::DECISION_PASS_CHANGED) one.changing = reply.verdict;
  const bool is_error = decision == v1::DECISION_ERROR;
  if (is_error && after_error(*one.event, one.request.is_pass_only, one.request.has_happened,
                              reply.verdict.cause(), route.handling) == AfterError::kGoOn) {
    const bool is_by_profile = reply.verdict.cause() == v1::Verdict::CAUSE_ANSWERED &&
                               route.handling == v1::ComplianceProfile::HANDLING_PASS;
    one.verdicts.push_back(own_verdict(
        v1::DECISION_PASS, is_by_profile ? "the profile discards errors (handling pass)"
                           : one.request.has_happened ? "it has happened already"
                                                      : "an event of this kind is never blocked"));
  } else if (is_error || decision == v1::DECISION_HANDLE) {
    one.text_for_sender = std::move(reply.text_for_sender);
    return decide(one);
  }
  ++one.stage;
}

bool PolicyChain::change(Case& one, PolicyReply& reply) {
  auto changed = one.request.apply_change(*one.event, reply.changed_raw);
  if (!changed.has_value()) {
    LOG_WARN("policy change refused server={} {}", reply.verdict.policy(),
             changed.error().to_string());
    const auto server = servers_.find(reply.verdict.policy());
    if (server != servers_.end()) server->second->note_invalid_change();
    return false;
  }
  one.event = std::make_shared<const v1::Event>(*std::move(changed));
  one.changed_raw = std::move(reply.changed_raw);
  return true;
}

void PolicyChain::decide(Case& one) {
  one.is_decided = true;
  ready_.push_back(one.key);
}

// Takes what the servers have left, until nothing more follows from it.
void PolicyChain::settle() {
  while (!results_.results.empty()) {
    for (PolicyResult& result : std::exchange(results_.results, {})) {
      const auto found = by_ticket_.find(result.ticket);
      if (found == by_ticket_.end()) continue;
      const CasePointer one = found->second;
      by_ticket_.erase(found);
      one->is_asked = false;
      if (!result.is_moved) conclude(*one, std::move(result.reply));
      step(one);
      step_lane(one->key);
    }
  }
}

PolicyChain::CasePointer PolicyChain::take_due() {
  while (!ready_.empty()) {
    const std::string key = std::move(ready_.front());
    ready_.pop_front();
    const auto lane = lanes_.find(key);
    if (lane == lanes_.end() || lane->second.is_handing_on) continue;
    if (!lane->second.cases.front()->is_decided) continue;
    lane->second.is_handing_on = true;
    return lane->second.cases.front();
  }
  return nullptr;
}

void PolicyChain::release(const Case& one) {
  Lane& lane = lanes_.at(one.key);
  lane.cases.pop_front();
  lane.is_handing_on = false;
  --waiting_count_;
  waiting_bytes_ -= one.size;
  if (lane.cases.empty()) {
    lanes_.erase(one.key);
    return;
  }
  // Also where it was decided by itself, as one that found no room.
  step_lane(one.key);
  settle();
  if (lane.cases.front()->is_decided) ready_.push_back(one.key);
}

// Hands on what is decided, a lane's events one after another; another thread may be at it, too.
void PolicyChain::deliver() {
  while (true) {
    std::vector<LateReply> lates;
    CasePointer due;
    {
      base::MutexLock lock(mutex_);
      lates = std::exchange(results_.lates, {});
      due = take_due();
    }
    for (const LateReply& late : lates) {
      if (on_late_) on_late_(late);
    }
    if (due == nullptr) return;
    due->request.done(outcome_of(*due));
    base::MutexLock lock(mutex_);
    release(*due);
  }
}

PolicyOutcome PolicyChain::outcome_of(Case& one) const {
  PolicyOutcome outcome;
  outcome.kind = one.kind;
  outcome.event = *one.event;
  one.event.reset();
  if (!one.request.is_awaited && !one.is_discarded) return outcome;
  if (one.verdicts.empty()) {
    one.verdicts.push_back(own_verdict(v1::DECISION_PASS, "no policy is asked"));
  }
  for (const v1::Verdict& verdict : one.verdicts) *outcome.event.add_verdicts() = verdict;
  outcome.verdict = one.verdicts.back();
  const bool is_passed = outcome.verdict.decision() == v1::DECISION_PASS ||
                         outcome.verdict.decision() == v1::DECISION_PASS_CHANGED;
  if (is_passed && !one.changed_raw.empty()) {
    outcome.verdict = one.changing;
    outcome.changed_raw = std::move(one.changed_raw);
  }
  outcome.text_for_sender = std::move(one.text_for_sender);
  return outcome;
}

Status PolicyChain::attach(const std::shared_ptr<PolicySession>& session,
                           v1::ComplianceServer::Kind kind) {
  const v1::PolicyHello& hello = session->hello();
  RETURN_IF_ERROR(check_hello(hello));
  {
    base::MutexLock lock(mutex_);
    sync_servers();
    if (is_stopped_) return unavailable("the collector is stopping");
    const auto server = servers_.find(hello.policy());
    if (server == servers_.end() || kind_of(hello.policy()) != kind) {
      return not_found("no server of that name and kind is registered");
    }
    if (server->second->session_count() >= kSessionsMaxCount) {
      return resource_exhausted("too many instances of the policy are attached");
    }
    v1::ToPolicy message;
    v1::PolicyWelcome& welcome = *message.mutable_welcome();
    welcome.set_collector(options_.collector_name);
    for (std::string& profile : profiles_of(hello.policy())) {
      *welcome.add_profiles() = std::move(profile);
    }
    welcome.set_heartbeat_ms(
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.times.heartbeat).count());
    session->push(std::move(message));
    server->second->attach(session);
    settle();
  }
  deliver();
  return {};
}

std::vector<std::string> PolicyChain::profiles_of(const std::string& server) const {
  std::set<std::string> profiles;
  for (const v1::ComplianceAssignment& assignment : table_->state().assignments()) {
    if (assignment.server() == server) profiles.insert(assignment.profile());
  }
  return {profiles.begin(), profiles.end()};
}

v1::ComplianceServer::Kind PolicyChain::kind_of(const std::string& name) const {
  for (const v1::ComplianceServer& server : table_->state().servers()) {
    if (server.name() == name) return server.kind();
  }
  return v1::ComplianceServer::KIND_UNSPECIFIED;
}

void PolicyChain::note_link(const std::string& server, bool is_connected,
                            const std::string& reason) {
  base::MutexLock lock(mutex_);
  const auto found = servers_.find(server);
  if (found != servers_.end()) found->second->note_link(is_connected, reason);
}

void PolicyChain::detach(const std::shared_ptr<PolicySession>& session, bool is_graceful) {
  {
    base::MutexLock lock(mutex_);
    const auto server = servers_.find(session->hello().policy());
    if (server == servers_.end()) return;
    server->second->detach(session, is_graceful);
    settle();
  }
  deliver();
}

void PolicyChain::receive(const std::shared_ptr<PolicySession>& session,
                          const v1::FromPolicy& message) {
  {
    base::MutexLock lock(mutex_);
    const auto server = servers_.find(session->hello().policy());
    if (server == servers_.end()) return;
    server->second->receive(session, message);
    settle();
  }
  deliver();
}

void PolicyChain::tick() {
  {
    base::MutexLock lock(mutex_);
    sync_servers();
    for (auto& [name, server] : servers_) server->tick();
    settle();
    if (waiting_count_ > 0) {
      std::vector<CasePointer> overdue;
      for (const auto& [key, lane] : lanes_) {
        for (const CasePointer& one : lane.cases) {
          if (!one->is_decided && !one->is_asked && one->until <= now()) overdue.push_back(one);
        }
      }
      for (const CasePointer& one : overdue) step(one);
      for (const CasePointer& one : overdue) step_lane(one->key);
      settle();
    }
  }
  deliver();
}

void PolicyChain::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopped_ = true;
    by_ticket_.clear();
    for (auto& [key, lane] : lanes_) {
      for (const CasePointer& one : lane.cases) {
        if (one->is_decided) continue;
        one->kind = PolicyOutcome::Kind::kStopped;
        decide(*one);
      }
    }
    for (auto& [name, server] : servers_) server->close(cancelled("the collector is stopping"));
    results_.results.clear();
  }
  deliver();
}

std::vector<v1::ServerInfo> PolicyChain::servers() const {
  base::MutexLock lock(mutex_);
  const v1::ComplianceState& state = table_->state();
  std::map<std::string, v1::ServerInfo> by_name;
  for (const v1::ComplianceServer& server : state.servers()) {
    v1::ServerInfo info;
    if (const auto found = servers_.find(server.name()); found != servers_.end()) {
      info = found->second->info();
    }
    info.set_server(server.name());
    info.set_kind(server.kind());
    by_name.emplace(server.name(), std::move(info));
  }
  std::vector<v1::ServerInfo> rows;
  std::set<std::string> assigned;
  for (const v1::ComplianceAssignment& assignment : state.assignments()) {
    v1::ServerInfo row = by_name[assignment.server()];
    row.set_profile(assignment.profile());
    row.set_node(assignment.node());
    row.set_component(assignment.component());
    assigned.insert(assignment.server());
    rows.push_back(std::move(row));
  }
  for (const v1::ComplianceServer& server : state.servers()) {
    if (assigned.contains(server.name())) continue;
    v1::ServerInfo& row = by_name[server.name()];
    if (server.kind() == v1::ComplianceServer::KIND_LINK) {
      row.set_reason("not dialled: it has no assignment");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

ServerReport::Waiting PolicyChain::waiting() const {
  base::MutexLock lock(mutex_);
  return {waiting_count_, static_cast<int64_t>(waiting_bytes_)};
}

}  // namespace verbatim::collector
