// Puts in a closed loop.
#include <algorithm>
#include <deque>
#include <memory>
#include <thread>

#include "base/check.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/put_frame.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

// One socket with its producer.
class Producer {
 public:
  Producer(zmq::context_t& context, const LoadOptions& options, int number)
      : batch_(options.batch),
        name_("load-" + std::to_string(number)),
        wire_(context, options.address, name_),
        frame_(options, name_, wire_.open_producer(options.queue, name_)) {}

  void put() {
    const auto now = steady_clock::now();
    sent_.push_back({wire_.send(frame_.next()), now});
  }

  // Takes the answers that are there and gives their number.
  int take(LoadResult& result) {
    int count = 0;
    for (; wire_.take(answer_); ++count) count_answer(result);
    return count;
  }
  // The same, but waits for the first.
  int wait(LoadResult& result) {
    wire_.wait(answer_);
    count_answer(result);
    return 1 + take(result);
  }

  size_t in_flight_count() const { return sent_.size(); }
  zmq::socket_t& socket() { return wire_.socket(); }

 private:
  struct Sent {
    uint64_t id = 0;
    SteadyTime at;
  };

  void count_answer(LoadResult& result) {
    CHECK(!sent_.empty() && answer_.has_put_reply(), "a put is answered");
    if (answer_.request_id() != 0) {
      CHECK(answer_.request_id() == sent_.front().id, "answers come in order");
      CHECK(answer_.put_reply().results_size() == batch_, "each message has its answer");
    }
    result.latencies_us.push_back(microseconds_between(sent_.front().at, steady_clock::now()));
    result.messages += static_cast<uint64_t>(batch_);
    sent_.pop_front();
  }

  const int batch_;
  const std::string name_;
  Wire wire_;
  PutFrame frame_;
  v1::QueueFrame answer_;
  std::deque<Sent> sent_;
};

using Producers = std::vector<std::unique_ptr<Producer>>;

// Takes answers and puts again until the time or the count is reached.
class Driver {
 public:
  Driver(const LoadOptions& options, Producers producers)
      : options_(options), producers_(std::move(producers)) {}

  LoadResult run(const Measurement& measurement, uint64_t count) {
    const auto batch = static_cast<uint64_t>(options_.batch);
    left_ = count == 0 ? UINT64_MAX : (count + batch - 1) / batch;
    for (auto& producer : producers_) {
      for (int i = 0; i < options_.window; ++i) put(*producer);
    }
    // At least one answer, however slow the machine.
    while ((steady_clock::now() < measurement.deadline() || result_.messages == 0) &&
           has_in_flight()) {
      turn();
    }
    LoadResult result = std::move(result_);
    result.seconds = seconds_since(measurement.begin());
    left_ = 0;
    while (has_in_flight()) turn();  // not counted
    return result;
  }

 private:
  void put(Producer& producer) {
    if (left_ == 0) return;
    if (options_.backlog != nullptr && !options_.backlog->take(options_.batch)) return;
    --left_;
    producer.put();
  }
  bool has_in_flight() const {
    return std::any_of(producers_.begin(), producers_.end(),
                       [](const auto& producer) { return producer->in_flight_count() > 0; });
  }
  void turn() {
    if (producers_.size() == 1) {
      for (int n = producers_[0]->wait(result_); n > 0; --n) put(*producers_[0]);
      return;
    }
    std::vector<zmq::pollitem_t> items;
    items.reserve(producers_.size());
    for (auto& producer : producers_) {
      items.push_back({producer->socket().handle(), 0, ZMQ_POLLIN, 0});
    }
    zmq::poll(items, std::chrono::milliseconds(1'000));
    for (size_t i = 0; i < items.size(); ++i) {
      if (items[i].revents == 0) continue;
      for (int n = producers_[i]->take(result_); n > 0; --n) put(*producers_[i]);
    }
  }

  const LoadOptions& options_;
  Producers producers_;
  LoadResult result_;
  uint64_t left_ = 0;
};

}  // namespace

LoadResult run_put(const LoadOptions& options) {
  zmq::context_t context;
  std::vector<std::unique_ptr<Driver>> drivers;
  for (int thread = 0; thread < options.threads; ++thread) {
    Producers producers;
    for (int i = thread; i < options.sockets; i += options.threads) {
      producers.push_back(std::make_unique<Producer>(context, options, i));
    }
    drivers.push_back(std::make_unique<Driver>(options, std::move(producers)));
  }
  LoadResult result;
  std::vector<LoadResult> parts(drivers.size());
  std::vector<std::thread> threads;
  const Measurement measurement(options);
  const uint64_t part_count = options.count / drivers.size();
  for (size_t i = 0; i < drivers.size(); ++i) {
    threads.emplace_back([&, i] { parts[i] = drivers[i]->run(measurement, part_count); });
  }
  for (std::thread& thread : threads) thread.join();
  measurement.end(result);
  result.seconds = 0;
  for (const LoadResult& part : parts) {
    result.add(part);
    result.seconds = std::max(result.seconds, part.seconds);
  }
  return result;
}

}  // namespace verbatim::bench
