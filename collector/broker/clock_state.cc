#include "collector/broker/clock_state.h"

#include <sys/timex.h>

namespace verbatim::collector {

v1::ClockState read_clock_state() {
  v1::ClockState state;
  timex request{};  // modes 0: only reads
  const int verdict = adjtimex(&request);
  if (verdict < 0) return state;
  const bool is_nano = (request.status & STA_NANO) != 0;
  state.set_offset_ns(is_nano ? request.offset : request.offset * 1'000);
  state.set_error_ns(request.maxerror * 1'000);
  state.set_synchronised(verdict != TIME_ERROR && (request.status & STA_UNSYNC) == 0);
  return state;
}

}  // namespace verbatim::collector
