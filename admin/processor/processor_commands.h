// The commands about the processor's store: holds, staged events, batches, files, replay, drain.
// Each asks, prints, and gives the exit code, as in commands.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "admin/commands.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

int add_hold(CommandContext& context, const v1::AddHoldRequest& request);
// Exit code 1 while a queue's flag is pending.
int list_holds(CommandContext& context);
int release_hold(CommandContext& context, const v1::ReleaseHoldRequest& request);

// Asks part after part until `lines` events are shown (0: only counts) or the store is at its end.
int list_staged(CommandContext& context, const v1::ListStagedRequest& request, int lines);
// Without content: the same metadata as in the list.
int show_event(CommandContext& context, const v1::ShowEventRequest& request, bool with_content);
int trace_message(CommandContext& context, const v1::TraceMessageRequest& request);
int list_batches(CommandContext& context, const v1::ListBatchesRequest& request);
int list_files(CommandContext& context, const v1::ListFilesRequest& request);
int replay_adapter(CommandContext& context, const v1::ReplayAdapterRequest& request);

struct DrainCommand {
  std::string reason;
  // Ends drain mode instead, and lets puts go on.
  bool end = false;
  std::chrono::seconds time_max{0};
};
// Exit code 0: nothing is queued or staged and every adapter has acknowledged; 1: not in time, or
// something stands in the way.
int drain(CommandContext& context, const DrainCommand& command);

// What a filter says, in words: "person a@x, room r@x, from 2026-03-01 00:00:00.000Z".
std::string filter_text(const v1::HoldFilter& filter);
// One event as a line of `events tail`. Fixed widths: the next line is not known yet.
std::string event_line(const v1::EventInfo& event);

}  // namespace verbatim::admin
