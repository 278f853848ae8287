// Queues as people read them: the words for their state, settings, reasons. Pure functions.
#pragma once

#include <string>

#include "admin/table.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

// "ok", or what is unusual: "paused", "puts paused", "full", "held", "being deleted".
Cell state_cell(const v1::QueueInfo& queue);

// "poison 3, purged 2" for counts by reason name; "-" for none.
std::string counts_by_reason(const google::protobuf::Map<std::string, int64_t>& counts);

// "poison" for END_REASON_POISON; "-" for none.
std::string reason_word(v1::EndReason reason);

// "events;dead-letters" for "events"; a sub-queue stays what it is.
std::string dead_letters_of(const std::string& queue);

// Where a message came from: "events/17 poison, events;poison/3 redriven"; "-" for nowhere.
std::string hops_text(const v1::MessageInfo& message);

// One line a setting; what is not set is shown with its default.
std::string settings_text(const v1::QueueSettings& settings);

// A row for each counter, a column for each queue.
Table counters_table(const v1::ListQueuesResponse& answer);

std::string service_text(const v1::ServiceQuota& service);
std::string log_text(const v1::LogInfo& log);

}  // namespace verbatim::admin
