// A random life of all queues over a disk that fails: puts, receives, commits, recycling, kills and
// power cuts. A producer that asks for its last number and sends again what is in doubt loses
// nothing and stores nothing twice; what was committed stays gone.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/frame.h"
#include "base/log.h"
#include "queue/queue_core.h"
#include "tests/fault/power_switch.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::queue {
namespace {

using testing::FakeClock;
using testing::FaultFileSystem;
using testing::IoKind;
using testing::PowerSwitch;

constexpr uint64_t kEpoch = 5;

class Storm {
 public:
  explicit Storm(uint64_t seed) : random_(seed) {
    options_.log.directory = "/queue";
    options_.log.segment_bytes = 64 * 1024;
    options_.log.cache_bytes = 16 * 1024;
    options_.message_max_bytes = 4096;
  }

  // What went wrong; empty if nothing did.
  std::string run(int step_count) {
    for (int step = 0; step < step_count && wrong_.empty(); ++step) {
      if (!core_ && !open()) continue;
      run_step();
    }
    disk_.clear_faults();
    power_.stop_before_sync(0);
    if (wrong_.empty() && (core_ || open())) drain();
    return wrong_;
  }
  uint64_t recycled_count() const { return recycled_count_; }

 private:
  static bool is_full(const v1::QueueFrame& reply) {
    return reply.refused().reason() == v1::REFUSAL_REASON_FULL;
  }
  uint64_t pick(uint64_t count) { return random_() % count; }
  void fail(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  void run_step() {
    switch (pick(20)) {
      case 0:
        return die();
      case 1:
        return disk_.fail(
            {.nth = 1 + pick(4),
             .is_sticky = pick(2) == 0,
             .kinds = {IoKind::kSync, IoKind::kWrite, IoKind::kRename, IoKind::kDirectory}});
      case 2:
        return power_.stop_before_sync(1 + pick(4));
      case 3:
        clock_.advance(std::chrono::milliseconds(pick(2'000)));
        heartbeat();
        core_->tick();
        flush();
        return;
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
        return consume();
      default:
        return put();
    }
  }

  // --- life and death ---

  bool open() {
    if (pick(3) == 0) {
      disk_.fail({.nth = 1 + pick(40), .is_sticky = true});
    } else {
      disk_.clear_faults();
    }
    power_.stop_before_sync(0);
    auto core = QueueCore::open(power_, clock_, options_);
    if (!core) {
      if (!disk_.has_failed()) fail("the start was refused: " + core.error().to_string());
      die();
      return false;
    }
    disk_.clear_faults();
    core_ = *std::move(core);
    // Lives are short: nothing is poison for having been given out in many of them.
    v1::ConfigureQueueRequest patient;
    patient.set_queue("events");
    patient.mutable_settings()->set_retries(999);
    const Status status = core_->configure_queue(patient);
    if (!status.ok()) fail("the queue cannot be configured: " + status.to_string());
    hello();
    return core_ != nullptr && resume();
  }

  void die() {
    core_.reset();
    disk_.clear_faults();
    const bool is_power = power_.has_stopped();
    if (is_power || pick(2) == 0) {
      if (pick(4) == 0) {
        disk_.power_cut_dropping_all();
      } else {
        disk_.power_cut(random_());
      }
    }
  }

  // Answers, once synced; nothing if the disk failed, and then this life is over.
  std::optional<std::vector<v1::QueueFrame>> flush() {
    if (!core_->commit_group().ok()) {
      die();
      return std::nullopt;
    }
    std::vector<v1::QueueFrame> frames;
    for (const Outgoing& outgoing : core_->take_outgoing()) {
      v1::QueueFrame frame;
      if (!base::decode_frame(outgoing.frame, frame).ok()) fail("an answer cannot be read");
      frames.push_back(std::move(frame));
    }
    return frames;
  }
  std::optional<v1::QueueFrame> ask(v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle("peer", base::encode_frame(frame));
    auto frames = flush();
    if (!frames) return std::nullopt;
    if (frames->size() != 1) {
      fail(fmt::format("{} answers to one request", frames->size()));
      return std::nullopt;
    }
    return frames->front();
  }
  void hello() {
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client("client");
    frame.mutable_hello()->set_instance(std::to_string(random_()));
    ask(frame);
  }

  // Several pauses in a row would make it a stranger.
  void heartbeat() {
    v1::QueueFrame frame;
    frame.mutable_heartbeat();
    core_->handle("peer", base::encode_frame(frame));
  }

  // The producer's way back: ask for the last number, send again what is in doubt.
  bool resume() {
    v1::QueueFrame frame;
    frame.mutable_open_producer()->set_queue("events");
    frame.mutable_open_producer()->set_producer("producer");
    const auto reply = ask(frame);
    if (!reply) return false;
    const auto& known = reply->open_producer_reply();
    if (known.last_sequence() < answered_sequence_) {
      fail(fmt::format("number {} was answered, {} is known", answered_sequence_,
                       known.last_sequence()));
    }
    if (known.last_sequence() > answered_sequence_ + in_doubt_.size()) {
      fail("more is stored than was sent");
    }
    return in_doubt_.empty() || send();
  }

  // --- producer ---

  void put() {
    const uint64_t count = 1 + pick(3);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t number = next_body_++;
      // One in eight repeats an older message's source key.
      const bool is_repeat = number > 10 && pick(8) == 0;
      in_doubt_.push_back(is_repeat ? number - 1 - pick(10) : number);
    }
    send();
  }

  static std::string body_of(uint64_t number) {
    return fmt::format("{}:{}", number, std::string(number * 37 % 900, 'x'));
  }

  bool send() {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue("events");
    put.set_producer("producer");
    put.set_epoch(kEpoch);
    put.set_first_sequence(answered_sequence_ + 1);
    for (const uint64_t number : in_doubt_) {
      v1::PutMessage* message = put.add_messages();
      message->set_source("source");
      message->set_order_key(std::to_string(number % 4));
      message->set_source_key("key" + std::to_string(number));
      message->set_verdict("verdict" + std::to_string(number));
      message->set_body(body_of(number));
    }
    auto reply = ask(frame);
    // Many lives leave many half empty segments: what lies in them is copied first.
    for (int i = 0; i < 1'000 && reply && core_ && is_full(*reply); ++i) {
      clock_.advance(std::chrono::milliseconds(5));
      core_->tick();
      flush();
      reply = core_ ? ask(frame) : std::nullopt;
    }
    if (!reply) return false;
    if (is_full(*reply) && !core_->log().can_grow()) {
      // The disk failed while a segment was made ahead; without a thread for it, a start tries
      // again.
      die();
      return false;
    }
    if (reply->put_reply().results_size() != put.messages_size()) {
      fail("a put was refused: " + reply->ShortDebugString());
      return false;
    }
    for (size_t i = 0; i < in_doubt_.size(); ++i) {
      const uint64_t id = reply->put_reply().results(static_cast<int>(i)).lookup_id();
      const auto [it, is_new] = ids_.try_emplace(in_doubt_[i], id);
      if (it->second != id) fail(fmt::format("message {} is stored twice", in_doubt_[i]));
    }
    answered_sequence_ += in_doubt_.size();
    in_doubt_.clear();
    return true;
  }

  // --- consumer ---

  void consume() {
    const uint64_t before = core_->log().oldest_generation();
    core_->tick();
    if (!flush()) return;
    recycled_count_ += core_->log().oldest_generation() - before;
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue("events");
    receive.set_max_count(static_cast<int64_t>(1 + pick(8)));
    receive.set_max_bytes(1 << 20);
    receive.set_lease_ms(1'000);
    const auto reply = ask(frame);
    if (!reply || reply->receive_reply().lease_id() == 0) return;
    for (const auto& message : reply->receive_reply().messages()) check(message);
    if (pick(4) == 0) return;  // left to expire
    commit(reply->receive_reply());
  }

  void check(const v1::QueueMessage& message) {
    const uint64_t id = message.lookup_id();
    if (committed_.contains(id)) fail(fmt::format("lookup id {} was committed", id));
    const uint64_t number = std::stoull(message.body());
    if (message.body() != body_of(number)) fail(fmt::format("message {} has changed", number));
    if (message.verdict() != "verdict" + std::to_string(number)) fail("a verdict has changed");
    const auto known = ids_.find(number);
    if (known != ids_.end() && known->second != id) {
      fail(fmt::format("message {} has two lookup ids", number));
    }
    int64_t& count = delivery_counts_[id];
    if (message.delivery_count() <= count) fail("a delivery count went back");
    count = message.delivery_count();
  }

  void commit(const v1::ReceiveReply& lease) {
    v1::QueueFrame frame;
    frame.mutable_commit()->set_queue("events");
    frame.mutable_commit()->set_lease_id(lease.lease_id());
    const auto reply = ask(frame);
    for (const auto& message : lease.messages()) {
      (reply ? committed_ : perhaps_committed_).insert(message.lookup_id());
    }
    if (reply && !reply->has_settle_reply()) fail("a commit was refused");
  }

  // In the end every message was committed, once.
  void drain() {
    while (wrong_.empty()) {
      clock_.advance(std::chrono::seconds(3));
      core_->tick();
      if (!flush()) return fail("the disk fails without a fault");
      v1::QueueFrame frame;
      v1::Receive& receive = *frame.mutable_receive();
      receive.set_queue("events");
      receive.set_max_count(100);
      receive.set_max_bytes(1 << 20);
      receive.set_lease_ms(1'000);
      hello();
      const auto reply = ask(frame);
      if (!reply || reply->receive_reply().lease_id() == 0) break;
      for (const auto& message : reply->receive_reply().messages()) check(message);
      commit(reply->receive_reply());
    }
    for (const auto& [number, id] : ids_) {
      if (!committed_.contains(id) && !perhaps_committed_.contains(id)) {
        fail(fmt::format("message {} with lookup id {} is lost", number, id));
      }
    }
    const v1::QueueInfo info = core_->list_queues().queues(0);
    if (info.depth() != 0) fail("messages are left");
    if (info.accepted_count() != static_cast<int64_t>(ids_.size())) {
      fail(fmt::format("{} messages put, {} accepted", ids_.size(), info.accepted_count()));
    }
    if (info.accepted_count() != info.committed_count()) fail("counters disagree");
  }

  CoreOptions options_;
  std::mt19937_64 random_;
  FaultFileSystem disk_;
  PowerSwitch power_{disk_};
  FakeClock clock_;
  std::unique_ptr<QueueCore> core_;
  std::string wrong_;
  uint64_t request_id_ = 0;
  uint64_t recycled_count_ = 0;

  uint64_t next_body_ = 0;
  uint64_t answered_sequence_ = 0;
  std::vector<uint64_t> in_doubt_;    // message numbers
  std::map<uint64_t, uint64_t> ids_;  // message number to lookup id
  std::set<uint64_t> committed_;
  std::set<uint64_t> perhaps_committed_;
  std::map<uint64_t, int64_t> delivery_counts_;
};

TEST(QueueCoreStorm, NothingAnsweredIsLostAndNothingIsStoredTwice) {
  const uint64_t seed = testing::test_seed();
  uint64_t recycled_count = 0;
  for (uint64_t i = 0; i < 25; ++i) {
    Storm storm(seed + i);
    ASSERT_EQ(storm.run(400), "") << "seed=" << seed + i;
    recycled_count += storm.recycled_count();
  }
  EXPECT_GT(recycled_count, 40u) << "the storms recycle segments";
}

}  // namespace
}  // namespace verbatim::queue
