#include "adapters/sdk/hub_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "tests/support/batch_builder.h"
#include "tests/support/fake_hub.h"

namespace verbatim::adapters {
namespace {

using v1::FromAdapter;
using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::FakeHub;
using ::verbatim::testing::room_post;

// Remembers what it was given; may be held inside translate().
class RecordingAdapter final : public Adapter {
 public:
  Result<AppliedBatch> last_applied() override { return applied(); }
  Status activate() override {
    ++activations;
    return {};
  }
  void deactivate() override { ++deactivations; }
  Result<Outcome> translate(const Batch& batch) override {
    base::MutexLock lock(mutex_);
    ++translations_;
    changed_.notify_all();
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !is_held_; });
    if (outcome_.kind == Outcome::Kind::kApplied) applied_ = {batch.number(), batch.digest()};
    return outcome_;
  }
  Result<BatchState> batch_state(uint64_t number, std::string_view digest) override {
    const AppliedBatch last = applied();
    if (last.number != number) return BatchState::kNotApplied;
    return last.digest == digest ? BatchState::kApplied : BatchState::kOtherApplied;
  }

  void hold(bool is_held) {
    base::MutexLock lock(mutex_);
    is_held_ = is_held;
    changed_.notify_all();
  }
  void wait_translations(int count) {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this, count]() REQUIRES(mutex_) { return translations_ >= count; });
  }
  void answer(Outcome outcome) {
    base::MutexLock lock(mutex_);
    outcome_ = std::move(outcome);
  }
  AppliedBatch applied() {
    base::MutexLock lock(mutex_);
    return applied_;
  }
  int translations() {
    base::MutexLock lock(mutex_);
    return translations_;
  }
  void set_applied(AppliedBatch batch) {
    base::MutexLock lock(mutex_);
    applied_ = std::move(batch);
  }

  std::atomic<int> activations = 0;
  std::atomic<int> deactivations = 0;

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool is_held_ GUARDED_BY(mutex_) = false;
  int translations_ GUARDED_BY(mutex_) = 0;
  AppliedBatch applied_ GUARDED_BY(mutex_);
  Outcome outcome_ GUARDED_BY(mutex_);
};

class HubClientTest : public ::testing::Test {
 protected:
  ~HubClientTest() override { stop(); }

  void start() {
    HubClientOptions options;
    options.adapter = "xml";
    options.address = [this]() -> Result<std::string> {
      return "127.0.0.1:" + std::to_string(port_.load());
    };
    options.reconnect_min = std::chrono::milliseconds(5);
    options.reconnect_max = std::chrono::milliseconds(50);
    options.stop_deadline = std::chrono::milliseconds(500);
    port_ = hub_->port();
    client_ = std::make_unique<HubClient>(adapter_, options);
    runner_ = std::thread([this] { status_ = client_->run(); });
  }
  void stop() {
    adapter_.hold(false);
    if (client_ != nullptr) client_->stop();
    if (runner_.joinable()) runner_.join();
    client_.reset();
  }
  // An attached, active stream under this epoch.
  std::shared_ptr<FakeHub::Stream> attach(uint64_t epoch) {
    auto stream = hub_->wait_stream();
    stream->welcome(epoch);
    stream->set_active(true);
    return stream;
  }
  Batch make_batch() {
    for (const char* text : {"a", "b", "c"}) builder_.add(room_post("a@x", text));
    return builder_.seal();
  }

  std::unique_ptr<FakeHub> hub_ = std::make_unique<FakeHub>();
  std::atomic<int> port_ = 0;
  RecordingAdapter adapter_;
  BatchBuilder builder_{"xml"};
  Status status_;
  std::unique_ptr<HubClient> client_;
  std::thread runner_;
};

TEST_F(HubClientTest, SaysHelloAndAcknowledgesBatchAfterBatch) {
  start();
  auto stream = attach(1);
  EXPECT_EQ(stream->hello().adapter(), "xml");
  EXPECT_EQ(stream->hello().schema_revision(), v1::SCHEMA_REVISION_CURRENT);
  EXPECT_FALSE(stream->hello().instance().empty());
  for (uint64_t i = 1; i <= 3; ++i) {
    const Batch batch = make_batch();
    stream->send_batch(batch, 1);
    const FromAdapter answer = stream->wait_for(FromAdapter::kAck);
    EXPECT_EQ(answer.ack().batch(), i);
    EXPECT_EQ(answer.ack().digest(), batch.digest());
    EXPECT_EQ(answer.ack().store_epoch(), 1U);
    EXPECT_EQ(stream->wait_for(FromAdapter::kCredit).credit().batches(), 1);
  }
}

TEST_F(HubClientTest, TellsWhatItHasAppliedWhenItComesBack) {
  start();
  auto stream = attach(1);
  const Batch batch = make_batch();
  stream->send_batch(batch, 1);
  stream->wait_for(FromAdapter::kAck);
  const std::string instance = stream->hello().instance();
  stream->cancel();
  stream = hub_->wait_stream();
  EXPECT_EQ(stream->hello().last_applied_batch(), 1U);
  EXPECT_EQ(stream->hello().last_applied_digest(), batch.digest());
  EXPECT_EQ(stream->hello().instance(), instance);
  // The repeat of what took effect is acknowledged again.
  stream->welcome(2);
  stream->set_active(true);
  stream->send_batch(batch, 2);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().store_epoch(), 2U);
}

// The processor dies and comes back under a new epoch while the adapter is busy: the old answer is
// told to nobody.
TEST_F(HubClientTest, AnAnswerToAnOlderEpochIsNeverSent) {
  start();
  auto stream = attach(1);
  adapter_.hold(true);
  const Batch batch = make_batch();
  stream->send_batch(batch, 1);
  adapter_.wait_translations(1);
  const int port = hub_->port();
  hub_ = nullptr;
  hub_ = std::make_unique<FakeHub>(port);
  adapter_.hold(false);
  stream = attach(2);
  stream->send_batch(batch, 2);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().store_epoch(), 2U);
  EXPECT_EQ(stream->count(FromAdapter::kAck), 0);
}

TEST_F(HubClientTest, StandsByUntilItIsToldToBeActive) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1, 0, {}, 50);
  stream->set_active(false);
  stream->wait_for(FromAdapter::kHeartbeat);
  EXPECT_EQ(adapter_.activations, 0);
  stream->set_active(true);
  stream->send_batch(make_batch(), 1);
  stream->wait_for(FromAdapter::kAck);
  EXPECT_EQ(adapter_.activations, 1);
  stream->set_active(false);
  // A batch to an instance that stands by is no batch: the stream ends, nothing takes effect.
  stream->send_batch(make_batch(), 1);
  stream->wait_end();
  EXPECT_EQ(adapter_.translations(), 1);
  EXPECT_EQ(adapter_.deactivations, 1);
}

TEST_F(HubClientTest, TakesOverFromWhereTheOtherInstanceWas) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1);
  stream->set_active(false);
  stream->ask_state(make_batch());  // answered: what comes now is seen at the activation only
  stream->wait_for(FromAdapter::kBatchState);
  const Batch second = make_batch();
  adapter_.set_applied({2, second.digest()});
  stream->set_active(true);
  stream->send_batch(make_batch(), 1);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().batch(), 3U);
}

TEST_F(HubClientTest, TakesOverFromWhatTheHubTellsItsOwnStateDoesNot) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1);
  stream->set_active(false);
  const Batch first = make_batch();
  stream->set_active(true, 1, first.digest());
  stream->send_batch(make_batch(), 1);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().batch(), 2U);
}

TEST_F(HubClientTest, AnotherChainFoundAtTheTakeoverEndsItForGood) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1);
  adapter_.set_applied({5, std::string(32, 'a')});
  stream->set_active(true, 5, std::string(32, 'b'));
  runner_.join();
  EXPECT_EQ(status_.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(adapter_.deactivations, 1);
}

TEST_F(HubClientTest, RefusesAWrongDigestAndTakesTheRightOne) {
  start();
  auto stream = attach(1);
  const Batch batch = make_batch();
  stream->send_batch(batch, 1, std::string(32, 'x'));
  EXPECT_NE(stream->wait_for(FromAdapter::kRetry).retry().reason().find("digest"),
            std::string::npos);
  EXPECT_EQ(adapter_.translations(), 0);
  stream->send_batch(batch, 1);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().batch(), 1U);
}

TEST_F(HubClientTest, RetriesAndRejectsAsTheAdapterSays) {
  start();
  auto stream = attach(1);
  const Batch batch = make_batch();
  adapter_.answer(Outcome::retry("busy", std::chrono::milliseconds(70)));
  stream->send_batch(batch, 1);
  EXPECT_EQ(stream->wait_for(FromAdapter::kRetry).retry().retry_after_ms(), 70);
  adapter_.answer(Outcome::reject("no"));
  stream->send_batch(batch, 1);
  EXPECT_EQ(stream->wait_for(FromAdapter::kReject).reject().reason(), "no");
  stream->ask_state(batch);
  EXPECT_EQ(stream->wait_for(FromAdapter::kBatchState).batch_state().state(),
            v1::BatchStateAnswer::STATE_NOT_APPLIED);
  adapter_.answer(Outcome::applied());
  stream->send_batch(batch, 1);
  stream->wait_for(FromAdapter::kAck);
  stream->ask_state(batch);
  EXPECT_EQ(stream->wait_for(FromAdapter::kBatchState).batch_state().state(),
            v1::BatchStateAnswer::STATE_APPLIED);
}

TEST_F(HubClientTest, BeatsWhileTheAdapterIsBusy) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1, 0, {}, 40);
  stream->set_active(true);
  adapter_.hold(true);
  stream->send_batch(make_batch(), 1);
  adapter_.wait_translations(1);
  for (int i = 0; i < 3; ++i) stream->wait_for(FromAdapter::kHeartbeat);
  EXPECT_EQ(adapter_.translations(), 1);
  adapter_.hold(false);
  stream->wait_for(FromAdapter::kAck);
}

TEST_F(HubClientTest, LeavesASilentHubAndComesBack) {
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1, 0, {}, 10);
  stream->wait_end();
  EXPECT_NE(hub_->wait_stream(), nullptr);
}

TEST_F(HubClientTest, DialsUntilAHubIsThere) {
  const int port = hub_->port();
  start();
  hub_ = nullptr;
  hub_ = std::make_unique<FakeHub>(port);
  attach(1)->wait_for(FromAdapter::kHeartbeat);
}

TEST_F(HubClientTest, PartsOfABatchThatWasNotBegunEndTheStream) {
  start();
  auto stream = attach(1);
  v1::ToAdapter message;
  message.mutable_chunk()->set_batch(9);
  stream->send(message);
  stream->wait_end();
  EXPECT_NE(hub_->wait_stream(), nullptr);
}

TEST_F(HubClientTest, AnotherChainEndsItForGood) {
  adapter_.set_applied({5, std::string(32, 'a')});
  start();
  auto stream = hub_->wait_stream();
  stream->welcome(1, 5, std::string(32, 'b'));
  runner_.join();
  EXPECT_EQ(status_.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status_.message().find("another chain"), std::string::npos);
}

TEST_F(HubClientTest, StopLetsTheBatchInHandComeToItsEnd) {
  start();
  auto stream = attach(1);
  adapter_.hold(true);
  stream->send_batch(make_batch(), 1);
  adapter_.wait_translations(1);
  client_->stop();
  adapter_.hold(false);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().batch(), 1U);
  runner_.join();
  EXPECT_TRUE(status_.ok());
  EXPECT_EQ(adapter_.deactivations, 1);
}

TEST_F(HubClientTest, TakesABatchOfTheGreatestSize) {
  start();
  auto stream = attach(1);
  for (int i = 0; i < 63; ++i) builder_.add(room_post("a@x", std::string(1 << 20, 'x')));
  stream->send_batch(builder_.seal(), 1, {}, 63);
  EXPECT_EQ(stream->wait_for(FromAdapter::kAck).ack().batch(), 1U);
}

}  // namespace
}  // namespace verbatim::adapters
