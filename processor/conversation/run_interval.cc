#include "processor/conversation/run_interval.h"

namespace verbatim::processor {

int64_t interval_start(int64_t unix_ns, int64_t length_ns) {
  const int64_t rest = unix_ns % length_ns;
  return unix_ns - (rest < 0 ? rest + length_ns : rest);
}

int64_t next_interval_start(int64_t floor_unix_ns, int64_t staged_unix_ns, int64_t length_ns) {
  const int64_t own = interval_start(staged_unix_ns, length_ns);
  // The length may have been changed since.
  const int64_t floor = interval_start(floor_unix_ns, length_ns);
  const bool is_small_step_back = own < floor && own >= floor - length_ns;
  return is_small_step_back ? floor : own;
}

bool is_interval_over(int64_t start_unix_ns, int64_t now_unix_ns, int64_t length_ns) {
  return now_unix_ns >= start_unix_ns + length_ns || now_unix_ns < start_unix_ns - length_ns;
}

}  // namespace verbatim::processor
