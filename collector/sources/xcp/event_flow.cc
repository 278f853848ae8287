#include "collector/sources/xcp/event_flow.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/sha256.h"
#include "collector/broker/jid.h"
#include "collector/sources/xcp/codec/stanza_change.h"

namespace verbatim::collector {
namespace {

constexpr size_t kNodesMaxCount = 64;
constexpr size_t kRoomDomainsMaxCount = 1024;
constexpr size_t kUnclaimedMaxCount = 10'000;

std::string repeat_key(const Xdb& xdb, std::string_view raw) {
  return xdb.to + '\n' + xdb.from + '\n' + xdb.id + '\n' + base::sha256(xdb_payload(raw));
}

// What orders answers: as the broker will key it, but before it has.
std::string conversation_of(const v1::Event& event) {
  switch (event.conversation().kind()) {
    case v1::CONVERSATION_KIND_ROOM:
      return "room " + parse_jid(event.conversation().address()).bare();
    case v1::CONVERSATION_KIND_DIRECT: {
      std::string one = parse_jid(event.actor().address()).bare();
      std::string two = event.others_size() == 0 ? "" : parse_jid(event.others(0).address()).bare();
      if (two < one) std::swap(one, two);
      return "direct " + one + " " + two;
    }
    case v1::CONVERSATION_KIND_PERSON:
      return "person " + parse_jid(event.actor().address()).bare();
    default:
      return "source";
  }
}

// What an outcome needs to say which event it is about, serialised.
std::string about(const v1::Event& event) {
  v1::Event small;
  *small.mutable_source() = event.source();
  *small.mutable_conversation() = event.conversation();
  if (event.has_actor()) *small.mutable_actor() = event.actor();
  *small.mutable_others() = event.others();
  return small.SerializeAsString();
}

// What the archive is told where the broker refuses an act that has happened anyway; none where the
// refusal prevents it. The digest names the payload, as Event.source_key would have.
std::shared_ptr<const GapReport> loss_of(const v1::Event& event, int64_t unix_ns) {
  if (event.phase() == v1::PHASE_ATTEMPT) return nullptr;
  auto loss = std::make_shared<GapReport>();
  loss->source_name = event.source().name();
  loss->source_protocol = "xcp";
  loss->gap.set_start_unix_ns(unix_ns);
  loss->gap.set_end_unix_ns(unix_ns);
  loss->gap.set_node(event.source().node());
  loss->gap.set_reason(v1::CaptureGap::REASON_QUEUE_UNAVAILABLE);
  loss->gap.set_missing_count(1);
  loss->gap.set_detail(
      "an event was refused for good: raw_bytes=" + std::to_string(event.raw().size()) +
      " payload_sha256=" + base::to_hex(event.source_key().link().payload_sha256()));
  return loss;
}

PendingEvent pending_of(DecodedEvent decoded) {
  PendingEvent pending;
  pending.event = std::move(decoded.event);
  pending.packet_type = std::move(decoded.packet_type);
  pending.is_pass_only = decoded.reply_class != ReplyClass::kFree;
  // What comes after an act has the classes R3 and R4.
  pending.has_happened = decoded.is_told || decoded.reply_class == ReplyClass::kPassSame ||
                         decoded.reply_class == ReplyClass::kPassEmpty;
  pending.is_understood = decoded.is_understood;
  pending.stanza_of = decoded.stanza_of;
  pending.apply_change = std::move(decoded.apply_change);
  return pending;
}

Reply pass() { return {.kind = Reply::Kind::kPass, .stanza = {}, .reason = {}}; }
Reply error(std::string reason) {
  return {.kind = Reply::Kind::kError, .stanza = {}, .reason = std::move(reason)};
}

Reply error_by_policy(const Answer& answer) {
  const bool is_decided = answer.verdict.cause() == v1::Verdict::CAUSE_ANSWERED;
  Reply reply = error(is_decided ? "refused by policy" : "no policy could decide about it in time");
  if (!answer.text_for_sender.empty()) reply.reason = answer.text_for_sender;
  reply.is_final = is_decided;
  return reply;
}

Reply reply_of(const Answer& answer) {
  if (answer.kind != Answer::Kind::kAccepted) {
    return error(answer.kind == Answer::Kind::kRefused ? "the event was refused"
                                                       : "the event could not be archived in time");
  }
  switch (answer.verdict.decision()) {
    case v1::DECISION_HANDLE:
      return {.kind = Reply::Kind::kHandle, .stanza = {}, .reason = answer.text_for_sender};
    case v1::DECISION_ERROR:
      return error_by_policy(answer);
    case v1::DECISION_PASS_CHANGED: {
      auto stanza = parse_stanza(answer.changed_raw);
      if (!stanza) return error("the changed stanza is not known any more");
      return {.kind = Reply::Kind::kPassStanza, .stanza = *std::move(stanza), .reason = {}};
    }
    default:
      return pass();
  }
}

}  // namespace

void EventFlow::Box::put(Completion completion) {
  base::MutexLock lock(mutex);
  if (!wake) return;  // the flow is gone
  completions.push_back(std::move(completion));
  if (completions.size() == 1) wake();
}

EventFlow::EventFlow(EventFlowOptions options, Broker& broker, const EventCodec& codec, Send send,
                     std::function<void()> wake)
    : options_(std::move(options)),
      broker_(broker),
      codec_(codec),
      send_(std::move(send)),
      box_(std::make_shared<Box>()),
      answers_([this](const OpenRequest& request) { emit(request); }) {
  base::MutexLock lock(box_->mutex);
  box_->wake = std::move(wake);
}

EventFlow::~EventFlow() {
  base::MutexLock lock(box_->mutex);
  box_->wake = nullptr;
}

bool EventFlow::is_archived(const DecodedEvent& decoded) const {
  return !decoded.is_understood || broker_.profile().has(decoded.name, decoded.packet_type) ||
         broker_.has_route(decoded.event.source().node(), decoded.name, decoded.packet_type);
}

void EventFlow::take(uint64_t link, const base::XmlElement& element, std::string_view raw) {
  const Xdb xdb = parse_xdb(element);
  ++counters_.received;
  counters_.last_event_unix_ns = broker_.clock().unix_now_ns();
  const std::string key = repeat_key(xdb, raw);
  if (xdb.is_awaited() && answers_.join(key, link)) {
    ++counters_.repeats;
    return;
  }
  std::erase_if(unclaimed_, [&](const Unclaimed& unclaimed) { return unclaimed.key == key; });
  DecodedEvent decoded = codec_.decode(xdb, element, raw, [this](const std::string& domain) {
    return room_domains_.contains(domain);
  });
  decoded.event.mutable_source()->set_name(options_.source_name);
  if (!decoded.is_understood) ++counters_.undecodable;
  node_ = decoded.event.source().node();
  if (trackers_.contains(node_) || trackers_.size() < kNodesMaxCount) {
    const int64_t time = decoded.event.source_time_unix_ns() != 0
                             ? decoded.event.source_time_unix_ns()
                             : counters_.last_event_unix_ns;
    trackers_.try_emplace(node_, options_.sequence_grace)
        .first->second.take(decoded.boot, decoded.sequence, time, broker_.clock().monotonic());
  }
  note_rooms(decoded.event);
  if (decoded.snapshot && xdb.is_awaited()) {
    return take_snapshot(link, xdb, key, std::move(*decoded.snapshot), decoded.boot);
  }
  if (!xdb.is_awaited() || decoded.reply_class == ReplyClass::kNone) {
    return submit_notification(std::move(decoded));
  }
  submit(link, xdb, key, std::move(decoded));
}

// The domains of rooms tell room traffic from direct chat.
void EventFlow::note_rooms(const v1::Event& event) {
  if (event.conversation().kind() != v1::CONVERSATION_KIND_ROOM) return;
  if (!event.source().raw_event().starts_with("on")) return;
  if (room_domains_.size() >= kRoomDomainsMaxCount) return;
  const std::string& address = event.conversation().address();
  const size_t at = address.find('@');
  if (at != std::string::npos) room_domains_.insert(address.substr(at + 1));
}

void EventFlow::submit(uint64_t link, const Xdb& xdb, const std::string& key,
                       DecodedEvent decoded) {
  OpenRequest request{.key = key,
                      .conversation = conversation_of(decoded.event),
                      .xdb = xdb,
                      .reply_class = decoded.reply_class,
                      .links = {link},
                      .reply = {},
                      .event_id = {},
                      .about = about(decoded.event)};
  const uint64_t number = answers_.open(std::move(request));
  if (!is_archived(decoded)) {
    ++counters_.filtered;
    return answers_.answer(number, pass());
  }
  PendingEvent pending = pending_of(std::move(decoded));
  pending.is_awaited = true;
  pending.deadline = broker_.default_deadline();
  const auto loss = loss_of(pending.event, broker_.clock().unix_now_ns());
  pending.done = [box = box_, number, loss](const Answer& answer) {
    box->put({Completion::Kind::kRequest, number, answer, loss});
  };
  broker_.submit(std::move(pending));
}

void EventFlow::submit_notification(DecodedEvent decoded) {
  if (decoded.snapshot || !is_archived(decoded)) {
    ++counters_.filtered;
    return;
  }
  decoded.event.set_phase(v1::PHASE_NOTICE);
  ++notification_count_;
  PendingEvent pending = pending_of(std::move(decoded));
  pending.is_awaited = false;
  const auto loss = loss_of(pending.event, broker_.clock().unix_now_ns());
  pending.done = [box = box_, loss](const Answer& answer) {
    box->put({Completion::Kind::kNotification, 0, answer, loss});
  };
  broker_.submit(std::move(pending));
}

void EventFlow::run_completions() {
  std::vector<Completion> completions;
  {
    base::MutexLock lock(box_->mutex);
    completions.swap(box_->completions);
  }
  for (const Completion& completion : completions) {
    if (completion.kind == Completion::Kind::kRequest) {
      complete_request(completion);
    } else if (completion.kind == Completion::Kind::kSynthetic) {
      complete_synthetic(completion);
    } else {
      --notification_count_;
      if (completion.answer.kind == Answer::Kind::kAccepted) ++counters_.accepted;
      if (completion.answer.kind == Answer::Kind::kRefused) note_refused(completion);
      if (completion.answer.kind == Answer::Kind::kError) ++counters_.errors;
    }
  }
}

void EventFlow::note_refused(const Completion& completion) {
  ++counters_.refused;
  LOG_WARN("xcp event refused source={} reason={}", options_.source_name, completion.answer.reason);
  if (completion.loss) broker_.submit_gap(*completion.loss);
}

void EventFlow::complete_request(const Completion& completion) {
  const Answer& answer = completion.answer;
  const bool is_accepted = answer.kind == Answer::Kind::kAccepted;
  if (is_accepted && answer.is_repeat) ++counters_.repeats;
  if (is_accepted && !answer.is_repeat) ++counters_.accepted;
  if (answer.kind == Answer::Kind::kRefused) note_refused(completion);
  if (answer.kind == Answer::Kind::kError) ++counters_.errors;
  answers_.answer(completion.number, reply_of(answer),
                  is_accepted && !answer.is_repeat ? answer.event_id : std::string());
}

void EventFlow::emit(const OpenRequest& request) {
  const Reply reply = allowed_reply(request.reply_class, *request.reply);
  bool is_sent = false;
  for (const uint64_t link : request.links) is_sent |= send_(link, request.xdb, reply);
  if (is_sent || request.event_id.empty()) return;
  unclaimed_.push_back({request.key, request.event_id, request.about,
                        broker_.clock().monotonic() + options_.unclaimed_max});
  if (unclaimed_.size() > kUnclaimedMaxCount) unclaimed_.front().until = {};
}

void EventFlow::tick(std::chrono::nanoseconds now) {
  for (auto& [node, tracker] : trackers_) report_gaps(tracker, node, false);
  while (!unclaimed_.empty() && unclaimed_.front().until <= now) {
    tell_unclaimed(unclaimed_.front());
    unclaimed_.pop_front();
  }
}

void EventFlow::finish() {
  for (auto& [node, tracker] : trackers_) report_gaps(tracker, node, true);
  for (const Unclaimed& unclaimed : unclaimed_) tell_unclaimed(unclaimed);
  unclaimed_.clear();
}

void EventFlow::tell_unclaimed(const Unclaimed& unclaimed) {
  v1::Event about;
  CHECK(about.ParseFromString(unclaimed.about), "what we serialised");
  broker_.submit_outcome(about, unclaimed.event_id, v1::VerdictOutcome::OUTCOME_NOT_ANSWERED,
                         "the link had closed");
}

void EventFlow::report_gaps(SequenceTracker& tracker, const std::string& node, bool all) {
  for (const SequenceGap& found : tracker.collect(broker_.clock().monotonic(), all)) {
    GapReport report{options_.source_name, "xcp", {}};
    report.gap.set_start_unix_ns(found.start_unix_ns);
    report.gap.set_end_unix_ns(found.end_unix_ns);
    report.gap.set_node(node);
    report.gap.set_reason(v1::CaptureGap::REASON_SOURCE_GAP);
    report.gap.set_missing_count(static_cast<int64_t>(found.missing_count));
    report.gap.set_detail("the node's numbering jumped");
    broker_.submit_gap(report);
    ++counters_.gaps;
  }
}

void EventFlow::on_link_closed(uint64_t link) { assemblers_.erase(link); }

void EventFlow::take_snapshot(uint64_t link, const Xdb& xdb, const std::string& key,
                              SnapshotPart part, uint64_t boot) {
  SnapshotWork work;
  uint64_t unknown = 0;
  const bool is_kept = snapshot_boots_.contains(node_) || snapshot_boots_.size() < kNodesMaxCount;
  uint64_t& known_boot = is_kept ? snapshot_boots_[node_] : unknown;
  work.why = known_boot != 0 && boot > known_boot ? "restart" : "snapshot";
  work.request = answers_.open({.key = key,
                                .conversation = "snapshot",
                                .xdb = xdb,
                                .reply_class = ReplyClass::kPassOnly,
                                .links = {link},
                                .reply = {},
                                .event_id = {},
                                .about = {}});
  SnapshotAssembler& assembler = assemblers_[link];
  std::string reason;
  auto whole = assembler.add(std::move(part), reason);
  if (!whole) return answers_.answer(work.request, reason.empty() ? pass() : error(reason));
  work.part = std::move(*whole);
  work.rooms = assembler.rooms();
  switch (work.part.kind) {
    case SnapshotPart::Kind::kRoom:
      work.key = work.part.room.address();
      if (room_domains_.size() < kRoomDomainsMaxCount) {
        room_domains_.insert(parse_jid(work.key).domain);
      }
      break;
    case SnapshotPart::Kind::kSessions:
      work.key = "sessions";
      break;
    case SnapshotPart::Kind::kEnd:
      work.key = "end";
      known_boot = boot;
      assemblers_.erase(link);
      break;
  }
  const bool is_busy = std::any_of(snapshot_work_.begin(), snapshot_work_.end(),
                                   [&](const auto& other) { return other.second.key == work.key; });
  if (is_busy) {
    snapshot_waiting_.push_back(std::move(work));
  } else {
    start_snapshot_work(std::move(work));
  }
}

std::vector<v1::Event> EventFlow::compare(const SnapshotWork& work) {
  Roster& roster = broker_.roster();
  switch (work.part.kind) {
    case SnapshotPart::Kind::kRoom:
      return roster.diff_room(options_.source_name, work.part.room, work.part.occupants, work.why);
    case SnapshotPart::Kind::kSessions:
      return roster.diff_sessions(options_.source_name, work.part.sessions, work.why);
    case SnapshotPart::Kind::kEnd:
      return roster.diff_absent_rooms(options_.source_name, work.rooms, work.why);
  }
  return {};
}

void EventFlow::start_snapshot_work(SnapshotWork work) {
  std::vector<v1::Event> events = compare(work);
  if (events.empty()) return answers_.answer(work.request, pass());
  const uint64_t number = ++last_work_number_;
  work.open_count = events.size();
  work.part = {};
  snapshot_work_.emplace(number, std::move(work));
  for (v1::Event& event : events) {
    event.mutable_source()->set_name(options_.source_name);
    event.mutable_source()->set_node(node_);
    event.mutable_source()->set_protocol("xcp");
    event.mutable_source()->set_raw_event("x-snapshot");
    PendingEvent pending;
    pending.event = std::move(event);
    pending.is_awaited = false;
    pending.done = [box = box_, number](const Answer& answer) {
      box->put({Completion::Kind::kSynthetic, number, answer, nullptr});
    };
    broker_.submit(std::move(pending));
  }
}

void EventFlow::complete_synthetic(const Completion& completion) {
  const auto found = snapshot_work_.find(completion.number);
  if (found == snapshot_work_.end()) return;
  SnapshotWork& work = found->second;
  if (completion.answer.kind != Answer::Kind::kAccepted) {
    work.has_failed = true;
    ++counters_.errors;
  }
  if (--work.open_count > 0) return;
  const std::string key = work.key;
  answers_.answer(work.request,
                  work.has_failed ? error("the snapshot could not be archived") : pass());
  snapshot_work_.erase(found);
  const auto next = std::find_if(snapshot_waiting_.begin(), snapshot_waiting_.end(),
                                 [&](const SnapshotWork& other) { return other.key == key; });
  if (next == snapshot_waiting_.end()) return;
  SnapshotWork waiting = std::move(*next);
  snapshot_waiting_.erase(next);
  start_snapshot_work(std::move(waiting));
}

}  // namespace verbatim::collector
