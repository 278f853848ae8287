// Backoff: growing, jittered delays between attempts, without end.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace verbatim::adapters {

// Threads: one at a time.
class Backoff {
 public:
  // Delays lie between half and all of min, 2 min, 4 min, ..., max; the jitter keeps instances
  // that lost the same hub from coming back in step.
  Backoff(std::chrono::milliseconds min, std::chrono::milliseconds max, uint64_t seed)
      : min_(min), max_(max), current_(min), random_(seed) {}

  std::chrono::milliseconds next() {
    const auto upper = current_.count();
    current_ = std::min(current_ * 2, max_);
    return std::chrono::milliseconds(
        std::uniform_int_distribution<int64_t>(upper - upper / 2, upper)(random_));
  }
  void reset() { current_ = min_; }

 private:
  const std::chrono::milliseconds min_;
  const std::chrono::milliseconds max_;
  std::chrono::milliseconds current_;
  std::mt19937_64 random_;
};

}  // namespace verbatim::adapters
