// FakeClock: time that moves only when a test says so.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace verbatim::testing {

// Threads: any.
class FakeClock final : public base::Clock {
 public:
  // Starts at 2026-01-01T00:00:00Z unless told otherwise.
  explicit FakeClock(int64_t unix_now_ns = 1'767'225'600'000'000'000) : unix_ns_(unix_now_ns) {}

  int64_t unix_now_ns() const override { return unix_ns_.load(); }
  std::chrono::nanoseconds monotonic() const override {
    return std::chrono::nanoseconds(monotonic_ns_.load());
  }

  // Moves both clocks on.
  void advance(std::chrono::nanoseconds by) {
    unix_ns_ += by.count();
    monotonic_ns_ += by.count();
  }
  // Sets the wall clock alone, as an administrator or NTP would; it may go back.
  void set_unix_now_ns(int64_t value) { unix_ns_ = value; }

 private:
  std::atomic<int64_t> unix_ns_;
  std::atomic<int64_t> monotonic_ns_{1'000'000'000};
};

}  // namespace verbatim::testing
