#include "tests/model/queue_history.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <ostream>
#include <utility>

#include "base/frame.h"
#include "tests/fault/power_switch.h"
#include "tests/model/queue_difference.h"
#include "tests/model/queue_model.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue::model {
namespace {

using testing::FakeClock;
using testing::FaultFileSystem;
using testing::IoKind;
using testing::PowerSwitch;

// Ticks in which the service may write without being asked for anything.
constexpr int kTickMaxCount = 500;

constexpr std::array<const char*, static_cast<size_t>(StepKind::kCount)> kNames = {
    "put",           "put-out-of-sequence",
    "put-again",     "put-stale",
    "open-producer", "receive",
    "commit",        "abort",
    "abandon",       "extend",
    "wait",          "restart-consumer",
    "purge",         "move",
    "redrive",       "delete",
    "create",        "configure",
    "switch",        "ask-token",
    "destroy",       "trim-journal",
    "restart"};

std::string ids_text(const Model::Ids& ids) { return fmt::format("[{}]", fmt::join(ids, " ")); }

class History {
 public:
  History(const CoreOptions& options, HistoryTotals& totals) : options_(options), totals_(totals) {
    model_.now = clock_.unix_now_ns();
  }

  HistoryResult run(const std::vector<Step>& steps) {
    model_.make("events");
    open();
    for (const Step& step : steps) {
      if (!result_.wrong.empty()) break;
      run_step(step);
    }
    if (result_.wrong.empty()) finish();
    ++totals_.history_count;
    totals_.step_count += static_cast<int64_t>(steps.size());
    return std::move(result_);
  }

 private:
  // --- what happened ---
  void fail(const std::string& what) {
    if (result_.wrong.empty()) result_.wrong = what;
  }
  template <class... Args>
  void tell(fmt::format_string<Args...> text, Args&&... args) {
    result_.story.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  // --- steps, lives ---
  void run_step(const Step& step) {
    begin_doom(step);
    do_step(step);
    if (is_doomed_) {
      if (step.doom == Doom::kDropped || power_.has_stopped() || disk_.has_failed())
        is_dead_ = true;
      model_.on_unit = [] {};
      is_doomed_ = false;
      if (is_dead_) return recover(step);
      disk_.clear_faults();
      power_.stop_before_sync(0);
    }
    if (is_dead_) return fail("the log failed without a fault");
    check();
  }
  void begin_doom(const Step& step) {
    states_.clear();
    first_state_ = 0;
    is_doomed_ = step.doom != Doom::kNone;
    if (!is_doomed_) return;
    keep_state();
    model_.on_unit = [this] { keep_state(); };
    if (step.doom == Doom::kPowerCut) power_.stop_before_sync(1 + step.c % 3);
    if (step.doom == Doom::kDiskFails) {
      disk_.fail({.nth = 1 + step.c % 4,
                  .is_sticky = step.b % 2 == 0,
                  .kinds = {IoKind::kSync, IoKind::kWrite, IoKind::kRename, IoKind::kDirectory}});
    }
    is_dropped_ = step.doom == Doom::kDropped;
  }
  void keep_state() {
    states_.push_back(model_);
    states_.back().on_unit = [] {};
  }

  void open() {
    auto core = QueueCore::open(power_, clock_, options_);
    if (!core) return fail("the start was refused: " + core.error().to_string());
    core_ = *std::move(core);
    totals_.summary_count += static_cast<int64_t>(core_->log().stats().summarised_segment_count);
    is_dead_ = is_dropped_ = false;
    leases_.clear();
    tokens_.clear();
    hello();
  }
  void end_life() {
    totals_.copied_bytes += core_->store().copied_bytes();
    core_.reset();
  }
  // One of the states that may be left must be there.
  void recover(const Step& step) {
    ++totals_.crash_count;
    end_life();
    disk_.clear_faults();
    if (step.a % 4 == 0) {
      disk_.kill_process();
    } else if (step.a % 4 == 1) {
      disk_.power_cut_dropping_all();
    } else {
      disk_.power_cut(step.b * 31 + step.c);
    }
    power_.stop_before_sync(0);
    tell("  CRASH {} of {} states are possible", states_.size() - first_state_, states_.size());
    open();
    if (!result_.wrong.empty()) return;
    for (int i = 0; i < 2; ++i) {
      clock_.advance(std::chrono::milliseconds(1));
      tick_core();
    }
    std::string differences;
    for (size_t i = states_.size(); i-- > first_state_;) {
      Model candidate = states_[i];
      candidate.now = clock_.unix_now_ns();
      candidate.reopen();
      candidate.tick();
      candidate.tick();
      std::string difference = find_difference(core_->store(), candidate);
      if (difference.empty()) difference = find_difference_in_messages(*core_, candidate);
      if (difference.empty()) {
        tell("  state {} is there", i);
        model_ = std::move(candidate);
        return;
      }
      differences += fmt::format("\n  not state {}: {}", i, difference);
    }
    fail("after the crash none of the possible states is there:" + differences);
  }
  void restart(bool is_clean) {
    tell("restart{}", is_clean ? ", clean" : "");
    if (is_clean && !core_->log().close().ok()) return fail("the log cannot be closed");
    end_life();
    disk_.power_cut_dropping_all();
    open();
    if (!result_.wrong.empty()) return;
    model_.reopen();
    settle();
    check_all();
  }
  void finish() {
    restart(false);
    for (const auto& [name, queue] : Model(model_).queues) {
      if (!result_.wrong.empty()) return;
      if (!queue.is_receive_paused) receive(name, 100, 1'000);
      check();
    }
  }

  void check() {
    const std::string difference = find_difference(core_->store(), model_);
    if (!difference.empty()) fail(difference);
  }
  void check_all() {
    check();
    const std::string difference = find_difference_in_messages(*core_, model_);
    if (!difference.empty()) fail(difference);
  }

  // --- requests ---
  // What came for this request; nothing if the service died before.
  std::optional<v1::QueueFrame> ask(v1::QueueFrame frame) {
    if (is_dead_) return std::nullopt;
    frame.set_request_id(++request_id_);
    core_->handle("peer", base::encode_frame(frame));
    auto frames = flush();
    if (frames.empty() && is_dead_) return std::nullopt;
    if (frames.size() != 1) {
      fail(fmt::format("{} answers to one request", frames.size()));
      return std::nullopt;
    }
    if (is_doomed_) first_state_ = answered_state_;
    return frames.front();
  }
  // The model is done with what the answer tells of.
  void request_ends() { answered_state_ = is_doomed_ ? states_.size() - 1 : 0; }
  std::vector<v1::QueueFrame> flush() {
    if (is_dropped_ || !core_->commit_group().ok()) is_dead_ = true;
    std::vector<v1::QueueFrame> frames;
    for (const Outgoing& outgoing : core_->take_outgoing()) {
      v1::QueueFrame frame;
      if (!base::decode_frame(outgoing.frame, frame).ok()) fail("an answer cannot be read");
      frames.push_back(std::move(frame));
    }
    return frames;
  }
  void hello() {
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client("client");
    frame.mutable_hello()->set_instance(std::to_string(++instance_));
    ask(frame);
  }

  // --- time ---
  // All that is due now.
  bool tick_core() {
    bool has_written = false;
    int count = 0;
    for (bool is_open = true; is_open && !is_dead_ && result_.wrong.empty();) {
      if (++count > kTickMaxCount) fail("the service writes for ever");
      const uint64_t oldest = core_->log().oldest_generation();
      core_->tick();
      if (!core_->fatal().ok()) {
        is_dead_ = true;
        return true;
      }
      totals_.recycled_count += static_cast<int64_t>(core_->log().oldest_generation() - oldest);
      is_open = core_->log().is_group_open();
      has_written = has_written || is_open;
      if (!flush().empty()) fail("an answer that nobody has asked for");
    }
    return has_written;
  }
  // Until nothing is done any more. `first`: what the model does in the first tick.
  void settle(const std::function<void()>& first = {}) {
    for (int round = 0, idle = 0; idle < 2 && !is_dead_ && round < 100; ++round) {
      pass(1);
      model_.tick();
      if (round == 0 && first) first();
      idle = tick_core() || mark() ? 0 : idle + 1;
      if (round == 99) fail("the service does not come to rest");
    }
    if (is_dead_) return;
    const auto segment = static_cast<double>(core_->log().segment_bytes());
    const auto excess = static_cast<double>(core_->log().disk_bytes()) -
                        2 * static_cast<double>(core_->store().live_bytes());
    totals_.excess_segments_max = std::max(totals_.excess_segments_max, excess / segment);
    if (excess > 4 * segment) {
      fail(fmt::format(
          "the disk space is {:.2f} segments above twice the live bytes: segments={} "
          "spares={} all={} live_bytes={}",
          excess / segment, core_->log().segment_count(), core_->log().spare_count(),
          core_->log().disk_bytes() / core_->log().segment_bytes(), core_->store().live_bytes()));
    }
  }
  // As the service does when it has nothing to do.
  bool mark() {
    if (is_dead_ || core_->log().ends_with_mark()) return false;
    const auto group = core_->seal_mark();
    is_dead_ = is_dropped_ || !core_->log().write(*group).ok();
    if (!is_dead_) core_->group_done(*group);
    return true;
  }
  void pass(int64_t milliseconds) {
    clock_.advance(std::chrono::milliseconds(milliseconds));
    model_.now = clock_.unix_now_ns();
  }

  // --- what steps are about ---
  std::string any_queue(uint64_t pick) const {
    std::vector<std::string> names;
    for (const auto& [name, queue] : model_.queues) names.push_back(name);
    return names[pick % names.size()];
  }
  std::string main_queue(uint64_t pick) const {
    return pick % 3 == 2 && model_.queues.contains("b") ? "b" : "events";
  }
  // 0: there is none.
  uint64_t any_lease(uint64_t pick) const {
    if (leases_.empty()) return 0;
    auto it = leases_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(pick % leases_.size()));
    return model_.leases.contains(it->first) ? it->first : 0;
  }
  Model::Ids part_of(uint64_t lease, uint64_t pick) {
    Model::Ids ids = model_.leased(lease);
    if (pick % 3 != 0) return ids;
    size_t i = 0;
    std::erase_if(ids, [&](uint64_t) { return (pick >> (2 + i++ % 8) & 1) == 0; });
    return ids;
  }

  void do_step(const Step& step);
  void put(const std::string& queue, const std::string& producer, uint64_t epoch, uint64_t first,
           const std::vector<Model::PutMessage>& messages);
  std::vector<Model::PutMessage> new_messages(const Step& step);
  void put_next(const Step& step, uint64_t skipped, bool is_stale);
  void put_again(const Step& step);
  void open_producer(const Step& step);
  void receive(const std::string& queue, size_t max_count, int64_t lease_ms);
  void settle_lease(const Step& step);
  void extend(const Step& step);
  void restart_consumer();
  void transfer(const Step& step);
  void create_or_delete(const Step& step);
  void configure(const Step& step);
  void switch_queue(const Step& step);
  void ask_token(const Step& step);
  void destroy(const Step& step);
  void trim(const Step& step);
  void expect(const Status& status, bool is_ok, const std::string& what) {
    if (status.ok() != is_ok) {
      fail(fmt::format("{} gives '{}', it should {}", what, status.to_string(),
                       is_ok ? "be done" : "be refused"));
    }
    if (!is_dead_) flush();
  }

  const CoreOptions options_;
  HistoryTotals& totals_;
  HistoryResult result_;
  FaultFileSystem disk_;
  PowerSwitch power_{disk_};
  FakeClock clock_;
  std::unique_ptr<QueueCore> core_;
  Model model_;
  bool is_doomed_ = false;
  bool is_dead_ = false;
  bool is_dropped_ = false;
  uint64_t request_id_ = 0;
  uint64_t instance_ = 0;

  // Of a doomed step: what may be there afterwards.
  std::vector<Model> states_;
  size_t first_state_ = 0;
  size_t answered_state_ = 0;

  std::map<uint64_t, uint64_t> leases_;  // the model's, and the service's
  uint64_t next_lease_ = 1;
  uint64_t next_number_ = 1;
  struct LastPut {
    std::string queue, producer;
    uint64_t epoch = 0, first = 0;
    std::vector<Model::PutMessage> messages;
  };
  std::optional<LastPut> last_put_;
  struct Token {
    std::string queue, token;
    Model::Ids ids;
  };
  std::vector<Token> tokens_;
};

void History::do_step(const Step& step) {
  switch (step.kind) {
    case StepKind::kPut:
      return put_next(step, 0, false);
    case StepKind::kPutOutOfSequence:
      return put_next(step, 1 + step.c % 3, false);
    case StepKind::kPutStale:
      return put_next(step, 0, true);
    case StepKind::kPutAgain:
      return put_again(step);
    case StepKind::kOpenProducer:
      return open_producer(step);
    case StepKind::kReceive:
      return receive(step.a % 4 == 0 ? any_queue(step.b) : main_queue(step.b), 1 + step.c % 6,
                     step.c % 2 == 0 ? 200 : 3'000);
    case StepKind::kCommit:
    case StepKind::kAbort:
    case StepKind::kAbandon:
      return settle_lease(step);
    case StepKind::kExtend:
      return extend(step);
    case StepKind::kWait: {
      const int64_t time = std::array<int64_t, 4>{0, 150, 800, 9'000}[step.a % 4];
      tell("wait {} ms", time);
      pass(time);
      return settle();
    }
    case StepKind::kRestartConsumer:
      return restart_consumer();
    case StepKind::kPurge:
    case StepKind::kMove:
    case StepKind::kRedrive:
      return transfer(step);
    case StepKind::kDelete:
    case StepKind::kCreate:
      return create_or_delete(step);
    case StepKind::kConfigure:
      return configure(step);
    case StepKind::kSwitch:
      return switch_queue(step);
    case StepKind::kAskToken:
      return ask_token(step);
    case StepKind::kDestroy:
      return destroy(step);
    case StepKind::kTrimJournal:
      return trim(step);
    case StepKind::kRestart:
    case StepKind::kCount:
      return step.doom == Doom::kNone ? restart(step.a % 2 == 0) : void();
  }
}

// --- producers ---

std::vector<Model::PutMessage> History::new_messages(const Step& step) {
  std::vector<Model::PutMessage> messages;
  for (uint64_t i = 0; i <= step.b % 3; ++i) {
    const uint64_t number = next_number_++;
    std::string source_key = fmt::format("u{}", number);
    if (step.c % 4 == 1) source_key.clear();
    if (step.c % 4 == 2) source_key = fmt::format("k{}", (step.c / 4 + i) % 3);
    messages.push_back({.number = number,
                        .order_key = fmt::format("o{}", (step.c + i * step.b) % 3),
                        .source_key = source_key});
  }
  return messages;
}

void History::put_next(const Step& step, uint64_t skipped, bool is_stale) {
  const std::string queue = main_queue(step.a);
  const std::string producer = step.a / 3 % 4 == 0 ? "q" : "p";
  const auto& known = model_.queues[queue].producers;
  const auto it = known.find(producer);
  const uint64_t epoch = it == known.end() ? 1 : it->second.epoch;
  const uint64_t last = it == known.end() ? 0 : it->second.answers.size();
  put(queue, producer, is_stale && epoch > 1 ? epoch - 1 : epoch, last + 1 + skipped,
      new_messages(step));
}

// The last put once more, perhaps with more behind it.
void History::put_again(const Step& step) {
  if (!last_put_) return;
  LastPut again = *last_put_;
  if (step.b % 2 == 0 && again.messages.size() < 3) {
    for (auto& more : new_messages({.b = 0, .c = step.c})) again.messages.push_back(more);
  }
  put(again.queue, again.producer, again.epoch, again.first, again.messages);
}

void History::put(const std::string& queue, const std::string& producer, uint64_t epoch,
                  uint64_t first, const std::vector<Model::PutMessage>& messages) {
  // The model knows of no disk.
  for (int i = 0; i < 100 && !is_dead_ && core_->store().is_short_of_space(); ++i) settle();
  last_put_ = {queue, producer, epoch, first, messages};
  v1::QueueFrame frame;
  v1::Put& put = *frame.mutable_put();
  put.set_queue(queue);
  put.set_producer(producer);
  put.set_epoch(epoch);
  put.set_first_sequence(first);
  for (const Model::PutMessage& one : messages) fill_put(one, *put.add_messages());
  const Model::PutReply expected = model_.put(queue, producer, epoch, first, messages);
  request_ends();
  std::string text = v1::RefusalReason_Name(expected.refusal);
  if (expected.refusal == v1::REFUSAL_REASON_UNSPECIFIED) {
    text.clear();
    for (const Answer& one : expected.answers) {
      text += fmt::format(" {}{}", one.lookup_id, one.is_repeat ? " (repeat)" : "");
    }
  }
  std::string keys;
  for (const auto& one : messages) {
    keys += fmt::format(" #{}:{}:{}", one.number, one.order_key, one.source_key);
  }
  tell("put queue={} producer={} epoch={} first={} messages={} ->{}", queue, producer, epoch, first,
       keys, text);
  if (const auto reply = ask(frame)) {
    const std::string difference = find_difference(*reply, expected);
    if (!difference.empty()) fail(difference);
  }
}

void History::open_producer(const Step& step) {
  const std::string queue = main_queue(step.a);
  const uint64_t epoch = 1 + step.b % 4;
  tell("open producer queue={} epoch={}", queue, epoch);
  v1::QueueFrame frame;
  frame.mutable_open_producer()->set_queue(queue);
  frame.mutable_open_producer()->set_producer("p");
  frame.mutable_open_producer()->set_epoch(epoch);
  const bool is_opened = model_.open_producer(queue, "p", epoch);
  request_ends();
  const auto reply = ask(frame);
  if (reply && reply->has_open_producer_reply() != is_opened) fail("open: " + show(*reply));
}

// --- consumers ---

void History::receive(const std::string& queue, size_t max_count, int64_t lease_ms) {
  // Nobody takes what an operator has to decide.
  const bool is_parked = queue.ends_with(";dead-letters") || queue.ends_with(";journal");
  if (is_parked) max_count = 0;
  const uint64_t lease = next_lease_++;
  const Model::Ids expected = model_.receive(queue, max_count, lease, lease_ms * kMillisecond);
  request_ends();
  tell("receive queue={} max_count={} lease_ms={} -> lease {} {}", queue, max_count, lease_ms,
       lease, ids_text(expected));
  v1::QueueFrame frame;
  v1::Receive& receive = *frame.mutable_receive();
  receive.set_queue(queue);
  receive.set_max_count(static_cast<int64_t>(std::max<size_t>(max_count, 1)));
  receive.set_max_bytes(1 << 20);
  receive.set_lease_ms(lease_ms);
  const auto reply = ask(frame);
  if (!reply) return;
  if (is_parked && reply->refused().reason() == v1::REFUSAL_REASON_INVALID) return;
  if (!reply->has_receive_reply() || is_parked) return fail("receive: " + show(*reply));
  const std::string difference =
      find_difference(reply->receive_reply(), expected, model_.queues[queue]);
  if (!difference.empty()) return fail(difference);
  if (!expected.empty()) leases_[lease] = reply->receive_reply().lease_id();
}

void History::settle_lease(const Step& step) {
  const uint64_t lease = any_lease(step.a);
  if (lease == 0) return;
  const std::string queue = model_.leases[lease].queue;
  const Model::Ids ids = part_of(lease, step.b);
  if (ids.empty()) return;
  v1::QueueFrame frame;
  const auto name = [&](auto* request) {
    request->set_queue(queue);
    request->set_lease_id(leases_[lease]);
    for (const uint64_t id : ids) request->add_lookup_ids(id);
  };
  if (step.kind == StepKind::kCommit) {
    tell("commit lease={} {}", lease, ids_text(ids));
    name(frame.mutable_commit());
    model_.commit(lease, ids);
  } else if (step.kind == StepKind::kAbort) {
    const int64_t delay = std::array<int64_t, 4>{0, 0, 100, 1'000}[step.c % 4];
    const bool is_untried = step.c / 4 % 3 == 0;
    tell("abort lease={} {} delay_ms={}{}", lease, ids_text(ids), delay,
         is_untried ? " untried" : "");
    name(frame.mutable_abort());
    frame.mutable_abort()->set_delay_ms(delay);
    frame.mutable_abort()->set_is_untried(is_untried);
    model_.abort(lease, ids, delay * kMillisecond, is_untried);
  } else {
    // Sub-queues of the service have no other.
    if (queue.find(';') != std::string::npos) return;
    tell("abandon lease={} {}", lease, ids_text(ids));
    name(frame.mutable_abandon());
    model_.abandon(lease, ids);
  }
  request_ends();
  model_.end_poison();
  const auto reply = ask(frame);
  if (reply && reply->settle_reply().settled_count() != static_cast<int64_t>(ids.size())) {
    fail("a lease is settled: " + show(*reply));
  }
}

void History::extend(const Step& step) {
  const uint64_t lease = any_lease(step.a);
  if (lease == 0) return;
  tell("extend lease={} by 2000 ms", lease);
  v1::QueueFrame frame;
  frame.mutable_extend()->set_queue(model_.leases[lease].queue);
  frame.mutable_extend()->set_lease_id(leases_[lease]);
  frame.mutable_extend()->set_lease_ms(2'000);
  model_.leases[lease].until = model_.now + 2'000 * kMillisecond;
  request_ends();
  const auto reply = ask(frame);
  if (reply && !reply->has_extend_reply()) fail("extend: " + show(*reply));
}

void History::restart_consumer() {
  tell("the consumer starts again");
  for (auto& [id, lease] : model_.leases) lease.until = 0;
  model_.end_leases(0);
  request_ends();
  model_.end_poison();
  hello();
  settle();
}

// --- operators ---

void History::transfer(const Step& step) {
  const std::string from = step.a % 2 == 0 ? any_queue(step.b) : main_queue(step.b);
  const bool is_journal = from.ends_with(";journal");
  std::string to;
  v1::TransferRequest request;
  bool is_ok = true;
  v1::EndReason reason = v1::END_REASON_REDRIVEN;
  if (step.kind == StepKind::kPurge) {
    request.set_kind(v1::TransferRequest::KIND_PURGE);
    reason = v1::END_REASON_PURGED;
    to = Model::sub(from, "dead-letters");
    is_ok = !is_journal && to != from && !model_.is_held(from);
  } else if (step.kind == StepKind::kMove) {
    request.set_kind(v1::TransferRequest::KIND_MOVE);
    reason = v1::END_REASON_MOVED;
    to = main_queue(step.c);
    is_ok = to != from && !model_.queues[to].is_deleting &&
            (!model_.is_held(from) || model_.is_held(to));
    request.set_to_queue(to);
  } else {
    request.set_kind(v1::TransferRequest::KIND_REDRIVE);
    is_ok = !is_journal;
  }
  const std::string order_key = step.c % 3 == 0 ? fmt::format("o{}", step.c / 3 % 3) : "";
  request.set_queue(from);
  request.set_rate_max(1'000'000);
  request.mutable_filter()->set_order_key(order_key);
  tell("{} from={} to={} order_key={}", kNames[static_cast<size_t>(step.kind)], from, to,
       order_key);
  const auto started = core_->start_transfer(request);
  expect(started ? Status() : started.error(), is_ok, "a transfer");
  if (!started || !is_ok || is_dead_) return;
  const uint64_t up_to = model_.queues[from].next_lookup_id - 1;
  settle([&] {
    // It may have been deleted at last.
    if (model_.find(from) != nullptr) model_.transfer(from, to, reason, order_key, up_to);
  });
  if (!is_dead_ && !core_->transfer_progress(*started)->is_done()) fail("a transfer does not end");
}

void History::create_or_delete(const Step& step) {
  const bool is_there = model_.queues.contains("b");
  if (step.kind == StepKind::kCreate) {
    tell("create queue=b");
    v1::CreateQueueRequest request;
    request.set_queue("b");
    if (!is_there) model_.make("b");
    return expect(core_->create_queue(request), !is_there, "the creation of a queue");
  }
  const bool is_forced = step.a % 4 != 0;
  tell("delete queue=b{}", is_forced ? " by force" : "");
  v1::DeleteQueueRequest request;
  request.set_queue("b");
  request.set_force(is_forced);
  const bool is_ok =
      is_there && !model_.queues["b"].is_held && (is_forced || model_.queues["b"].messages.empty());
  if (is_ok) model_.begin_deletion("b");
  const auto deleted = core_->delete_queue(request);
  expect(deleted ? Status() : deleted.error(), is_ok, "a deletion");
  settle();
}

void History::configure(const Step& step) {
  const std::string name = main_queue(step.a);
  v1::ConfigureQueueRequest request;
  request.set_queue(name);
  Settings& settings = model_.queues[name].settings;
  settings.quota_messages = step.b % 4 == 1 ? 5 : 0;
  settings.tries_per_cycle = 1 + static_cast<int64_t>(step.b / 4 % 2);
  settings.cycles = 1 + static_cast<int64_t>(step.c % 3);
  settings.cycle_delay = (step.c / 3 % 2 == 0 ? 0 : 500) * kMillisecond;
  settings.has_journal = step.c / 6 % 2 == 1;
  model_.on_unit();
  request.mutable_settings()->set_quota_messages(settings.quota_messages);
  request.mutable_settings()->set_retries(static_cast<int32_t>(settings.tries_per_cycle - 1));
  request.mutable_settings()->set_retry_cycles(static_cast<int32_t>(settings.cycles - 1));
  request.mutable_settings()->set_retry_cycle_delay_ms(settings.cycle_delay / kMillisecond);
  request.mutable_settings()->set_has_journal(settings.has_journal);
  tell("configure queue={} {}", name, show(request.settings()));
  expect(core_->configure_queue(request), true, "a configuration");
}

void History::switch_queue(const Step& step) {
  using Request = v1::SwitchQueueRequest;
  const std::string name = step.a % 3 == 0 ? any_queue(step.b) : main_queue(step.b);
  constexpr std::array kActions = {Request::ACTION_RESUME,       Request::ACTION_PAUSE_PUTS,
                                   Request::ACTION_RESUME,       Request::ACTION_PAUSE_RECEIVES,
                                   Request::ACTION_RELEASE_HOLD, Request::ACTION_HOLD};
  Request request;
  request.set_queue(name);
  request.set_action(kActions[step.c % kActions.size()]);
  Queue& queue = model_.queues[name];
  if (request.action() == Request::ACTION_PAUSE_PUTS) queue.is_put_paused = true;
  if (request.action() == Request::ACTION_PAUSE_RECEIVES) queue.is_receive_paused = true;
  if (request.action() == Request::ACTION_RESUME) {
    queue.is_put_paused = queue.is_receive_paused = false;
  }
  if (request.action() == Request::ACTION_HOLD) queue.is_held = true;
  if (request.action() == Request::ACTION_RELEASE_HOLD) queue.is_held = false;
  model_.on_unit();
  tell("switch queue={} {}", name, Request::Action_Name(request.action()));
  expect(core_->switch_queue(request), true, "a switch");
}

void History::ask_token(const Step& step) {
  const std::string name =
      Model::sub(main_queue(step.a), step.b % 2 == 0 ? "dead-letters" : "poison");
  v1::DestroyDeadLettersRequest request;
  request.set_queue(name);
  const auto answer = core_->destroy_dead_letters(request);
  const bool is_ok = model_.may_destroy(name);
  expect(answer ? Status() : answer.error(), is_ok, "a question for a token");
  if (!answer || !is_ok) return;
  tell("ask for a token queue={} -> {}", name, ids_text(model_.unleased(name)));
  tokens_.push_back({name, answer->token(), model_.unleased(name)});
}

void History::destroy(const Step& step) {
  if (tokens_.empty()) return;
  const Token token = tokens_[step.a % tokens_.size()];
  const bool is_ok = model_.may_destroy(token.queue) && token.ids == model_.unleased(token.queue);
  tell("destroy queue={} {}", token.queue, ids_text(token.ids));
  v1::DestroyDeadLettersRequest request;
  request.set_queue(token.queue);
  request.set_token(token.token);
  if (is_ok) {
    model_.destroy(token.queue, token.ids);
    tokens_.clear();
  }
  const auto answer = core_->destroy_dead_letters(request);
  expect(answer ? Status() : answer.error(), is_ok, "a destruction");
}

void History::trim(const Step& step) {
  const std::string name = main_queue(step.a);
  const std::string journal = Model::sub(name, "journal");
  const bool is_ok = model_.queues.contains(journal) && !model_.is_held(journal);
  tell("trim {} up to {}", journal, step.b % 8);
  v1::TrimJournalRequest request;
  request.set_queue(name);
  request.set_up_to_lookup_id(step.b % 8);
  if (is_ok) model_.trim(journal, step.b % 8);
  const auto answer = core_->trim_journal(request);
  expect(answer ? Status() : answer.error(), is_ok, "a trim");
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Step& step) {
  constexpr std::array kDooms = {"", " dropped", " power-cut", " disk-fails"};
  return out << kNames[static_cast<size_t>(step.kind)] << kDooms[static_cast<size_t>(step.doom)]
             << " " << step.a << " " << step.b << " " << step.c;
}

CoreOptions history_options() {
  CoreOptions options;
  options.log.directory = "/queue";
  options.log.segment_bytes = 64 * 1024;
  options.log.cache_bytes = 16 * 1024;
  options.message_max_bytes = 2'048;
  options.source_key_window = std::chrono::milliseconds(kWindow / kMillisecond);
  options.consumer_silence_max = std::chrono::hours(24);
  return options;
}

HistoryResult run_history(const std::vector<Step>& steps, const CoreOptions& options,
                          HistoryTotals& totals) {
  return History(options, totals).run(steps);
}

}  // namespace verbatim::queue::model
