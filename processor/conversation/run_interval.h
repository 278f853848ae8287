// Run intervals: which one an event belongs to, and when one is over. Pure.
//
// Intervals are counted from 1970-01-01T00:00:00Z. Time only says where to cut; the order is that
// of the sequence, so an event belongs to its predecessor's interval or to another, and a clock
// that steps back does not go back with it:
// I1 An interval, once left, is not entered again by a step back of less than one interval.
// I2 After a larger step (a wrong clock was put right) intervals go on from the new time.
#pragma once

#include <cstdint>

namespace verbatim::processor {

// The start of the interval that holds this time.
int64_t interval_start(int64_t unix_ns, int64_t length_ns);

// The start of the interval of an event staged at `staged_unix_ns`, when those before it belong to
// the interval that starts at `floor_unix_ns`, or have ended the one before that; 0: there are
// none.
int64_t next_interval_start(int64_t floor_unix_ns, int64_t staged_unix_ns, int64_t length_ns);

// Nothing more can come of the interval: its end has come, or the clock has been put right since.
bool is_interval_over(int64_t start_unix_ns, int64_t now_unix_ns, int64_t length_ns);

}  // namespace verbatim::processor
