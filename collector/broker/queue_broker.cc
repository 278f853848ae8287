#include "collector/broker/queue_broker.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "collector/broker/answers.h"
#include "collector/broker/first_verdict.h"
#include "collector/broker/made_event.h"

namespace verbatim::collector {
namespace {

constexpr auto kNoDeadline = std::chrono::nanoseconds::max();
constexpr std::chrono::milliseconds kKeeperInterval{20};
constexpr std::chrono::seconds kMarkInterval{1};

v1::Verdict make_pass_verdict(const std::string& collector_name) {
  v1::Verdict verdict;
  verdict.set_instance(collector_name);
  verdict.set_decision(v1::DECISION_PASS);
  verdict.set_reason("no policy is assigned");
  return verdict;
}

// A sender that sends again until it hears "accepted" reports; it asks for no permission.
bool asks_for_verdict(const PendingEvent& pending) {
  return pending.is_awaited && !pending.is_resent_after_error;
}

}  // namespace

// An awaited event on its way.
struct QueueBroker::Flight {
  queue::PutRequest request;
  std::chrono::nanoseconds deadline = kNoDeadline;
  std::function<void(const Answer&)> done;
  std::string event_id;
  std::string order_key;
  std::string source_name;
  std::string source_protocol;
  int64_t accept_unix_ns = 0;
  bool is_resent_after_error = false;
  bool concerns_roster = false;
  std::optional<v1::Event> outline;  // where roster or an outcome may need it
  // While nobody knows whether the queue has the event, its files stay claimed.
  FileUse use;
  QueueBrokerOptions::LinkTicket links;
  Decided decided;
  bool is_put = false;

  void tell_links(bool is_stored) {
    if (auto ticket = std::exchange(links, nullptr)) ticket(is_stored);
  }
};

QueueBroker::QueueBroker(base::FileSystem& file_system, queue::QueueClient& client,
                         QueueBrokerOptions options)
    : file_system_(file_system),
      client_(client),
      options_(std::move(options)),
      completer_(options_.profile, options_.completer),
      pass_{.verdict = make_pass_verdict(options_.collector_name),
            .changed_raw = {},
            .text_for_sender = {},
            .first_verdict = make_pass_verdict(options_.collector_name).SerializeAsString()},
      made_epoch_(static_cast<uint64_t>(options_.completer.clock->unix_now_ns())) {}

QueueBroker::~QueueBroker() { stop(); }

Result<std::unique_ptr<QueueBroker>> QueueBroker::create(base::FileSystem& file_system,
                                                         queue::QueueClient& client,
                                                         QueueBrokerOptions options) {
  std::unique_ptr<QueueBroker> broker(new QueueBroker(file_system, client, std::move(options)));
  RETURN_IF_ERROR(broker->open());
  return broker;
}

Status QueueBroker::open() {
  RETURN_IF_ERROR(file_system_.create_directories(options_.data_dir));
  Outbox::Options outbox_options{.directory = base::join_path(options_.data_dir, "outbox"),
                                 .max_bytes = options_.outbox_max_bytes};
  // First the outbox: its lock keeps a second collector away from the other files.
  ASSIGN_OR_RETURN(outbox_, Outbox::open(file_system_, std::move(outbox_options), client_));
  ASSIGN_OR_RETURN(roster_,
                   Roster::open(file_system_, base::join_path(options_.data_dir, "roster")));
  AttemptTrackerOptions attempt_options;
  attempt_options.path = base::join_path(options_.data_dir, "attempts");
  attempt_options.profile = options_.profile;
  attempt_options.wait = options_.unconfirmed_after;
  attempt_options.clock = &clock();
  attempt_options.collector_name = options_.collector_name;
  ASSIGN_OR_RETURN(attempts_, AttemptTracker::open(file_system_, std::move(attempt_options)));
  ASSIGN_OR_RETURN(alive_,
                   AliveMarkFile::open(file_system_, base::join_path(options_.data_dir, "alive")));
  return {};
}

void QueueBroker::start() {
  Outbox::Hooks hooks;
  hooks.released = [this](const std::string& key) { on_released(key); };
  hooks.lost = [this](const v1::PutMessage& message, const Status& status) {
    on_lost(message, status);
  };
  hooks.failed = [this](const Status& status) {
    if (options_.on_fatal) options_.on_fatal(status);
  };
  hooks.fenced = [this] { end_fenced(); };
  outbox_->start(std::move(hooks));
  if (options_.policies != nullptr) {
    options_.policies->set_on_late([this](const LateReply& late) {
      submit_outcome(late.about, late.event_id, v1::VerdictOutcome::OUTCOME_POLICY_LATE,
                     late.detail);
    });
  }
  report_absence();
  write_marks();
  keeper_ = std::thread([this] { run_keeper(); });
}

void QueueBroker::stop() {
  std::vector<FlightPointer> left;
  {
    base::MutexLock lock(order_mutex_);
    is_stopping_ = true;
    for (auto& [key, flights] : waiting_) left.insert(left.end(), flights.begin(), flights.end());
    waiting_.clear();
    waiting_count_ = 0;
  }
  for (const FlightPointer& flight : left) {
    answer(*flight, error_answer(Answer::Cause::kUnavailable, "the collector is stopping"));
  }
  {
    base::MutexLock lock(keeper_mutex_);
    is_keeper_stopping_ = true;
    keeper_wakes_.notify_all();
  }
  if (keeper_.joinable()) {
    keeper_.join();
    write_marks();
  }
  if (outbox_) outbox_->stop();
}

void QueueBroker::run_keeper() {
  auto next_marks = clock().monotonic();
  while (true) {
    keep();
    if (clock().monotonic() >= next_marks) {
      for (const GapReport& report : outages_.take_owed()) submit_gap(report);
      write_marks();
      next_marks = clock().monotonic() + kMarkInterval;
    }
    base::MutexLock lock(keeper_mutex_);
    if (keeper_wakes_.wait_for(keeper_mutex_, kKeeperInterval,
                               [this]() REQUIRES(keeper_mutex_) { return is_keeper_stopping_; })) {
      return;
    }
  }
}

void QueueBroker::keep() {
  if (options_.policies != nullptr) options_.policies->tick();
  for (auto& [flight, due] : take_expired()) answer(*flight, std::move(due));
  submit_unconfirmed();
}

void QueueBroker::submit_unconfirmed() {
  for (const AttemptTracker::Outcome& due : attempts_->take_due()) {
    const v1::Event& about = due.attempt.about();
    PendingEvent pending;
    pending.event = make_outcome_event(about, about.id(), due.outcome, due.detail);
    *pending.event.mutable_source_key() = due.attempt.outcome_key();
    pending.done = [this, number = due.number](const Answer& answer) {
      attempts_->finish(number, answer.kind != Answer::Kind::kError);
    };
    submit_made(std::move(pending));
  }
}

std::vector<QueueBroker::DueAnswer> QueueBroker::take_expired() {
  std::vector<DueAnswer> expired;
  base::MutexLock lock(order_mutex_);
  if (waiting_count_ == 0) return expired;
  const auto now = clock().monotonic();
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    std::deque<FlightPointer> kept;
    for (FlightPointer& flight : place->second) {
      if (flight->deadline > now) {
        kept.push_back(std::move(flight));
        continue;
      }
      expired.emplace_back(
          std::move(flight),
          error_answer(Answer::Cause::kDeadline, "not durable in time, behind the outbox"));
      --waiting_count_;
    }
    place->second = std::move(kept);
    place = place->second.empty() ? waiting_.erase(place) : std::next(place);
  }
  return expired;
}

void QueueBroker::write_marks() {
  v1::AliveMark mark;
  mark.set_unix_ns(clock().unix_now_ns());
  for (v1::OwedGap& gap : outages_.snapshot()) *mark.add_gaps() = std::move(gap);
  if (const Status status = alive_->write(std::move(mark)); !status.ok()) {
    // The file is written in place: a sync that is tried again could claim what the disk lost.
    LOG_ERROR("alive mark not written: {}", status.to_string());
    if (options_.on_fatal) options_.on_fatal(status);
  }
  // Each attempt writes and syncs a file of its own, so trying again in a second is sound.
  if (const Status status = roster_->save(); !status.ok()) {
    LOG_ERROR("roster not saved: {}", status.to_string());
  }
  if (const Status status = attempts_->save(); !status.ok()) {
    LOG_ERROR("attempts not saved: {}", status.to_string());
  }
}

// The collector before us did not run from its last mark to now; gaps it owed are ours now.
void QueueBroker::report_absence() {
  const auto& previous = alive_->previous();
  if (!previous) return;
  for (const v1::OwedGap& owed : previous->gaps()) {
    GapReport report{owed.source(), owed.protocol(), owed.gap()};
    if (report.gap.end_unix_ns() == 0) report.gap.set_end_unix_ns(previous->unix_ns());
    submit_gap(report);
  }
  for (const auto& [name, protocol] : options_.sources) {
    GapReport report{name, protocol, {}};
    report.gap.set_start_unix_ns(previous->unix_ns());
    report.gap.set_end_unix_ns(std::max(clock().unix_now_ns(), previous->unix_ns()));
    report.gap.set_reason(v1::CaptureGap::REASON_COLLECTOR_DOWN);
    report.gap.set_missing_count(-1);
    report.gap.set_detail("the collector was not running");
    submit_gap(report);
  }
}

std::chrono::nanoseconds QueueBroker::default_deadline() const {
  return clock().monotonic() + options_.event_deadline;
}

void QueueBroker::set_made_key(v1::Event& event) {
  v1::SourceKey::Made& made = *event.mutable_source_key()->mutable_made();
  made.set_collector(options_.collector_name);
  made.set_epoch(made_epoch_);
  made.set_sequence(++made_sequence_);
}

void QueueBroker::submit(PendingEvent pending) {
  if (pending.event.source_key().form_case() == v1::SourceKey::FORM_NOT_SET) {
    set_made_key(pending.event);
  }
  FileUse use;
  if (auto named = files_named_by(pending.event); !named.empty() && options_.use_files) {
    use = options_.use_files(std::move(named));
  }
  auto prepared = completer_.prepare(std::move(pending.event));
  if (!prepared.has_value()) {
    if (pending.done) pending.done(refused_answer(prepared.error()));
    return;
  }
  if (options_.policies != nullptr &&
      options_.policies->concerns(*prepared, pending.packet_type, pending.is_understood)) {
    return ask_policies(*std::move(prepared), std::move(pending), std::move(use));
  }
  if (asks_for_verdict(pending)) *prepared->add_verdicts() = pass_.verdict;
  put_on_road(*std::move(prepared), std::move(pending), std::move(use), pass_);
}

// What the collector makes is about what it knows already: no policy is told, and it waits for
// none.
void QueueBroker::submit_made(PendingEvent pending) {
  const bool has_key = pending.event.source_key().form_case() != v1::SourceKey::FORM_NOT_SET;
  if (!has_key) set_made_key(pending.event);
  pending.is_awaited = false;
  auto prepared = completer_.prepare(std::move(pending.event));
  if (!prepared.has_value()) {
    if (pending.done) pending.done(refused_answer(prepared.error()));
    return;
  }
  put_on_road(*std::move(prepared), std::move(pending), nullptr, pass_);
}

void QueueBroker::ask_policies(v1::Event prepared, PendingEvent pending, FileUse use) {
  if (prepared.ByteSizeLong() > static_cast<size_t>(options_.completer.message_max_bytes)) {
    if (pending.done) {
      pending.done(refused_answer(resource_exhausted("event: larger than a message may be")));
    }
    return;
  }
  PolicyRequest request;
  request.event = std::move(prepared);
  request.packet_type = std::move(pending.packet_type);
  request.is_awaited = asks_for_verdict(pending);
  request.is_pass_only = pending.is_pass_only;
  request.has_happened = pending.has_happened;
  request.is_understood = pending.is_understood;
  request.stanza_of = pending.stanza_of;
  request.apply_change = std::move(pending.apply_change);
  request.deadline = pending.deadline.value_or(default_deadline());
  const auto kept =
      std::make_shared<std::pair<PendingEvent, FileUse>>(std::move(pending), std::move(use));
  request.done = [this, kept](PolicyOutcome outcome) {
    take_outcome(std::move(outcome), std::move(kept->first), std::move(kept->second));
  };
  options_.policies->submit(std::move(request));
}

void QueueBroker::take_outcome(PolicyOutcome outcome, PendingEvent pending, FileUse use) {
  if (outcome.kind != PolicyOutcome::Kind::kDecided) {
    const v1::Source& source = outcome.event.source();
    if (!pending.is_resent_after_error) {
      outages_.note_failure(source.name(), source.protocol(), outcome.event.accept_time_unix_ns());
    }
    const bool is_full = outcome.kind == PolicyOutcome::Kind::kFull;
    if (!pending.done) return;
    return pending.done(
        is_full ? error_answer(Answer::Cause::kFull, "too many events wait for policies")
                : error_answer(Answer::Cause::kUnavailable, "the collector is stopping"));
  }
  if (!asks_for_verdict(pending)) {
    return put_on_road(std::move(outcome.event), std::move(pending), std::move(use), pass_);
  }
  Decided decided{.verdict = std::move(outcome.verdict),
                  .changed_raw = std::move(outcome.changed_raw),
                  .text_for_sender = std::move(outcome.text_for_sender),
                  .first_verdict = {}};
  decided.first_verdict =
      first_verdict_bytes(decided.verdict, decided.changed_raw, decided.text_for_sender);
  put_on_road(std::move(outcome.event), std::move(pending), std::move(use), std::move(decided));
}

void QueueBroker::put_on_road(v1::Event prepared, PendingEvent pending, FileUse use,
                              Decided decided) {
  auto complete = completer_.seal(std::move(prepared));
  if (!complete.has_value()) {
    if (pending.done) pending.done(refused_answer(complete.error()));
    return;
  }
  LinkTicket links;
  if (options_.note_links) links = options_.note_links(complete->event);
  if (pending.is_awaited) {
    submit_awaited(*std::move(complete), std::move(pending), std::move(use), std::move(links),
                   std::move(decided));
  } else {
    // In the outbox it is counted until the queue has it, see is_outbox_settled().
    submit_unawaited(*std::move(complete), std::move(pending), links);
  }
}

int64_t QueueBroker::in_flight_count() const {
  const int64_t waiting = options_.policies == nullptr ? 0 : options_.policies->waiting().count;
  return in_flight_count_ + waiting;
}

void QueueBroker::submit_awaited(CompleteEvent complete, PendingEvent pending, FileUse use,
                                 LinkTicket links, Decided decided) {
  auto flight = std::make_shared<Flight>();
  flight->use = std::move(use);
  flight->links = std::move(links);
  flight->deadline = pending.deadline.value_or(kNoDeadline);
  flight->done = std::move(pending.done);
  flight->event_id = complete.event.id();
  flight->order_key = complete.order_key;
  flight->source_name = complete.event.source().name();
  flight->source_protocol = complete.event.source().protocol();
  flight->accept_unix_ns = complete.event.accept_time_unix_ns();
  flight->is_resent_after_error = pending.is_resent_after_error;
  flight->concerns_roster = concerns_roster(complete.event);
  if (flight->concerns_roster || !flight->is_resent_after_error ||
      attempts_->concerns(complete.event)) {
    flight->outline = outline_of(complete.event);
  }
  queue::PutRequest& request = flight->request;
  request.order_key = std::move(complete.order_key);
  request.source_key = std::move(complete.source_key);
  request.source = complete.event.source().name();
  request.verdict = std::move(decided.first_verdict);
  flight->decided = std::move(decided);
  request.envelope = std::move(complete.envelope_bytes);
  request.body = std::move(complete.event_bytes);
  ++in_flight_count_;
  std::optional<Answer> due;
  {
    base::MutexLock lock(order_mutex_);
    if (is_stopping_) {
      due = error_answer(Answer::Cause::kUnavailable, "the collector is stopping");
    } else if (waiting_.contains(flight->order_key) || outbox_->holds(flight->order_key)) {
      due = wait_locked(flight);
    } else {
      due = put_locked(flight);
    }
  }
  if (due) answer(*flight, *std::move(due));
}

std::optional<Answer> QueueBroker::wait_locked(const FlightPointer& flight) {
  if (waiting_count_ >= options_.waiting_max_count) {
    return error_answer(Answer::Cause::kFull, "too many events wait");
  }
  waiting_[flight->order_key].push_back(flight);
  ++waiting_count_;
  return std::nullopt;
}

std::optional<Answer> QueueBroker::put_locked(const FlightPointer& flight) {
  if (!flight->is_resent_after_error || flight->use != nullptr || flight->links) {
    flight->request.late = [this, flight](Result<queue::PutOutcome> outcome) {
      on_late(flight, outcome);
    };
  }
  flight->is_put = true;
  const Status status =
      client_.put(std::move(flight->request), flight->deadline,
                  [this, flight](Result<queue::PutOutcome> outcome) { on_put(flight, outcome); });
  if (status.ok()) return std::nullopt;
  flight->is_put = false;
  if (status.code() == StatusCode::kResourceExhausted) {
    return error_answer(Answer::Cause::kFull, "memory for the queue is full");
  }
  if (status.code() == StatusCode::kInvalidArgument) return refused_answer(status);
  if (status.code() == StatusCode::kFailedPrecondition) end_fenced();
  return error_answer(Answer::Cause::kUnavailable, "the collector is stopping");
}

void QueueBroker::on_put(const FlightPointer& flight, const Result<queue::PutOutcome>& outcome) {
  if (outcome.has_value()) {
    FAULT_POINT("collector.durable_before_answer");
    note_success();
    // The links of a repeat were noted the first time.
    flight->tell_links(!outcome->is_repeat);
    // What a policy has stopped moves nobody.
    if (flight->concerns_roster && !outcome->is_repeat && flight->decided.is_pass()) {
      roster_->apply(*flight->outline);
    }
    Answer accepted = accepted_answer(flight->event_id);
    accepted.is_repeat = outcome->is_repeat;
    accepted.verdict = std::move(flight->decided.verdict);
    accepted.changed_raw = std::move(flight->decided.changed_raw);
    accepted.text_for_sender = std::move(flight->decided.text_for_sender);
    if (outcome->is_repeat && !outcome->first_verdict.empty()) {
      answer_as_first(outcome->first_verdict, accepted);
    }
    if (flight->outline && !outcome->is_repeat) {
      attempts_->note(*flight->outline, accepted.verdict.decision());
    }
    answer(*flight, std::move(accepted));
    return;
  }
  const Status error = outcome.error();
  if (!queue::is_in_doubt(error)) flight->tell_links(false);
  if (error.code() == StatusCode::kInvalidArgument) {
    answer(*flight, refused_answer(error));
  } else if (error.code() == StatusCode::kDeadlineExceeded) {
    answer(*flight, error_answer(client_.is_connected() ? Answer::Cause::kDeadline
                                                        : Answer::Cause::kUnavailable,
                                 "not durable in time"));
  } else {
    // In doubt, and nobody will tell us: the archive is told that nobody knows.
    if (error.code() == StatusCode::kFailedPrecondition) end_fenced();
    const bool is_unknown = queue::is_in_doubt(error);
    answer(*flight, error_answer(Answer::Cause::kUnavailable, "the queue is not available"));
    if (is_unknown && !flight->is_resent_after_error) {
      submit_outcome(*flight->outline, flight->event_id, v1::VerdictOutcome::OUTCOME_UNKNOWN,
                     "answered with an error while the queue had not confirmed the event");
    }
  }
}

// The queue takes nothing of ours again: a later collector of our name has its numbering.
void QueueBroker::end_fenced() {
  if (is_fenced_.exchange(true) || !options_.on_fatal) return;
  options_.on_fatal(failed_precondition(
      "another collector uses this name (collector.name=" + options_.collector_name + ")"));
}

void QueueBroker::on_late(const FlightPointer& flight, const Result<queue::PutOutcome>& outcome) {
  if (outcome.has_value()) flight->tell_links(!outcome->is_repeat);
  if (flight->is_resent_after_error) return;
  if (!outcome.has_value() && queue::is_in_doubt(outcome.error())) {
    submit_outcome(*flight->outline, flight->event_id, v1::VerdictOutcome::OUTCOME_UNKNOWN,
                   "answered with an error; whether the event is stored was never known");
  }
  if (!outcome.has_value() || outcome->is_repeat) return;
  note_success();
  submit_outcome(*flight->outline, flight->event_id, v1::VerdictOutcome::OUTCOME_ANSWERED_ERROR,
                 "answered with an error before the event became durable");
}

// An event that no one waits for and that the queue will never take: at least its absence is
// recorded.
void QueueBroker::on_lost(const v1::PutMessage& message, const Status& status) {
  v1::Event event;
  if (!event.ParseFromString(message.body()) || event.has_capture_gap()) return;
  GapReport report{event.source().name(), event.source().protocol(), {}};
  report.gap.set_start_unix_ns(event.accept_time_unix_ns());
  report.gap.set_end_unix_ns(std::max(clock().unix_now_ns(), event.accept_time_unix_ns()));
  report.gap.set_node(event.source().node());
  report.gap.set_reason(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE);
  report.gap.set_missing_count(1);
  report.gap.set_detail("the queue refused the event for good: " + status.message());
  submit_gap(report);
}

void QueueBroker::note_success() {
  for (const GapReport& report : outages_.note_success(clock().unix_now_ns())) submit_gap(report);
}

void QueueBroker::on_released(const std::string& order_key) {
  std::vector<DueAnswer> refused;
  {
    base::MutexLock lock(order_mutex_);
    const auto waiting = waiting_.find(order_key);
    if (waiting != waiting_.end() && !outbox_->holds(order_key)) {
      std::deque<FlightPointer> flights = std::move(waiting->second);
      waiting_.erase(waiting);
      waiting_count_ -= flights.size();
      for (const FlightPointer& flight : flights) {
        if (auto due = put_locked(flight)) refused.emplace_back(flight, *std::move(due));
      }
    }
  }
  note_success();
  for (auto& [flight, due] : refused) answer(*flight, std::move(due));
}

void QueueBroker::answer(Flight& flight, Answer answer) {
  if (answer.kind == Answer::Kind::kError && !flight.is_resent_after_error) {
    outages_.note_failure(flight.source_name, flight.source_protocol, flight.accept_unix_ns);
  }
  --in_flight_count_;
  if (!flight.is_put) flight.tell_links(false);
  if (flight.done) flight.done(answer);
  flight.done = nullptr;
}

void QueueBroker::submit_unawaited(CompleteEvent complete, PendingEvent pending,
                                   const LinkTicket& links) {
  v1::PutMessage message;
  message.set_order_key(complete.order_key);
  message.set_source_key(std::move(complete.source_key));
  message.set_source(complete.event.source().name());
  message.set_verdict(pass_.first_verdict);
  message.set_envelope(std::move(complete.envelope_bytes));
  message.set_body(std::move(complete.event_bytes));
  const v1::Source source = complete.event.source();
  const int64_t accept_unix_ns = complete.event.accept_time_unix_ns();
  const bool is_gap = complete.event.has_capture_gap();
  // Nobody waits, so it goes on whatever we say, but for what its node discards.
  const auto& verdicts = complete.event.verdicts();
  const v1::Decision decision =
      verdicts.empty() ? v1::DECISION_PASS : verdicts.rbegin()->decision();
  const bool is_looked_at = concerns_roster(complete.event) || attempts_->concerns(complete.event);
  const auto outline =
      std::make_shared<v1::Event>(is_looked_at ? outline_of(complete.event) : v1::Event());
  const std::string event_id = complete.event.id();
  Status status;
  const auto done = std::make_shared<std::function<void(const Answer&)>>(std::move(pending.done));
  {
    base::MutexLock lock(order_mutex_);
    status = outbox_->enqueue(std::move(message), [this, done, outline, event_id, links,
                                                   decision](const Status& written) {
      const bool is_passed = decision == v1::DECISION_PASS;
      if (written.ok() && is_passed && concerns_roster(*outline)) roster_->apply(*outline);
      if (written.ok() && outline->has_source()) attempts_->note(*outline, decision);
      if (written.ok() && links) links(true);
      if (!*done) return;
      (*done)(written.ok() ? accepted_answer(event_id)
                           : error_answer(Answer::Cause::kUnavailable, "the outbox failed"));
    });
  }
  if (status.ok()) return;
  if (links) links(false);
  const bool is_full = status.code() == StatusCode::kResourceExhausted;
  // A gap that finds no room is owed (submit_gap); anything else that is dropped widens one.
  if (!is_gap) outages_.note_failure(source.name(), source.protocol(), accept_unix_ns);
  if (*done) {
    (*done)(error_answer(is_full ? Answer::Cause::kFull : Answer::Cause::kUnavailable,
                         is_full ? "the outbox is full" : "the outbox is closed"));
  }
}

void QueueBroker::submit_gap(const GapReport& report) {
  PendingEvent pending;
  pending.event = make_gap_event(report);
  pending.done = [this, report](const Answer& answer) {
    if (answer.kind == Answer::Kind::kError) outages_.owe(report);
    if (answer.kind == Answer::Kind::kRefused) {
      LOG_ERROR("capture gap refused source={}: {}", report.source_name, answer.reason);
    }
  };
  LOG_WARN("capture gap source={} reason={} missing_count={} duration_ms={}", report.source_name,
           v1::CaptureGap::Reason_Name(report.gap.reason()), report.gap.missing_count(),
           (report.gap.end_unix_ns() - report.gap.start_unix_ns()) / 1'000'000);
  submit_made(std::move(pending));
}

void QueueBroker::submit_outcome(const v1::Event& about, const std::string& event_id,
                                 v1::VerdictOutcome::Outcome outcome, const std::string& detail) {
  PendingEvent pending;
  pending.event = make_outcome_event(about, event_id, outcome, detail);
  submit_made(std::move(pending));
}

}  // namespace verbatim::collector
