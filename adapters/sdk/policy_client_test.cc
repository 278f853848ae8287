#include "adapters/sdk/policy_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "tests/support/fake_policy_broker.h"

namespace verbatim::adapters {
namespace {

using v1::FromPolicy;
using ::verbatim::testing::FakePolicyBroker;

v1::Event event_of(const std::string& id) {
  v1::Event event;
  event.set_id(id);
  return event;
}

// Answers with the event's id as reason; may be held inside evaluate().
class RecordingPolicy final : public Policy {
 public:
  Status configure(const v1::PolicyWelcome& welcome) override {
    ++configurations;
    return welcome.profiles_size() > 0 && welcome.profiles(0) == "bad" ? invalid_argument("bad")
                                                                       : Status();
  }
  void activate() override { ++activations; }
  void deactivate() override { ++deactivations; }
  Result<PolicyAnswer> evaluate(const PolicyQuestion& question) override {
    base::MutexLock lock(mutex_);
    ++evaluations_;
    changed_.notify_all();
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !is_held_; });
    PolicyAnswer answer = PolicyAnswer::pass();
    answer.reason = question.event.id() + " " + question.profile;
    return answer;
  }
  void notice(const v1::Event& event, const std::string&) override {
    base::MutexLock lock(mutex_);
    notices_ += event.id();
    changed_.notify_all();
  }
  std::string rule_set_sha256() const override { return std::string(32, 'r'); }

  void hold(bool is_held) {
    base::MutexLock lock(mutex_);
    is_held_ = is_held;
    changed_.notify_all();
  }
  void wait_evaluations(int count) {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this, count]() REQUIRES(mutex_) { return evaluations_ >= count; });
  }
  void wait_notices(const std::string& ids) {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [&]() REQUIRES(mutex_) { return notices_ == ids; });
  }
  int evaluations() {
    base::MutexLock lock(mutex_);
    return evaluations_;
  }

  std::atomic<int> configurations = 0;
  std::atomic<int> activations = 0;
  std::atomic<int> deactivations = 0;

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool is_held_ GUARDED_BY(mutex_) = false;
  int evaluations_ GUARDED_BY(mutex_) = 0;
  std::string notices_ GUARDED_BY(mutex_);
};

class PolicyClientTest : public ::testing::Test {
 protected:
  ~PolicyClientTest() override { stop(); }

  void start(int credit = 16) {
    PolicyClientOptions options;
    options.policy = "wall";
    options.address = [this]() -> Result<std::string> {
      return "127.0.0.1:" + std::to_string(port_.load());
    };
    options.credit = credit;
    options.reconnect_min = std::chrono::milliseconds(5);
    options.reconnect_max = std::chrono::milliseconds(50);
    options.stop_deadline = std::chrono::milliseconds(500);
    port_ = broker_->port();
    client_ = std::make_unique<PolicyClient>(policy_, options);
    runner_ = std::thread([this] { client_->run(); });
  }
  void stop() {
    policy_.hold(false);
    if (client_ != nullptr) client_->stop();
    if (runner_.joinable()) runner_.join();
    client_.reset();
  }
  std::shared_ptr<FakePolicyBroker::Stream> attach() {
    auto stream = broker_->wait_stream();
    stream->welcome();
    stream->set_active(true);
    return stream;
  }

  std::unique_ptr<FakePolicyBroker> broker_ = std::make_unique<FakePolicyBroker>();
  std::atomic<int> port_ = 0;
  RecordingPolicy policy_;
  std::unique_ptr<PolicyClient> client_;
  std::thread runner_;
};

TEST_F(PolicyClientTest, SaysHelloGivesCreditAndAnswersInOrder) {
  start();
  auto stream = attach();
  EXPECT_EQ(stream->hello().policy(), "wall");
  EXPECT_FALSE(stream->hello().instance().empty());
  EXPECT_EQ(stream->hello().rule_set_sha256(), std::string(32, 'r'));
  EXPECT_EQ(stream->wait_for(FromPolicy::kCredit).credit().questions(), 16);
  for (uint64_t i = 1; i <= 100; ++i) stream->ask(i, event_of(std::to_string(i)));
  for (uint64_t i = 1; i <= 100; ++i) {
    const v1::PolicyVerdict verdict = stream->wait_verdict();
    EXPECT_EQ(verdict.question(), i);
    EXPECT_EQ(verdict.reason(), std::to_string(i) + " wall");
  }
}

TEST_F(PolicyClientTest, StandsByUntilItIsToldToBeActive) {
  start();
  auto stream = broker_->wait_stream();
  stream->welcome(50);
  stream->set_active(false);
  stream->wait_for(FromPolicy::kHeartbeat);
  EXPECT_EQ(policy_.activations, 0);
  stream->set_active(true);
  stream->ask(1, event_of("a"));
  stream->wait_verdict();
  EXPECT_EQ(policy_.activations, 1);
  stream->set_active(false);
  stream->ask(2, event_of("b"));  // on its way when the other instance took over
  EXPECT_EQ(stream->wait_verdict().question(), 2U);
  EXPECT_EQ(policy_.deactivations, 1);
}

TEST_F(PolicyClientTest, BeatsWhileThePolicyIsBusy) {
  start();
  auto stream = broker_->wait_stream();
  stream->welcome(40);
  stream->set_active(true);
  policy_.hold(true);
  stream->ask(1, event_of("a"));
  policy_.wait_evaluations(1);
  for (int i = 0; i < 3; ++i) stream->wait_for(FromPolicy::kHeartbeat);
  policy_.hold(false);
  EXPECT_EQ(stream->wait_verdict().question(), 1U);
}

// A person no longer waits: the policy is not asked, and the question is still answered.
TEST_F(PolicyClientTest, AQuestionWhoseTimeIsOverDoesNotReachThePolicy) {
  start();
  auto stream = attach();
  policy_.hold(true);
  stream->ask(1, event_of("a"));
  policy_.wait_evaluations(1);
  stream->ask(2, event_of("b"), 0);
  stream->ask(3, event_of("c"));
  policy_.hold(false);
  EXPECT_EQ(stream->wait_verdict().decision(), v1::DECISION_PASS);
  EXPECT_EQ(stream->wait_verdict().decision(), v1::DECISION_ERROR);
  EXPECT_EQ(stream->wait_verdict().decision(), v1::DECISION_PASS);
  EXPECT_EQ(policy_.evaluations(), 2);
}

TEST_F(PolicyClientTest, NoticesReachThePolicyAndAreNotAnswered) {
  start();
  auto stream = attach();
  stream->tell(event_of("n"));
  stream->tell(event_of("m"));
  policy_.wait_notices("nm");
  stream->ask(1, event_of("a"));
  EXPECT_EQ(stream->wait_verdict().question(), 1U);
  EXPECT_EQ(stream->count(FromPolicy::kVerdict), 0);
}

TEST_F(PolicyClientTest, AnAnswerToAnotherConnectionIsNeverSent) {
  start();
  auto stream = attach();
  policy_.hold(true);
  stream->ask(1, event_of("a"));
  policy_.wait_evaluations(1);
  const int port = broker_->port();
  broker_ = nullptr;
  broker_ = std::make_unique<FakePolicyBroker>(port);
  policy_.hold(false);
  stream = attach();
  stream->ask(9, event_of("b"));
  EXPECT_EQ(stream->wait_verdict().question(), 9U);
  EXPECT_EQ(policy_.configurations, 2);
}

TEST_F(PolicyClientTest, LeavesASilentBrokerAndComesBack) {
  start();
  auto stream = broker_->wait_stream();
  stream->welcome(10);
  stream->wait_end();
  EXPECT_NE(broker_->wait_stream(), nullptr);
}

// Far more than its credit: it reads on only as it answers, holds little, and answers them all.
TEST_F(PolicyClientTest, MoreQuestionsThanItsCreditAreSlowedDownAndAnswered) {
  start(2);
  auto stream = attach();
  policy_.hold(true);
  for (uint64_t i = 1; i <= 50; ++i) stream->ask(i, event_of("a"));
  policy_.wait_evaluations(1);
  policy_.hold(false);
  for (uint64_t i = 1; i <= 50; ++i) EXPECT_EQ(stream->wait_verdict().question(), i);
}

TEST_F(PolicyClientTest, StopAnswersWhatHasComeIn) {
  start();
  auto stream = attach();
  policy_.hold(true);
  stream->tell(event_of("n"));
  stream->ask(1, event_of("a"));
  policy_.wait_evaluations(1);
  client_->stop();
  policy_.hold(false);
  EXPECT_EQ(stream->wait_verdict().question(), 1U);
  runner_.join();
  EXPECT_EQ(policy_.deactivations, 1);
}

TEST_F(PolicyClientTest, APolicyThatDoesNotTakeItsProfilesTriesAgain) {
  start();
  auto stream = broker_->wait_stream();
  stream->welcome(1'000, {"bad"});
  stream->wait_end();
  stream = attach();
  stream->ask(1, event_of("a"));
  EXPECT_EQ(stream->wait_verdict().question(), 1U);
}

TEST_F(PolicyClientTest, DialsUntilABrokerIsThere) {
  const int port = broker_->port();
  start();
  broker_ = nullptr;
  broker_ = std::make_unique<FakePolicyBroker>(port);
  attach()->wait_for(FromPolicy::kHeartbeat);
}

}  // namespace
}  // namespace verbatim::adapters
