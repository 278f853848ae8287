// What becomes of capture gaps for which there is no room one by one: fewer and wider ones.
#pragma once

#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Widens `gap` so that it covers `other` too. The counts are added; one that is not known makes the
// sum unknown. An end of 0 (still open) stays.
void join_gap(v1::CaptureGap& gap, const v1::CaptureGap& other);

}  // namespace verbatim::collector
