#include "collector/outbox/capture_gaps.h"

#include <algorithm>

namespace verbatim::collector {

void join_gap(v1::CaptureGap& gap, const v1::CaptureGap& other) {
  const bool is_open = gap.end_unix_ns() == 0 || other.end_unix_ns() == 0;
  gap.set_start_unix_ns(std::min(gap.start_unix_ns(), other.start_unix_ns()));
  gap.set_end_unix_ns(is_open ? 0 : std::max(gap.end_unix_ns(), other.end_unix_ns()));
  const bool is_known = gap.missing_count() >= 0 && other.missing_count() >= 0;
  gap.set_missing_count(is_known ? gap.missing_count() + other.missing_count() : -1);
  if (gap.node() != other.node()) gap.clear_node();
  gap.set_detail("several gaps, joined for lack of room");
}

}  // namespace verbatim::collector
