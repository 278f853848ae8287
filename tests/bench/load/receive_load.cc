// Receives and commits, several leases in flight on one connection.
#include <algorithm>
#include <map>
#include <thread>
#include <unordered_map>

#include "base/check.h"
#include "tests/bench/load/load.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

class Consumer {
 public:
  Consumer(const LoadOptions& options, zmq::context_t& context)
      : options_(options), wire_(context, options.address, "load-consumer") {
    v1::Receive& receive = *receive_.mutable_receive();
    receive.set_queue(options.queue);
    receive.set_max_count(options.batch);
    receive.set_max_bytes(64 * 1024 * 1024);
    receive.set_lease_ms(60'000);
    receive.set_wait_ms(kWaitMs);
    commit_.mutable_commit()->set_queue(options.queue);
  }

  // `ends_when_empty`: at the first receive that waited in vain.
  LoadResult run(const Measurement& measurement, bool ends_when_empty) {
    for (int i = 0; i < options_.window; ++i) receive();
    auto last = measurement.begin();
    while (!pending_.empty()) {
      wire_.wait(answer_);
      const auto it = pending_.find(answer_.request_id());
      CHECK(it != pending_.end(), "an answer belongs to a request");
      const SteadyTime begin = it->second;
      pending_.erase(it);
      // At least one lease, however slow the machine.
      const bool is_late = result_.messages > 0 && steady_clock::now() >= measurement.deadline();
      if (answer_.has_settle_reply()) {
        if (!is_late) {
          last = steady_clock::now();
          const int64_t count = answer_.settle_reply().settled_count();
          result_.messages += static_cast<uint64_t>(count);
          if (options_.backlog != nullptr) options_.backlog->give(count);
          result_.latencies_us.push_back(microseconds_between(begin, last));
        }
        if (!is_late && !is_ending_) receive();
      } else if (answer_.receive_reply().messages().empty()) {
        is_ending_ = is_ending_ || ends_when_empty;
        if (!is_late && !is_ending_) receive();
      } else {
        check_order();
        commit(answer_.receive_reply().lease_id(), begin);
      }
    }
    result_.seconds = std::chrono::duration<double>(last - measurement.begin()).count();
    return std::move(result_);
  }

 private:
  static constexpr int64_t kWaitMs = 50;

  void receive() {
    const auto now = steady_clock::now();
    pending_[wire_.send(receive_)] = now;
  }
  // A lease's latency is that of its receive and its commit.
  void commit(uint64_t lease_id, SteadyTime begin) {
    commit_.mutable_commit()->set_lease_id(lease_id);
    pending_[wire_.send(commit_)] = begin;
  }
  void check_order() {
    for (const v1::QueueMessage& message : answer_.receive_reply().messages()) {
      uint64_t& last = last_lookup_ids_[message.order_key()];
      CHECK(message.lookup_id() > last, "messages of a key come in order, none twice");
      CHECK(message.body().size() == options_.body_bytes, "a message is whole");
      last = message.lookup_id();
    }
  }

  const LoadOptions& options_;
  Wire wire_;
  v1::QueueFrame receive_;
  v1::QueueFrame commit_;
  v1::QueueFrame answer_;
  std::map<uint64_t, SteadyTime> pending_;
  LoadResult result_;
  std::unordered_map<std::string, uint64_t> last_lookup_ids_;
  bool is_ending_ = false;
};

}  // namespace

LoadResult run_receive(const LoadOptions& options) {
  zmq::context_t context;
  Consumer consumer(options, context);
  const Measurement measurement(options);
  LoadResult result = consumer.run(measurement, true);
  const double seconds = result.seconds;
  measurement.end(result);
  result.seconds = seconds;
  return result;
}

LoadResult run_mixed(const LoadOptions& options) {
  zmq::context_t context;
  Backlog backlog(kBacklogBatches * options.batch);
  LoadOptions put_options = options;
  put_options.server = 0;
  put_options.backlog = &backlog;
  LoadOptions receive_options = options;
  receive_options.backlog = &backlog;
  Consumer consumer(receive_options, context);
  LoadResult put;
  const Measurement measurement(options);
  std::thread producer([&] { put = run_put(put_options); });
  LoadResult result = consumer.run(measurement, false);
  backlog.close();
  producer.join();
  const double seconds = std::max(result.seconds, put.seconds);
  measurement.end(result);
  result.seconds = seconds;
  return result;
}

LoadResult run_first(const LoadOptions& options) {
  zmq::context_t context;
  LoadResult result;
  const Measurement measurement(options);
  Wire wire(context, options.address, "load-first");
  v1::QueueFrame frame;
  v1::Receive& receive = *frame.mutable_receive();
  receive.set_queue(options.queue);
  receive.set_max_count(1);
  receive.set_max_bytes(1);
  receive.set_lease_ms(60'000);
  receive.set_wait_ms(10'000);
  wire.send(frame);
  wire.wait(frame);
  CHECK(frame.receive_reply().messages_size() == 1, "a message is delivered");
  result.messages = 1;
  result.latencies_us.push_back(microseconds_between(measurement.begin(), steady_clock::now()));
  const uint64_t lease_id = frame.receive_reply().lease_id();
  frame.mutable_abort()->set_queue(options.queue);
  frame.mutable_abort()->set_lease_id(lease_id);
  wire.send(frame);
  wire.wait(frame);
  measurement.end(result);
  return result;
}

}  // namespace verbatim::bench
