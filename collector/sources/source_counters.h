// SourceCounters: what a source counts of its events, for SourceInfo.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "collector/broker/pending_event.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

class SourceCounters {
 public:
  // An event came in.
  void count_received(const base::Clock& clock) {
    ++received_;
    ++in_flight_;
    last_event_unix_ns_ = clock.unix_now_ns();
  }
  // It was answered.
  void count_answer(const Answer& answer) {
    --in_flight_;
    if (answer.kind == Answer::Kind::kAccepted) {
      ++(answer.is_repeat ? repeat_ : accepted_);
    } else {
      ++(answer.kind == Answer::Kind::kRefused ? refused_ : error_);
    }
  }
  void count_gap() { ++gap_; }

  int64_t in_flight() const { return in_flight_; }

  // Fills the counters of a row.
  void fill(v1::SourceInfo& info) const {
    info.set_received_count(received_);
    info.set_accepted_count(accepted_);
    info.set_refused_count(refused_);
    info.set_error_count(error_);
    info.set_repeat_count(repeat_);
    info.set_gap_count(gap_);
    info.set_in_flight_count(in_flight_);
    info.set_last_event_unix_ns(last_event_unix_ns_);
  }

 private:
  std::atomic<int64_t> received_{0};
  std::atomic<int64_t> accepted_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> error_{0};
  std::atomic<int64_t> repeat_{0};
  std::atomic<int64_t> gap_{0};
  std::atomic<int64_t> in_flight_{0};
  std::atomic<int64_t> last_event_unix_ns_{0};
};

}  // namespace verbatim::collector
