#include "base/clock.h"

namespace verbatim::base {

int64_t SystemClock::unix_now_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::chrono::nanoseconds SystemClock::monotonic() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

SystemClock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace verbatim::base
