// Clock: the seam to time. Unix time is a fact to store and never an order; timeouts and leases run
// on the monotonic clock. Tests use tests/support/fake_clock.h.
#pragma once

#include <chrono>
#include <cstdint>

namespace verbatim::base {

// Threads: every method may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // Nanoseconds since 1970-01-01 UTC; may jump.
  virtual int64_t unix_now_ns() const = 0;
  // Time since an arbitrary start; never goes back.
  virtual std::chrono::nanoseconds monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t unix_now_ns() const override;
  std::chrono::nanoseconds monotonic() const override;
};

// The machine's clock; lives as long as the process.
SystemClock& system_clock();

}  // namespace verbatim::base
