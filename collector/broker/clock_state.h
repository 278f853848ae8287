// State of the machine's clock, as the kernel keeps it (adjtimex(2)).
#pragma once

#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Offset, maximum error, and whether the kernel holds the clock for synchronised. Where the kernel
// does not say, the state is "not synchronised" with no offset.
v1::ClockState read_clock_state();

}  // namespace verbatim::collector
