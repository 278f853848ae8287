// What a hold covers, and what a filter of `verbatimctl staging list` shows. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::processor {

// A time lies in a filter if it is not before the first bound and before the second; 0 is open. An
// event is in it by its source's time or by its accept time: a clock that is wrong must not take an
// event out of a hold.
bool is_in_time(const v1::Envelope& envelope, int64_t from_unix_ns, int64_t to_unix_ns);

// An address that a person has typed, as far as possible as the collector writes it: node and
// domain in lower case (ASCII), a room without what follows "/"; a URI whole, in lower case. What
// has no "@", such as the name of a source, stays. Letters beyond ASCII have to be given as events
// have them.
std::string typed_address(const std::string& text);
std::string typed_room(const std::string& text);

// Addresses of a filter are compared byte for byte; of a person also without what follows "/".
bool covers(const v1::HoldFilter& filter, const v1::Envelope& envelope);
bool matches(const v1::StagedFilter& filter, const v1::Envelope& envelope);

// Errors: kInvalidArgument: nothing is given and not "all", or "all" beside something else, or a
// time that ends before it begins.
Status check_hold_filter(const v1::HoldFilter& filter);

}  // namespace verbatim::processor
