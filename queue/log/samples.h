// Samples: the newest thousand values of something, and what is usual among them.
// Threads: one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace verbatim::queue {

struct Percentiles {
  int64_t p50 = 0;
  int64_t p99 = 0;
  int64_t max = 0;
};

class Samples {
 public:
  void add(int64_t value) {
    if (values_.size() < kCount) {
      values_.push_back(value);
    } else {
      values_[next_] = value;
      next_ = (next_ + 1) % kCount;
    }
  }

  // All zero without a value.
  Percentiles percentiles() const {
    if (values_.empty()) return {};
    std::vector<int64_t> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const size_t last = sorted.size() - 1;
    return {.p50 = sorted[last / 2], .p99 = sorted[last * 99 / 100], .max = sorted[last]};
  }

 private:
  static constexpr size_t kCount = 1'000;
  std::vector<int64_t> values_;
  size_t next_ = 0;  // the oldest, once there are kCount
};

}  // namespace verbatim::queue
