// What must be right about keys: nothing listens or dials beyond loopback without them, each is a
// key, none is there twice, and the patterns of queues are patterns. The one exception has to be
// said: the link of a chat node is plain, and may listen elsewhere with plain = "accepted".
#pragma once

#include <string_view>

#include "base/config_origin.h"
#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::base {

// Errors: kInvalidArgument "file:line: key: reason".
Status check_queue_security(const v1::Config& config, const ConfigOrigin& origin);

// Errors: kInvalidArgument "file:line: key: reason".
Status check_plain_links(const v1::Config& config, const ConfigOrigin& origin);

// "*" (all queues and sub-queues), "events", "events;dead-letters", "events;*" (all sub-queues of
// one). Errors: kInvalidArgument.
Status check_queue_pattern(std::string_view pattern);

}  // namespace verbatim::base
