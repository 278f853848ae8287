// The three forms in which a Conversations document gives one moment, and the form of ours.
#pragma once

#include <cstdint>
#include <string>

namespace verbatim::adapters {

// Attributes of DateTimeUTC, StartTimeUTC and EndTimeUTC (docs/formats/conversations-xml.md).
struct TimeTriple {
  // Unix milliseconds, truncated (towards the past).
  int64_t since1970 = 0;
  // ISO 8601 with Z: up to seven fraction digits, trailing zeros trimmed, no point without digits.
  std::string string;
  // .NET ticks: 100 ns since 0001-01-01, that is since1970 * 10000 + 621355968000000000 + the ticks
  // below the millisecond.
  int64_t ticks = 0;
};

TimeTriple to_time_triple(int64_t unix_ns);

// "2026-01-15T09:00:00.123456789Z": xs:dateTime with as many of nine digits as are needed.
std::string to_iso_time(int64_t unix_ns);

}  // namespace verbatim::adapters
