// Every QueueClient passes one suite: the one in memory, and the real one against the real service.
#include "queue/client/queue_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "queue/client/memory_queue_client.h"
#include "queue/client/zmq_queue_client.h"
#include "queue/queue_service.h"
#include "tests/support/temp_dir.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr auto kForever = nanoseconds::max();
constexpr seconds kPatience{20};

// What a client talks to.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<QueueClient> connect(const std::string& name) = 0;
  virtual void go_down() = 0;
  virtual void come_back() = 0;
  virtual size_t depth() = 0;
  // True: puts are stored and their answers lost or late until come_back().
  virtual void lose_answers() = 0;
};

class MemoryBackend final : public Backend {
 public:
  std::unique_ptr<QueueClient> connect(const std::string& /*name*/) override {
    return create_memory_queue_client(queue_);
  }
  void go_down() override { queue_.set_state(MemoryQueue::State::kDown); }
  void come_back() override { queue_.set_state(MemoryQueue::State::kUp); }
  size_t depth() override { return queue_.depth(); }
  void lose_answers() override { queue_.set_state(MemoryQueue::State::kSilent); }

 private:
  MemoryQueue queue_;
};

class ServiceBackend final : public Backend {
 public:
  ServiceBackend() { start("tcp://127.0.0.1:0"); }
  std::unique_ptr<QueueClient> connect(const std::string& name) override {
    ZmqQueueClientOptions options;
    options.address = address_;
    options.client_name = name;
    options.producer = name;
    options.answer_timeout = milliseconds(500);
    auto client = create_zmq_queue_client(options);
    CHECK(client.has_value(), "the client starts");
    return *std::move(client);
  }
  void go_down() override { service_.reset(); }
  void come_back() override {
    loses_ = false;
    if (!service_) start(address_);
  }
  size_t depth() override {
    size_t depth = 0;
    const Status status = service_->call([&depth](QueueCore& core) {
      depth = static_cast<size_t>(core.list_queues().queues(0).depth());
    });
    CHECK(status.ok(), "the service runs");
    return depth;
  }
  void lose_answers() override { loses_ = true; }

 private:
  void start(const std::string& address) {
    QueueServiceOptions options;
    options.listen = address;
    options.core.log.directory = directory_.file("queue");
    options.core.log.segment_bytes = 1024 * 1024;
    options.core.message_max_bytes = 32 * 1024;
    options.loses_answer = [this] { return loses_.load(); };
    auto service = QueueService::start(base::posix_file_system(), base::system_clock(), options);
    CHECK(service.has_value(), service.error().message());
    service_ = *std::move(service);
    address_ = service_->bound_endpoint();
  }

  testing::TempDir directory_;
  std::string address_;
  std::atomic<bool> loses_{false};
  std::unique_ptr<QueueService> service_;
};

using MakeBackend = std::function<std::unique_ptr<Backend>()>;
struct Implementation {
  const char* name;
  MakeBackend make;
};
void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

class QueueClientContract : public ::testing::TestWithParam<Implementation> {
 protected:
  QueueClientContract() : backend_(GetParam().make()), client_(backend_->connect("a")) {}
  ~QueueClientContract() override { client_->stop(); }

  static PutRequest message(int number, const std::string& key = "room") {
    PutRequest request;
    request.order_key = key;
    request.source = "source";
    request.body = std::to_string(number);
    return request;
  }

  using Outcome = std::future<Result<PutOutcome>>;
  Outcome put(PutRequest request, nanoseconds deadline = kForever) {
    auto promise = std::make_shared<std::promise<Result<PutOutcome>>>();
    const Status status = client_->put(
        std::move(request), deadline,
        [promise](Result<PutOutcome> outcome) { promise->set_value(std::move(outcome)); });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return promise->get_future();
  }
  static Result<PutOutcome> wait(Outcome& outcome) {
    if (outcome.wait_for(kPatience) != std::future_status::ready) {
      return unavailable("no answer in time");
    }
    return outcome.get();
  }
  Result<PutOutcome> put_and_wait(PutRequest request, nanoseconds deadline = kForever) {
    auto outcome = put(std::move(request), deadline);
    return wait(outcome);
  }
  static nanoseconds in(milliseconds time) { return base::system_clock().monotonic() + time; }

  // Receives until something comes; the service may be on its way back.
  Lease receive(int64_t max_count = 1'000) {
    const auto end = in(kPatience);
    while (base::system_clock().monotonic() < end) {
      ReceiveOptions options;
      options.max_count = max_count;
      options.wait = milliseconds(200);
      auto lease = client_->receive(options);
      if (lease && lease->id != 0) return *std::move(lease);
    }
    ADD_FAILURE() << "no message came";
    return {};
  }
  static std::vector<std::string> bodies(const Lease& lease) {
    std::vector<std::string> all;
    for (const v1::QueueMessage& message : lease.messages) all.push_back(message.body());
    return all;
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<QueueClient> client_;
};

TEST_P(QueueClientContract, WhatIsPutIsReceivedOnceInOrder) {
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 500; ++i) outcomes.push_back(put(message(i)));
  uint64_t last = 0;
  for (Outcome& outcome : outcomes) {
    const auto result = wait(outcome);
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
    EXPECT_EQ(result->lookup_id, last + 1);
    EXPECT_FALSE(result->is_repeat);
    last = result->lookup_id;
  }
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 500u);
  for (int i = 0; i < 500; ++i) {
    const v1::QueueMessage& got = lease.messages[static_cast<size_t>(i)];
    EXPECT_EQ(got.body(), std::to_string(i));
    EXPECT_EQ(got.source_count(), static_cast<uint64_t>(i) + 1);
    EXPECT_EQ(got.delivery_count(), 1);
    EXPECT_EQ(got.order_key(), "room");
  }
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 0u);
}

TEST_P(QueueClientContract, ARepeatOfASourceKeyGetsTheFirstVerdict) {
  PutRequest first = message(1);
  first.source_key = "key";
  first.verdict = "first";
  PutRequest second = message(2);
  second.source_key = "key";
  second.verdict = "second";
  const auto stored = put_and_wait(std::move(first));
  const auto repeat = put_and_wait(std::move(second));
  ASSERT_TRUE(stored && repeat);
  EXPECT_FALSE(stored->is_repeat);
  EXPECT_TRUE(repeat->is_repeat);
  EXPECT_EQ(repeat->first_verdict, "first");
  EXPECT_EQ(repeat->lookup_id, stored->lookup_id);
  EXPECT_EQ(backend_->depth(), 1u);
}

TEST_P(QueueClientContract, AnAbortedMessageComesAgainWithAHigherCount) {
  ASSERT_TRUE(put_and_wait(message(1)));
  const Lease first = receive();
  ASSERT_TRUE(client_->abort(first.id).ok());
  const Lease second = receive();
  ASSERT_EQ(second.messages.size(), 1u);
  EXPECT_EQ(second.messages[0].delivery_count(), 2);
  EXPECT_EQ(client_->commit(first.id).code(), StatusCode::kAborted);
  EXPECT_TRUE(client_->commit(second.id).ok());
}

TEST_P(QueueClientContract, OnlyTheNamedMessagesAreAborted) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(put_and_wait(message(i, "key" + std::to_string(i))));
  const Lease lease = receive();
  ASSERT_EQ(lease.messages.size(), 3u);
  ASSERT_TRUE(client_->abort(lease.id, {lease.messages[1].lookup_id()}).ok());
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("2"));
  EXPECT_TRUE(client_->commit(lease.id).ok());
  EXPECT_EQ(backend_->depth(), 1u);
}

TEST_P(QueueClientContract, AKeyUnderLeaseIsNotGivenToAnyoneElse) {
  ASSERT_TRUE(put_and_wait(message(1, "x")));
  ASSERT_TRUE(put_and_wait(message(2, "x")));
  ASSERT_TRUE(put_and_wait(message(3, "y")));
  const Lease first = receive(1);
  EXPECT_THAT(bodies(first), ::testing::ElementsAre("1"));
  const Lease other = receive();
  EXPECT_THAT(bodies(other), ::testing::ElementsAre("3"));
  EXPECT_TRUE(client_->commit(first.id).ok());
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("2"));
}

TEST_P(QueueClientContract, AnEmptyQueueGivesNoLeaseAfterTheWait) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_TRUE(client_->commit(receive().id).ok());
  ReceiveOptions options;
  options.wait = milliseconds(30);
  const auto lease = client_->receive(options);
  ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
  EXPECT_EQ(lease->id, 0u);
}

TEST_P(QueueClientContract, AWaitingReceiveGetsWhatIsPutMeanwhile) {
  ASSERT_TRUE(put_and_wait(message(1)));
  ASSERT_TRUE(client_->commit(receive().id).ok());
  ReceiveOptions options;
  options.wait = kPatience;
  auto waiting = std::async(std::launch::async, [&] { return client_->receive(options); });
  ASSERT_TRUE(put_and_wait(message(2)));
  const auto lease = waiting.get();
  ASSERT_TRUE(lease.has_value()) << lease.error().to_string();
  EXPECT_THAT(bodies(*lease), ::testing::ElementsAre("2"));
}

TEST_P(QueueClientContract, APutThatWasNeverSentIsWithdrawnAtItsDeadline) {
  ASSERT_TRUE(put_and_wait(message(0)));
  client_->stop();
  backend_->go_down();
  client_ = backend_->connect("b");
  const auto result = put_and_wait(message(1), in(milliseconds(100)));
  EXPECT_EQ(result.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(is_in_doubt(result.error())) << result.error().to_string();
  backend_->come_back();
  ASSERT_TRUE(put_and_wait(message(2)));
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("0", "2"));
}

TEST_P(QueueClientContract, PutsMadeWhileTheServiceIsAwayAreStoredWhenItIsBack) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->go_down();
  std::vector<Outcome> outcomes;
  for (int i = 1; i <= 50; ++i) outcomes.push_back(put(message(i)));
  backend_->come_back();
  for (Outcome& outcome : outcomes) {
    const auto result = wait(outcome);
    ASSERT_TRUE(result.has_value()) << result.error().to_string();
  }
  std::vector<std::string> expected;
  for (int i = 0; i <= 50; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(bodies(receive()), expected);
}

TEST_P(QueueClientContract, ALostAnswerIsInDoubtAndLaterKnown) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->lose_answers();
  auto late = std::make_shared<std::promise<Result<PutOutcome>>>();
  Outcome known = late->get_future();
  PutRequest request = message(1);
  request.late = [late](Result<PutOutcome> outcome) { late->set_value(std::move(outcome)); };
  const auto result = put_and_wait(std::move(request), in(milliseconds(100)));
  EXPECT_EQ(result.error().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(is_in_doubt(result.error())) << result.error().to_string();
  backend_->come_back();
  const auto outcome = wait(known);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome->lookup_id, 2u);
  ASSERT_TRUE(put_and_wait(message(2)));
  EXPECT_THAT(bodies(receive()), ::testing::ElementsAre("0", "1", "2"));
}

TEST_P(QueueClientContract, StopGivesEveryPutItsEnd) {
  ASSERT_TRUE(put_and_wait(message(0)));
  backend_->go_down();
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 10; ++i) outcomes.push_back(put(message(i)));
  client_->stop();
  for (Outcome& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(seconds(0)), std::future_status::ready);
    EXPECT_EQ(outcome.get().error().code(), StatusCode::kCancelled);
  }
  EXPECT_EQ(client_->put(message(1), kForever, [](auto) {}).code(), StatusCode::kCancelled);
  EXPECT_EQ(client_->receive({}).error().code(), StatusCode::kCancelled);
}

TEST_P(QueueClientContract, AnUnusableFieldIsRefusedAtOnce) {
  PutRequest request = message(1);
  request.source.clear();
  EXPECT_EQ(client_->put(std::move(request), kForever, [](auto) {}).code(),
            StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(
    All, QueueClientContract,
    ::testing::Values(Implementation{"Memory", [] { return std::make_unique<MemoryBackend>(); }},
                      Implementation{"Service", [] { return std::make_unique<ServiceBackend>(); }}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace verbatim::queue
