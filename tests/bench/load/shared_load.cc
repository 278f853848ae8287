// Many threads, one QueueClient: each thread has one put in flight and sleeps until it is durable.
#include <semaphore.h>

#include <thread>

#include "base/check.h"
#include "queue/client/zmq_queue_client.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/put_frame.h"

namespace verbatim::bench {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

LoadResult put_until(queue::QueueClient& client, const LoadOptions& options, int number,
                     const Measurement& measurement) {
  const std::string body = make_body(options.body_bytes);
  LoadResult result;
  // std::atomic's wait and std::semaphore yield many times before they sleep; 64 threads that yield
  // leave the machine no time for anything else.
  sem_t done;
  CHECK(::sem_init(&done, 0, 0) == 0, "a semaphore can be had");
  while (steady_clock::now() < measurement.deadline() || result.messages == 0) {
    queue::PutRequest request;
    request.order_key = std::to_string(number);
    request.source = "bench";
    request.body = body;
    const auto begin = steady_clock::now();
    const Status status = client.put(std::move(request), nanoseconds::max(),
                                     [&done](const Result<queue::PutOutcome>& outcome) {
                                       CHECK(outcome.has_value(), "a put is stored");
                                       ::sem_post(&done);
                                     });
    CHECK(status.ok(), status.to_string());
    while (::sem_wait(&done) != 0) continue;  // a signal
    result.latencies_us.push_back(microseconds_between(begin, steady_clock::now()));
    ++result.messages;
  }
  ::sem_destroy(&done);
  return result;
}

}  // namespace

LoadResult run_shared(const LoadOptions& options) {
  queue::ZmqQueueClientOptions client_options;
  client_options.address = options.address;
  client_options.client_name = "load-shared";
  client_options.producer = "load-shared";
  client_options.queue = options.queue;
  auto client = queue::create_zmq_queue_client(client_options);
  CHECK(client.has_value(), client.error().to_string());
  const auto begin = steady_clock::now();
  while (!(*client)->is_connected()) {
    CHECK(seconds_since(begin) < 30, "the server answers");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::vector<LoadResult> parts(static_cast<size_t>(options.threads));
  std::vector<std::thread> threads;
  const Measurement measurement(options);
  for (size_t i = 0; i < parts.size(); ++i) {
    threads.emplace_back(
        [&, i] { parts[i] = put_until(**client, options, static_cast<int>(i), measurement); });
  }
  for (std::thread& thread : threads) thread.join();
  LoadResult result;
  measurement.end(result);
  for (const LoadResult& part : parts) result.add(part);
  (*client)->stop();
  return result;
}

}  // namespace verbatim::bench
