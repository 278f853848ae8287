// LogLimit: what a stranger can cause must not fill the log. The first of like lines passes, then
// one in each interval, which tells how many were left out. Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace verbatim::base {

class LogLimit {
 public:
  explicit LogLimit(std::chrono::nanoseconds interval = std::chrono::seconds(10))
      : interval_(interval) {}

  // The count of lines left out since the last that passed; nothing: leave this one out, too.
  std::optional<uint64_t> pass(std::chrono::nanoseconds monotonic) {
    if (next_ && monotonic < *next_) {
      ++left_out_;
      return std::nullopt;
    }
    next_ = monotonic + interval_;
    const uint64_t left_out = left_out_;
    left_out_ = 0;
    return left_out;
  }

 private:
  const std::chrono::nanoseconds interval_;
  std::optional<std::chrono::nanoseconds> next_;
  uint64_t left_out_ = 0;
};

}  // namespace verbatim::base
