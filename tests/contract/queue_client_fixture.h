// What every contract test of QueueClient runs on: the queue in memory, and the real service with
// the ZeroMQ client.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/client/memory_queue_client.h"
#include "queue/client/queue_client.h"

namespace verbatim::queue {

inline constexpr auto kForever = std::chrono::nanoseconds::max();
inline constexpr std::chrono::seconds kPatience{20};
// Of every backend.
inline constexpr size_t kMessageMaxBytes = 32 * 1024;

// What a client talks to.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<QueueClient> connect(const std::string& name,
                                               size_t memory_max_bytes = 1024 * 1024) = 0;
  virtual void go_down() = 0;
  virtual void come_back() = 0;
  // Comes back, and answers puts with "full" until the next come_back().
  virtual void become_full() = 0;
  virtual size_t depth() = 0;
  // Puts are stored and their answers lost or late until come_back().
  virtual void lose_answers() = 0;
  // What left the queue without being consumed.
  virtual size_t dead_count() = 0;

  // --- only the service has more queues than one, and settings that are changed ---
  // A client of the queue "answers".
  virtual std::unique_ptr<QueueClient> connect_to_answers(const std::string& /*name*/) {
    return nullptr;
  }
  // From now on one consumer at a time is active.
  virtual void become_exclusive() {}
};

std::unique_ptr<Backend> make_memory_backend();
std::unique_ptr<Backend> make_service_backend();

struct Implementation {
  const char* name;
  std::function<std::unique_ptr<Backend>()> make;
};
void PrintTo(const Implementation& implementation, std::ostream* out);

// A backend and its first client, "a".
class QueueClientFixture : public ::testing::TestWithParam<Implementation> {
 protected:
  QueueClientFixture() : backend_(GetParam().make()), client_(backend_->connect("a")) {}
  ~QueueClientFixture() override { client_->stop(); }

  static PutRequest message(int number, const std::string& key = "room");

  using Outcome = std::future<Result<PutOutcome>>;
  Outcome put(PutRequest request, std::chrono::nanoseconds deadline = kForever);
  static Result<PutOutcome> wait(Outcome& outcome);
  Result<PutOutcome> put_and_wait(PutRequest request, std::chrono::nanoseconds deadline = kForever);
  static std::chrono::nanoseconds in(std::chrono::milliseconds time) {
    return base::system_clock().monotonic() + time;
  }

  // Receives until something comes; the service may be on its way back.
  Lease receive(int64_t max_count = 1'000) { return receive_from(*client_, max_count); }
  static Lease receive_from(QueueClient& client, int64_t max_count = 1'000,
                            std::chrono::milliseconds lease = std::chrono::seconds(30));
  // True when nothing comes within the time.
  static bool gets_nothing(QueueClient& client, std::chrono::milliseconds time);
  static std::vector<std::string> bodies(const Lease& lease);

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<QueueClient> client_;
};

}  // namespace verbatim::queue
