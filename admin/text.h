// Numbers, sizes, ages and foreign text as people read them on a terminal. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::admin {

// "1,234,567"; negative numbers keep their sign.
std::string human_count(int64_t count);
std::string human_count(uint64_t count);

// "0 B", "999 B", "1.5 KiB", "64 MiB".
std::string human_bytes(int64_t bytes);

// "250 ms", "3.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h"; "-" for nothing and for negative ages.
std::string human_age(int64_t age_ms);

// "2026-03-01 12:00:05.250Z"; "-" for 0.
std::string utc_time(int64_t unix_ns);

// The other way round, for command lines: "250ms", "30s", "5m", "2h", "7d"; "64MiB", "1GiB",
// "1000". Errors: kInvalidArgument with what is expected.
Result<int64_t> parse_age_ms(std::string_view text);
Result<int64_t> parse_bytes(std::string_view text);
// UTC, "2026-03-01", "2026-03-01T12:00" or "2026-03-01T12:00:05Z".
Result<int64_t> parse_utc_ns(std::string_view text);

// What a source or peer has said, made safe to print: control characters, bidirectional overrides
// and broken UTF-8 are shown as escapes, so that no name can move the cursor or colour the screen.
std::string printable(std::string_view text);

// "GONE" for "LINK_STATE_GONE" and the prefix "LINK_STATE_", as the guide writes it.
std::string enum_name(std::string_view name, std::string_view prefix);

// "joined" for "EVENT_KIND_JOINED" and the prefix "EVENT_KIND_".
std::string enum_word(std::string_view name, std::string_view prefix);

// Opaque bytes in hexadecimal, at most the first 16 of them; "-" for none.
std::string short_hex(std::string_view bytes);

// Columns that the UTF-8 text takes on a terminal, taking each code point as one.
size_t display_width(std::string_view text);

}  // namespace verbatim::admin
