// SequenceTracker: finds what a node's tap sent, or wanted to send, and what never came in.
//
// The tap numbers its events without gaps within a boot (docs/xcp-link.md). After a reconnect old
// requests may come in behind new ones, so a number counts as missing only after a grace time.
//
// I1 Each missing number is reported once. I2 At most kRangesMaxCount ranges are held; beyond that
//    the oldest is reported at once.
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

namespace verbatim::collector {

// Times are those of the events around the gap.
struct SequenceGap {
  uint64_t missing_count = 0;
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = 0;
};

class SequenceTracker {
 public:
  static constexpr size_t kRangesMaxCount = 256;

  explicit SequenceTracker(std::chrono::nanoseconds grace) : grace_(grace) {}

  // Takes note of one event. The first one ever sets the beginning: what came before it, while
  // nobody listened, is another kind of gap. `boot` or `sequence` 0: not numbered, ignored.
  void take(uint64_t boot, uint64_t sequence, int64_t event_time_unix_ns,
            std::chrono::nanoseconds now);

  // What has been missing for longer than the grace time; everything missing where `all`.
  std::vector<SequenceGap> collect(std::chrono::nanoseconds now, bool all = false);

 private:
  struct Range {
    uint64_t last = 0;
    int64_t start_unix_ns = 0;
    int64_t end_unix_ns = 0;
    std::chrono::nanoseconds since{0};
  };
  void begin_boot(uint64_t boot);
  void fill(uint64_t sequence);

  const std::chrono::nanoseconds grace_;
  uint64_t boot_ = 0;
  uint64_t next_ = 0;
  int64_t last_time_unix_ns_ = 0;
  std::map<uint64_t, Range> missing_;  // by first number; of the boot in force
  std::vector<SequenceGap> ready_;
};

}  // namespace verbatim::collector
