// Puts at a given rate, whether answered or not. A put that is late because the one before it hung
// counts from the time at which it was meant to go, so no stall hides (no coordinated omission).
#include <sys/prctl.h>

#include <deque>

#include "base/check.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/put_frame.h"

namespace verbatim::bench {

LoadResult run_open(const LoadOptions& options) {
  using std::chrono::steady_clock;
  // Below the service's default credit of 256 requests.
  constexpr size_t kInFlightMax = 240;
  CHECK(::prctl(PR_SET_TIMERSLACK, 1) == 0, "the kernel's timer is exact");
  zmq::context_t context;
  Wire wire(context, options.address, "load-open");
  PutFrame frame(options, "load-open", wire.open_producer(options.queue, "load-open"));
  const auto step = std::chrono::duration_cast<steady_clock::duration>(
      std::chrono::duration<double>(options.batch / options.rate));
  std::deque<SteadyTime> meant;
  v1::QueueFrame answer;
  LoadResult result;
  const Measurement measurement(options);
  SteadyTime next = measurement.begin();
  while (next < measurement.deadline() || !meant.empty()) {
    const bool may_send = next < measurement.deadline() && meant.size() < kInFlightMax;
    if (may_send && steady_clock::now() >= next) {
      wire.send(frame.next());
      meant.push_back(next);
      next += step;
    }
    const auto patience = steady_clock::now() + std::chrono::seconds(30);
    if (!wire.wait_until(answer, may_send ? next : patience)) {
      CHECK(steady_clock::now() < patience, "the server answers");
      continue;
    }
    CHECK(!meant.empty() && answer.has_put_reply(), "a put is answered");
    result.latencies_us.push_back(microseconds_between(meant.front(), steady_clock::now()));
    result.messages += static_cast<uint64_t>(options.batch);
    meant.pop_front();
  }
  measurement.end(result);
  return result;
}

}  // namespace verbatim::bench
