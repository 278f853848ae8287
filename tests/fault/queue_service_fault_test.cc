// The running service over a disk that fails.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "queue/client/zmq_queue_client.h"
#include "queue/queue_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::FaultFileSystem;
using testing::IoKind;

class QueueServiceFault : public ::testing::Test {
 protected:
  QueueServiceFault() {
    options_.core.log.directory = "/queue";
    options_.core.log.segment_bytes = 1024 * 1024;
    options_.core.message_max_bytes = 32 * 1024;
    start();
    ZmqQueueClientOptions options;
    options.address = service_->bound_endpoint();
    options.client_name = options.producer = "client";
    client_ = *create_zmq_queue_client(options);
  }
  ~QueueServiceFault() override { client_->stop(); }

  void start(base::Clock& clock = base::system_clock()) {
    auto service = QueueService::start(disk_, clock, options_);
    CHECK(service.has_value(), service.error().message());
    service_ = *std::move(service);
    options_.listen = service_->bound_endpoint();
  }
  std::future<Result<PutOutcome>> put(const std::string& body) {
    auto promise = std::make_shared<std::promise<Result<PutOutcome>>>();
    PutRequest request;
    request.source = "source";
    request.body = body;
    EXPECT_TRUE(
        client_
            ->put(std::move(request), nanoseconds::max(),
                  [promise](Result<PutOutcome> outcome) { promise->set_value(std::move(outcome)); })
            .ok());
    return promise->get_future();
  }
  template <class Condition>
  static bool wait_until(Condition condition) {
    const auto end = steady_clock::now() + seconds(20);
    while (!condition()) {
      if (steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  FaultFileSystem disk_;
  testing::FakeClock clock_;
  QueueServiceOptions options_;
  std::unique_ptr<QueueService> service_;
  std::unique_ptr<QueueClient> client_;
};

TEST_F(QueueServiceFault, AFailedSyncEndsTheServiceAndAnswersNobody) {
  ASSERT_TRUE(put("a").get().has_value());
  disk_.fail({.nth = 1, .error_number = 5, .is_sticky = false, .kinds = {IoKind::kSync}});
  auto second = put("b");
  ASSERT_TRUE(wait_until([&] { return !service_->failure().ok(); }));
  // The disk would work again, but the log is over.
  EXPECT_EQ(second.wait_for(milliseconds(100)), std::future_status::timeout);
  EXPECT_EQ(service_->call([](QueueCore&) {}).code(), StatusCode::kUnavailable);
  service_.reset();
  disk_.power_cut_dropping_all();
  start();
  const auto outcome = second.get();
  ASSERT_TRUE(outcome.has_value()) << outcome.error().to_string();
  EXPECT_EQ(outcome->lookup_id, 2u);
}

TEST_F(QueueServiceFault, AnIdleLogGetsAMarkSoThatDamageCanBeTold) {
  service_.reset();
  start(clock_);
  ASSERT_TRUE(put("a").get().has_value());
  // Each call is one round of the service, which writes what there is to write at its end.
  const auto is_marked = [this] {
    bool ends_with_mark = false;
    const Status status = service_->call([&](QueueCore& core) {
      ends_with_mark = core.log().ends_with_mark() && !core.log().is_group_in_flight();
    });
    return status.ok() && ends_with_mark;
  };
  constexpr int kRounds = 5;
  for (int i = 0; i < kRounds; ++i) EXPECT_FALSE(is_marked());
  clock_.advance(options_.mark_after);
  ASSERT_TRUE(wait_until(is_marked));
  // And then nothing more is written.
  const uint64_t quiet = disk_.sync_count();
  for (int i = 0; i < kRounds; ++i) {
    clock_.advance(options_.mark_after);
    EXPECT_TRUE(is_marked());
  }
  EXPECT_EQ(disk_.sync_count(), quiet);
}

TEST_F(QueueServiceFault, AFullQueueTakesThePutOnceItIsDrained) {
  service_.reset();
  options_.core.quota_bytes = 4'000;
  start();
  const std::string big(1'500, 'x');
  std::vector<std::future<Result<PutOutcome>>> outcomes;
  for (int i = 0; i < 6; ++i) outcomes.push_back(put(big));
  ASSERT_TRUE(outcomes[0].get().has_value());
  size_t taken = 0;
  while (taken < outcomes.size()) {
    const auto lease = client_->receive({});
    if (!lease || lease->id == 0) continue;
    taken += lease->messages.size();
    ASSERT_TRUE(client_->commit(lease->id).ok());
  }
  for (size_t i = 1; i < outcomes.size(); ++i) ASSERT_TRUE(outcomes[i].get().has_value());
}

}  // namespace
}  // namespace verbatim::queue
