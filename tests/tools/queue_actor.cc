#include "tests/tools/queue_actor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "base/mutex.h"
#include "base/signals.h"

namespace verbatim::tools {
namespace {

using queue::PutOutcome;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

int64_t now_ns() { return base::system_clock().monotonic().count(); }

bool is_stopping(milliseconds wait) { return base::wait_for_stop_signal(wait) != 0; }

class Journal {
 public:
  explicit Journal(const std::string& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    CHECK(fd_ >= 0, "no journal at " + path);
  }
  ~Journal() { ::close(fd_); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void write(const std::string& lines) {
    CHECK(::write(fd_, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size()),
          "the journal cannot be written");
  }

 private:
  const int fd_;
};

std::string told(const Status& status) {
  std::string text = status.message();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return fmt::format("{} {}", code_name(status.code()), text);
}

class Producer {
 public:
  Producer(queue::QueueClient& client, const PutPlan& plan)
      : client_(client), plan_(plan), journal_(plan.journal) {}

  int run() {
    recall();
    for (const int64_t number : std::exchange(unanswered_, {})) put(number);
    const int64_t begin_ns = now_ns();
    int64_t sent = 0;
    while (plan_.count == 0 || next_ <= plan_.count) {
      if (is_stopping(milliseconds(0))) break;
      const bool is_early =
          plan_.rate > 0 && now_ns() - begin_ns < sent * 1'000'000'000 / plan_.rate;
      if (is_early || pending_count() >= plan_.window) {
        std::this_thread::sleep_for(milliseconds(1));
        continue;
      }
      put(next_++);
      ++sent;
    }
    while (pending_count() > 0) std::this_thread::sleep_for(milliseconds(1));
    base::MutexLock lock(mutex_);
    return has_failed_ ? 1 : 0;
  }

 private:
  // What an earlier life of this producer has left behind.
  void recall() {
    std::ifstream file(plan_.journal);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      char kind = 0;
      int64_t number = 0;
      words >> kind >> number;
      if (kind == 'S') unanswered_.insert(number);
      if (kind == 'A' || kind == 'E') unanswered_.erase(number);
      next_ = std::max(next_, number + 1);
    }
  }

  int64_t pending_count() {
    base::MutexLock lock(mutex_);
    return pending_count_;
  }

  void put(int64_t number) {
    const int64_t key = number % plan_.key_count;
    queue::PutRequest request;
    request.body = fmt::format("{}:{}:{}:", plan_.producer, number, key);
    request.source_key = request.body;
    request.order_key = fmt::format("{}/{}", plan_.producer, key);
    request.source = plan_.producer;
    request.body.resize(std::max(request.body.size(), static_cast<size_t>(plan_.body_bytes)), 'x');
    journal_.write(fmt::format("S {}\n", number));
    {
      base::MutexLock lock(mutex_);
      ++pending_count_;
    }
    const auto deadline = plan_.deadline_ms == 0
                              ? nanoseconds::max()
                              : base::system_clock().monotonic() + milliseconds(plan_.deadline_ms);
    const Status status = client_.put(
        std::move(request), deadline,
        [this, number](const Result<PutOutcome>& outcome) { on_done(number, outcome); });
    if (!status.ok()) on_done(number, status);
  }

  void on_done(int64_t number, const Result<PutOutcome>& outcome) {
    journal_.write(outcome ? fmt::format("A {} {} {}\n", number, outcome->lookup_id,
                                         outcome->is_repeat ? 1 : 0)
                           : fmt::format("E {} {}\n", number, told(outcome.error())));
    base::MutexLock lock(mutex_);
    has_failed_ |= !outcome.has_value();
    --pending_count_;
  }

  queue::QueueClient& client_;
  const PutPlan& plan_;
  Journal journal_;
  std::set<int64_t> unanswered_;
  int64_t next_ = 1;

  base::Mutex mutex_;
  int64_t pending_count_ GUARDED_BY(mutex_) = 0;
  bool has_failed_ GUARDED_BY(mutex_) = false;
};

std::string given_lines(const queue::Lease& lease) {
  std::string lines;
  for (const auto& message : lease.messages) {
    const std::string& body = message.body();
    size_t end = 0;
    for (int colon = 0; colon < 3 && end != std::string::npos; ++colon) {
      end = body.find(':', end == 0 ? 0 : end + 1);
    }
    lines += fmt::format("G {} {} {} {}\n", message.lookup_id(), message.delivery_count(), now_ns(),
                         body.substr(0, end));
  }
  return lines;
}

}  // namespace

int run_producer(const queue::ZmqQueueClientOptions& options, const PutPlan& plan) {
  auto client = queue::create_zmq_queue_client(options);
  CHECK(client.has_value(), client.error().to_string());
  const int exit_code = Producer(**client, plan).run();
  (*client)->stop();
  return exit_code;
}

int run_consumer(const queue::ZmqQueueClientOptions& options, const ConsumePlan& plan) {
  auto client = queue::create_zmq_queue_client(options);
  CHECK(client.has_value(), client.error().to_string());
  Journal journal(plan.journal);
  std::mt19937 chance(std::random_device{}());
  int64_t error_count = 0;
  while (!is_stopping(milliseconds(0))) {
    const auto lease = (*client)->receive({.max_count = plan.max_count,
                                           .lease = milliseconds(plan.lease_ms),
                                           .wait = milliseconds(200)});
    if (!lease) {
      journal.write(fmt::format("X {} {}\n", now_ns(), told(lease.error())));
      if (++error_count == plan.error_max_count) break;
      std::this_thread::sleep_for(milliseconds(10));
      continue;
    }
    if (lease->id == 0) continue;
    journal.write(given_lines(*lease));
    const bool gives_back = static_cast<int64_t>(chance() % 100) < plan.abort_percent;
    journal.write(fmt::format("{} {}\n", gives_back ? 'B' : 'C', now_ns()));
    const Status status = gives_back ? (*client)->abort(lease->id) : (*client)->commit(lease->id);
    journal.write(status.ok() ? fmt::format("D {}\n", now_ns())
                              : fmt::format("F {} {}\n", now_ns(), told(status)));
  }
  (*client)->stop();
  return error_count > 0 && error_count == plan.error_max_count ? 1 : 0;
}

}  // namespace verbatim::tools
