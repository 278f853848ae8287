// Names of queues. A queue is "events": 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit.
// A sub-queue is "events;own": the same twice, with a semicolon between (as in MSMQ). Four
// sub-queues are the service's own; names that begin with "verbatim." are, too.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::queue {

inline constexpr std::string_view kRetry = "retry";  // a view, no queue: see QueueInfo
inline constexpr std::string_view kPoison = "poison";
inline constexpr std::string_view kDeadLetters = "dead-letters";
inline constexpr std::string_view kJournal = "journal";

// Errors: kInvalidArgument, saying what a name is.
Status check_queue_name(std::string_view name);
// What a client or operator may make: not the service's own. Errors as check_queue_name.
Status check_new_queue_name(std::string_view name);

// kNotFound, with what there is instead.
Status no_such_queue(std::string_view name);

// "events" of "events;poison"; the name itself of a queue.
std::string_view parent_of(std::string_view name);
// "poison"; empty of a queue.
std::string_view sub_name_of(std::string_view name);
std::string sub_queue(std::string_view name, std::string_view sub_name);
// A sub-queue that the service makes and fills itself.
bool is_system_sub_queue(std::string_view name);
// A queue that the service puts into and takes from by itself: what came from elsewhere would be
// gone.
bool is_service_queue(std::string_view name);

}  // namespace verbatim::queue
