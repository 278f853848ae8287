#include "collector/policy/policy_server.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace verbatim::collector {
namespace {

// Answers that come twice are known as such among the last so many.
constexpr size_t kAnsweredMaxCount = 64;
// And late ones to what no longer counts against the credit.
constexpr size_t kForgottenMaxCount = 1'024;
constexpr size_t kLatenciesMaxCount = 64;
constexpr int32_t kCreditMax = 65'536;
constexpr int kSilentBeats = 3;

int64_t to_ms(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

v1::ToPolicy make_question(uint64_t number, const PolicySubject& subject,
                           std::chrono::nanoseconds left) {
  v1::ToPolicy message;
  v1::PolicyQuestion& question = *message.mutable_question();
  question.set_question(number);
  question.set_deadline_ms(std::max<int64_t>(1, to_ms(left)));
  for (const v1::Decision decision : subject.allowed) question.add_allowed(decision);
  question.set_profile(subject.profile);
  return message;
}

v1::ToPolicy make_activity(bool is_active) {
  v1::ToPolicy message;
  message.mutable_activity()->set_is_active(is_active);
  return message;
}

}  // namespace

PolicyServer::PolicyServer(std::string name, const PolicyTimes& times, const base::Clock& clock,
                           PolicyResults& results, bool was_there)
    : name_(std::move(name)), times_(times), clock_(clock), results_(results) {
  set_presence(was_there ? Presence::kLost : Presence::kGone, "it has not attached yet");
}

void PolicyServer::set_presence(Presence presence, std::string reason) {
  presence_ = presence;
  reason_ = std::move(reason);
  since_ = now();
  since_unix_ns_ = clock_.unix_now_ns();
}

bool PolicyServer::is_active(const std::shared_ptr<PolicySession>& session) const {
  return !sessions_.empty() && sessions_.front() == session;
}

bool PolicyServer::is_order_free() const {
  return !sessions_.empty() && sessions_.front()->hello().is_order_free();
}

bool PolicyServer::has_share() const {
  if (suspended_at_) return now() - *suspended_at_ < times_.outage_hold;
  if (presence_ == Presence::kLost) return now() - since_ < times_.outage_hold;
  return presence_ == Presence::kUp;
}

void PolicyServer::attach(const std::shared_ptr<PolicySession>& session) {
  session->heard_at(now());
  sessions_.push_back(session);
  if (is_active(session)) {
    activate();
  } else {
    session->push(make_activity(false));
    if (suspended_at_) hand_over();
  }
}

void PolicyServer::activate() {
  LOG_INFO("policy attached server={} instance={}", name_, sessions_.front()->hello().instance());
  set_presence(Presence::kUp, "attached");
  credit_ = 1;
  forget_given_up();
  answered_.clear();
  latencies_us_.clear();
  resume();
  sessions_.front()->push(make_activity(true));
  pump();
}

void PolicyServer::detach(const std::shared_ptr<PolicySession>& session, bool is_graceful) {
  const bool was_active = is_active(session);
  std::erase(sessions_, session);
  if (!was_active) return;
  LOG_WARN("policy detached server={} graceful={}", name_, is_graceful);
  // What it did not answer is asked again, in the order of the first time.
  for (auto place = open_.rbegin(); place != open_.rend(); ++place) {
    forget(place->first, about_late(*place->second.subject->event,
                                    "policy " + name_ + " answered what it was asked before"));
    waiting_.push_front(std::move(place->second));
  }
  open_.clear();
  probe_.reset();
  if (sessions_.empty()) {
    leave(is_graceful);
  } else {
    activate();
  }
}

void PolicyServer::leave(bool is_graceful) {
  resume();
  if (is_graceful) {
    set_presence(Presence::kGone, "it ended its stream");
    for (const Entry& entry : std::exchange(waiting_, {})) {
      if (entry.was_asked) {
        end_silent(entry, v1::Verdict::CAUSE_LOST, "it went away before it answered");
      } else {
        move(entry);
      }
    }
    return;
  }
  set_presence(Presence::kLost, "the link broke");
  for (Entry& entry : waiting_) entry.until = std::min(entry.until, now() + times_.outage_wait);
  expire();
}

void PolicyServer::ask(uint64_t ticket, std::shared_ptr<const PolicySubject> subject) {
  Entry entry{.ticket = ticket, .subject = std::move(subject), .handed_over_at = now()};
  entry.until = entry.subject->until;
  if (suspended_at_) {
    return end_silent(entry, v1::Verdict::CAUSE_SUSPENDED, "suspended after timeouts in a row");
  }
  if (presence_ == Presence::kLost && has_share() && entry.subject->may_wait) {
    entry.until = std::min(entry.until, now() + times_.outage_wait);
  } else if (presence_ != Presence::kUp) {
    return end_silent(entry, v1::Verdict::CAUSE_ABSENT, reason_);
  }
  waiting_.push_back(std::move(entry));
  pump();
}

void PolicyServer::notify(std::shared_ptr<const PolicySubject> subject) {
  if (presence_ != Presence::kUp) return;
  v1::ToPolicy message;
  message.mutable_notice()->set_profile(subject->profile);
  sessions_.front()->push(std::move(message), std::move(subject));
}

void PolicyServer::note_link(bool is_connected, const std::string& reason) {
  is_link_connected_ = is_connected;
  if (presence_ != Presence::kUp) reason_ = reason;
}

void PolicyServer::pump() {
  while (presence_ == Presence::kUp && !waiting_.empty() &&
         open_.size() + given_up_.size() < static_cast<size_t>(credit_)) {
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    send(std::move(entry));
  }
}

void PolicyServer::send(Entry entry) {
  const uint64_t number = ++last_question_;
  entry.was_asked = true;
  entry.asked_at = now();
  // A pause of the plugin shortened its time; it is back.
  entry.until = entry.subject->until;
  counts_.set_asked_count(counts_.asked_count() + 1);
  sessions_.front()->push(make_question(number, *entry.subject, entry.until - now()),
                          entry.subject);
  open_.emplace(number, std::move(entry));
}

void PolicyServer::receive(const std::shared_ptr<PolicySession>& session,
                           const v1::FromPolicy& message) {
  session->heard_at(now());
  switch (message.kind_case()) {
    case v1::FromPolicy::kVerdict:
      return take_verdict(session, message.verdict());
    case v1::FromPolicy::kCredit:
      if (!is_active(session)) return;
      credit_ = std::clamp(message.credit().questions(), 0, kCreditMax);
      return pump();
    case v1::FromPolicy::kHeartbeat:
      return;
    default:
      session->close(invalid_argument("neither verdict, heartbeat nor credit"));
  }
}

void PolicyServer::take_verdict(const std::shared_ptr<PolicySession>& session,
                                const v1::PolicyVerdict& answer) {
  const auto found = is_active(session) ? open_.find(answer.question()) : open_.end();
  if (found == open_.end()) return take_unexpected(session, answer);
  const Entry entry = std::move(found->second);
  open_.erase(found);
  answered_.emplace_back(answer.question(), entry.subject);
  if (answered_.size() > kAnsweredMaxCount) answered_.pop_front();
  timeouts_in_a_row_ = 0;
  silent_.clear();
  last_answer_at_ = now();
  PolicyReply reply = read_reply(*entry.subject, name_, answer);
  const v1::PolicyHello& hello = session->hello();
  reply.verdict.set_instance(hello.instance());
  if (reply.verdict.rule_set_sha256().empty()) {
    reply.verdict.set_rule_set_sha256(hello.rule_set_sha256());
  }
  reply.verdict.set_latency_us((now() - entry.asked_at).count() / 1'000);
  note_latency(reply.verdict.latency_us());
  end(entry, std::move(reply));
  pump();
}

void PolicyServer::take_unexpected(const std::shared_ptr<PolicySession>& session,
                                   const v1::PolicyVerdict& answer) {
  const uint64_t number = answer.question();
  if (probe_ && probe_->question == number) {
    resume();
    return pump();
  }
  if (const auto given_up = given_up_.find(number); given_up != given_up_.end()) {
    counts_.set_late_count(counts_.late_count() + 1);
    results_.lates.push_back(std::move(given_up->second.late));
    given_up_.erase(given_up);
    return pump();
  }
  const auto forgotten = is_active(session) ? forgotten_.find(number) : forgotten_.end();
  if (forgotten != forgotten_.end()) {
    counts_.set_late_count(counts_.late_count() + 1);
    results_.lates.push_back(std::move(forgotten->second));
    forgotten_.erase(forgotten);
    return;
  }
  const auto twice = std::find_if(answered_.begin(), answered_.end(),
                                  [&](const auto& answered) { return answered.first == number; });
  if (twice != answered_.end()) {
    counts_.set_invalid_count(counts_.invalid_count() + 1);
    results_.lates.push_back(
        about_late(*twice->second->event, "policy " + name_ + " answered a second time"));
    return;
  }
  // An answer to a probe that has run out, or to what was asked long ago, perhaps on an earlier
  // stream: a server that we dial may still have its answers in a queue.
  if (is_active(session) && number >= 1 && number <= last_question_) {
    counts_.set_late_count(counts_.late_count() + 1);
    return;
  }
  session->close(invalid_argument("an answer to a question that was not asked on this stream"));
}

void PolicyServer::count(const PolicyReply& reply) {
  const v1::Verdict& verdict = reply.verdict;
  switch (verdict.decision()) {
    case v1::DECISION_PASS:
      return counts_.set_pass_count(counts_.pass_count() + 1);
    case v1::DECISION_PASS_CHANGED:
      return counts_.set_changed_count(counts_.changed_count() + 1);
    case v1::DECISION_HANDLE:
      return counts_.set_handle_count(counts_.handle_count() + 1);
    default:
      counts_.set_error_count(counts_.error_count() + 1);
  }
  if (verdict.cause() == v1::Verdict::CAUSE_TIMEOUT) {
    counts_.set_timeout_count(counts_.timeout_count() + 1);
  } else if (verdict.cause() == v1::Verdict::CAUSE_INVALID_REPLY) {
    counts_.set_invalid_count(counts_.invalid_count() + 1);
  }
}

void PolicyServer::note_latency(int64_t latency_us) {
  latencies_us_.push_back(std::max<int64_t>(1, latency_us));
  if (latencies_us_.size() > kLatenciesMaxCount) latencies_us_.pop_front();
}

int64_t PolicyServer::recent_latency_us() const {
  if (latencies_us_.empty()) return 0;
  std::deque<int64_t> sorted = latencies_us_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

void PolicyServer::note_invalid_change() {
  counts_.set_changed_count(counts_.changed_count() - 1);
  counts_.set_error_count(counts_.error_count() + 1);
  counts_.set_invalid_count(counts_.invalid_count() + 1);
}

void PolicyServer::end(const Entry& entry, PolicyReply reply) {
  count(reply);
  reply.verdict.set_profile(entry.subject->profile);
  results_.results.push_back({entry.ticket, false, std::move(reply)});
}

void PolicyServer::end_silent(const Entry& entry, v1::Verdict::Cause cause, std::string reason) {
  PolicyReply reply = no_reply(cause, name_, std::move(reason));
  if (entry.was_asked) {
    reply.verdict.set_latency_us((now() - entry.asked_at).count() / 1'000);
    if (!sessions_.empty()) reply.verdict.set_instance(sessions_.front()->hello().instance());
  }
  end(entry, std::move(reply));
}

void PolicyServer::move(const Entry& entry) {
  results_.results.push_back({entry.ticket, true, {}});
}

void PolicyServer::give_up(uint64_t question, const Entry& entry) {
  LateReply late =
      about_late(*entry.subject->event, "policy " + name_ + " answered after its time");
  given_up_.emplace(question, GivenUp{std::move(late), now() + times_.limit()});
}

void PolicyServer::forget(uint64_t question, LateReply late) {
  forgotten_.insert_or_assign(question, std::move(late));
  if (forgotten_.size() > kForgottenMaxCount) forgotten_.erase(forgotten_.begin());
}

void PolicyServer::forget_given_up() {
  for (auto& [question, given_up] : given_up_) forget(question, std::move(given_up.late));
  given_up_.clear();
}

// A server that has thrown away what it was asked will never answer it.
void PolicyServer::expire_given_up() {
  for (auto place = given_up_.begin(); place != given_up_.end();) {
    if (place->second.until > now()) {
      ++place;
      continue;
    }
    forget(place->first, std::move(place->second.late));
    place = given_up_.erase(place);
  }
  pump();
}

void PolicyServer::tick() {
  for (const auto& session : std::vector(sessions_)) {
    if (now() - session->last_heard() <= kSilentBeats * times_.heartbeat) continue;
    session->close(deadline_exceeded("no heartbeat"));
    detach(session, false);
  }
  expire();
  expire_given_up();
  beat();
  probe();
}

// I2. An answer in the meantime shows that the plugin lives, so what merely stood in the line
// behind other questions is no timeout of its own.
void PolicyServer::expire() {
  const bool has_lost_share = presence_ != Presence::kUp && !has_share();
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    const bool is_over = place->until <= now();
    if (!is_over && !has_lost_share) {
      ++place;
      continue;
    }
    const Entry entry = std::move(*place);
    place = waiting_.erase(place);
    if (!is_over && !entry.was_asked) {
      move(entry);
    } else {
      end_expired(entry);
    }
  }
  for (auto place = open_.begin(); place != open_.end();) {
    if (place->second.until > now()) {
      ++place;
      continue;
    }
    const uint64_t question = place->first;
    const Entry entry = std::move(place->second);
    place = open_.erase(place);
    give_up(question, entry);
    end_expired(entry);
  }
  if (timeouts_in_a_row_ >= times_.suspend_after && !suspended_at_) suspend();
}

void PolicyServer::end_expired(const Entry& entry) {
  if (presence_ == Presence::kUp) {
    note_timeout(entry);
    return end_silent(entry, v1::Verdict::CAUSE_TIMEOUT, "no answer in time");
  }
  if (entry.was_asked) {
    return end_silent(entry, v1::Verdict::CAUSE_LOST, "it went away before it answered");
  }
  end_silent(entry, v1::Verdict::CAUSE_ABSENT, reason_);
}

void PolicyServer::note_timeout(const Entry& entry) {
  if (!entry.was_asked && last_answer_at_ >= entry.handed_over_at) return;
  ++timeouts_in_a_row_;
  unanswered_ = entry.subject;
}

// False where nobody is left who might answer: then nothing more is spent on waiting.
bool PolicyServer::hand_over() {
  const std::shared_ptr<PolicySession> front = sessions_.front();
  silent_.insert(front->hello().instance());
  const auto next = std::find_if(sessions_.begin() + 1, sessions_.end(), [this](const auto& other) {
    return !silent_.contains(other->hello().instance());
  });
  if (next == sessions_.end()) return false;
  std::rotate(sessions_.begin() + 1, next, next + 1);
  const std::string why = std::to_string(timeouts_in_a_row_) + " timeouts in a row";
  LOG_WARN("policy instance closed, the next takes over server={} instance={} reason={}", name_,
           front->hello().instance(), why);
  front->close(deadline_exceeded(why + ": another instance takes over"));
  detach(front, false);
  return true;
}

void PolicyServer::suspend() {
  if (hand_over()) return;
  LOG_WARN("policy suspended server={} timeouts_in_a_row={}", name_, timeouts_in_a_row_);
  suspended_at_ = now();
  since_unix_ns_ = clock_.unix_now_ns();
  next_probe_ = now() + times_.probe_interval;
  for (const auto& [question, entry] : std::exchange(open_, {})) {
    give_up(question, entry);
    end_silent(entry, v1::Verdict::CAUSE_SUSPENDED, "suspended after timeouts in a row");
  }
  for (const Entry& entry : std::exchange(waiting_, {})) {
    end_silent(entry, v1::Verdict::CAUSE_SUSPENDED, "suspended after timeouts in a row");
  }
}

void PolicyServer::resume() {
  if (suspended_at_) {
    LOG_INFO("policy resumed server={}", name_);
    since_unix_ns_ = clock_.unix_now_ns();
    // It answers again, and has dealt with its backlog in whatever way.
    forget_given_up();
  }
  suspended_at_.reset();
  unanswered_.reset();
  probe_.reset();
  timeouts_in_a_row_ = 0;
}

void PolicyServer::probe() {
  if (!suspended_at_ || presence_ != Presence::kUp || now() < next_probe_) return;
  if (probe_ && now() < probe_->until) return;
  next_probe_ = now() + times_.probe_interval;
  probe_ = Probe{.question = ++last_question_, .until = now() + times_.limit()};
  counts_.set_asked_count(counts_.asked_count() + 1);
  sessions_.front()->push(make_question(probe_->question, *unanswered_, times_.limit()),
                          unanswered_);
}

void PolicyServer::beat() {
  if (now() < next_beat_) return;
  next_beat_ = now() + times_.heartbeat;
  for (const auto& session : sessions_) {
    v1::ToPolicy message;
    message.mutable_heartbeat();
    session->push(std::move(message));
  }
}

void PolicyServer::close(const Status& reason) {
  for (const auto& session : std::exchange(sessions_, {})) session->close(reason);
  for (const auto& [question, entry] : std::exchange(open_, {})) waiting_.push_back(entry);
  resume();
  set_presence(Presence::kGone, reason.message());
  for (const Entry& entry : std::exchange(waiting_, {})) {
    end_silent(entry, v1::Verdict::CAUSE_ABSENT, reason.message());
  }
}

v1::ServerInfo PolicyServer::info() const {
  v1::ServerInfo info = counts_;
  info.set_server(name_);
  info.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  info.set_since_unix_ns(since_unix_ns_);
  info.set_is_suspended(suspended_at_.has_value());
  info.set_recent_latency_us(recent_latency_us());
  info.set_open_count(static_cast<int64_t>(open_.size()));
  if (presence_ != Presence::kUp) {
    info.set_state(is_link_connected_ ? v1::SourceInfo::LINK_STATE_CONNECTED
                                      : v1::SourceInfo::LINK_STATE_GONE);
    info.set_reason(reason_);
    return info;
  }
  // Attached, and yet of no use: the guide's CONNECTED.
  info.set_state(suspended_at_ ? v1::SourceInfo::LINK_STATE_CONNECTED
                               : v1::SourceInfo::LINK_STATE_ACTIVE);
  info.set_reason(suspended_at_
                      ? "suspended: " + std::to_string(timeouts_in_a_row_) + " timeouts in a row"
                      : reason_);
  const v1::PolicyHello& hello = sessions_.front()->hello();
  info.set_instance(hello.instance());
  info.set_software(hello.software());
  info.set_rule_set_sha256(hello.rule_set_sha256());
  info.set_standby_count(static_cast<int64_t>(sessions_.size()) - 1);
  return info;
}

}  // namespace verbatim::collector
