// The running of one history (queue_history.h): the service, its disk and the model side by side.
// Clients' steps are in queue_history_clients.cc, operators' in queue_history_operators.cc.
#pragma once

#include <fmt/format.h>

#include <array>
#include <memory>
#include <utility>

#include "base/frame.h"
#include "tests/fault/power_switch.h"
#include "tests/model/queue_difference.h"
#include "tests/model/queue_history.h"
#include "tests/model/queue_model.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue::model {

using testing::FakeClock;
using testing::FaultFileSystem;
using testing::IoKind;
using testing::PowerSwitch;

// Ticks in which the service may write without being asked for anything.
constexpr int kTickMaxCount = 500;

const char* kind_name(StepKind kind);

inline std::string ids_text(const Model::Ids& ids) {
  return fmt::format("[{}]", fmt::join(ids, " "));
}

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
                  .kinds = {IoKind::kRead, IoKind::kSync, IoKind::kWrite, IoKind::kRename,
                            IoKind::kDirectory}});
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
    if (is_doomed_ && disk_.has_failed() &&
        frames.front().refused().reason() == v1::REFUSAL_REASON_FULL) {
      // No segment could be made ahead, and what copies messages was refused, at a place of which
      // the answer does not tell: as if there were none.
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
  // `behind`: leases that are named, by their numbers in the model.
  void receive(const std::string& queue, size_t max_count, int64_t lease_ms,
               const std::vector<uint64_t>& behind = {});
  std::vector<uint64_t> leases_to_name(const Step& step) const;
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

}  // namespace verbatim::queue::model
