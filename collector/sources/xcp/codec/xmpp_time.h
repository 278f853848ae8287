// Times as XMPP writes them (XEP-0082, "DateTime"): 2026-11-22T16:00:00.123456Z or with an offset.
#pragma once

#include <cstdint>
#include <string_view>

namespace verbatim::collector {

// Unix nanoseconds; 0 for what is not such a time.
int64_t parse_xmpp_time(std::string_view text);

}  // namespace verbatim::collector
