// The built verbatim-queue, killed at its fault points again and again while a client puts: every
// put ends with an outcome, everything is there once and in order.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/service.h"
#include "queue/client/zmq_queue_client.h"
#include "tests/fault/queue_process.h"
#include "tests/support/temp_dir.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kPatience{60};

std::unique_ptr<QueueClient> connect(const testing::QueueProcess& service) {
  ZmqQueueClientOptions options;
  options.address = service.address();
  options.client_name = "client";
  options.producer = "producer";
  options.answer_timeout = milliseconds(2'000);
  auto client = create_zmq_queue_client(options);
  EXPECT_TRUE(client.has_value());
  return *std::move(client);
}

// Numbers put one after the other; what each one's outcome was.
class Putter {
 public:
  explicit Putter(QueueClient& client) : client_(client) {}

  void put(int number) {
    PutRequest request;
    request.order_key = "room";
    request.source = "source";
    request.body = std::to_string(number);
    ++pending_;
    const Status status = client_.put(std::move(request), nanoseconds::max(),
                                      [this, number](const Result<PutOutcome>& outcome) {
                                        std::lock_guard lock(mutex_);
                                        if (outcome) ids_[number] = outcome->lookup_id;
                                        --pending_;
                                      });
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  bool is_idle() const { return pending_ == 0; }
  std::map<int, uint64_t> ids() {
    std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  QueueClient& client_;
  std::atomic<int> pending_{0};
  std::mutex mutex_;
  std::map<int, uint64_t> ids_;
};

std::vector<std::string> drain(QueueClient& client, size_t count) {
  std::vector<std::string> bodies;
  const auto end = steady_clock::now() + kPatience;
  while (bodies.size() < count && steady_clock::now() < end) {
    const auto lease = client.receive({});
    if (!lease || lease->id == 0) continue;
    for (const auto& message : lease->messages) bodies.push_back(message.body());
    EXPECT_TRUE(client.commit(lease->id).ok());
  }
  return bodies;
}

class QueueServiceCrash : public ::testing::TestWithParam<const char*> {};

TEST_P(QueueServiceCrash, KilledAtItsFaultPointItLosesNothingAndStoresNothingTwice) {
  const testing::TempDir directory;
  testing::QueueProcess service(directory);
  const std::string point = GetParam();
  service.start(point + ":12");
  auto client = connect(service);
  Putter putter(*client);
  int number = 0;
  for (int life = 0; life < 4; ++life) {
    // Puts until the fault point has been passed often enough; the service then dies by itself.
    std::atomic<bool> has_ended{false};
    std::thread waiter([&] {
      EXPECT_EQ(service.wait_for_end(), SIGKILL);
      has_ended = true;
    });
    while (!has_ended) {
      if (putter.is_idle()) {
        for (int i = 0; i < 3; ++i) putter.put(number++);
      }
      std::this_thread::yield();
    }
    waiter.join();
    service.start(life == 3 ? "" : point + ":" + std::to_string(13 + life));
  }
  const auto end = steady_clock::now() + kPatience;
  while (!putter.is_idle() && steady_clock::now() < end) std::this_thread::yield();
  ASSERT_TRUE(putter.is_idle());
  const auto ids = putter.ids();
  ASSERT_EQ(ids.size(), static_cast<size_t>(number));
  for (const auto& [at, id] : ids) EXPECT_EQ(id, static_cast<uint64_t>(at) + 1);
  std::vector<std::string> expected;
  for (int i = 0; i < number; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(drain(*client, expected.size()), expected);
  client->stop();
  EXPECT_EQ(service.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(FaultPoints, QueueServiceCrash,
                         ::testing::Values("queue.before_sync", "queue.after_sync_before_reply"),
                         [](const auto& test) {
                           std::string name = test.param;
                           name[name.find('.')] = '_';
                           return name;
                         });

TEST(QueueServiceStart, ADamagedLogIsRefusedWithItsOwnExitCode) {
  const testing::TempDir directory;
  testing::QueueProcess service(directory);
  service.start("");
  auto client = connect(service);
  Putter putter(*client);
  putter.put(0);
  const auto end = steady_clock::now() + kPatience;
  while (!putter.is_idle() && steady_clock::now() < end) std::this_thread::yield();
  client->stop();
  EXPECT_EQ(service.stop(), 0);
  // One bit of the first group, below the final mark.
  base::FileSystem& files = base::posix_file_system();
  const auto names = files.list_directory(directory.file("data"));
  ASSERT_TRUE(names.has_value());
  for (const std::string& name : *names) {
    if (!name.ends_with(".seg")) continue;
    auto file = files.open(directory.file("data") + "/" + name, base::OpenMode::kReadWrite);
    ASSERT_TRUE(file && (*file)->write_at(4096 + 50, "\xFF").ok());
  }
  service.start("");
  int exit_code = 0;
  EXPECT_EQ(service.wait_for_end(&exit_code), 0);
  EXPECT_EQ(exit_code, 3);
}

}  // namespace
}  // namespace verbatim::queue
