#include <fmt/format.h>

#include "admin/commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {

int list_queues(CommandContext& context) {
  const Result<v1::ListQueuesResponse> answer = context.client.list_queues();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"QUEUE"},
               {"MESSAGES", Align::kRight},
               {"SIZE", Align::kRight},
               {"LEASED", Align::kRight},
               {"OLDEST", Align::kRight},
               {"ACCEPTED", Align::kRight},
               {"COMMITTED", Align::kRight},
               {"REPEATS", Align::kRight},
               {"REDELIVERED", Align::kRight},
               {"LAST ID", Align::kRight},
               {"REFUSED"}});
  for (const auto& queue : answer->queues()) {
    std::string refused;
    for (const auto& [reason, count] : queue.refused()) {
      refused += fmt::format("{}{} {}", refused.empty() ? "" : ", ", reason, human_count(count));
    }
    table.add_row({printable(queue.name()), human_count(queue.depth()), human_bytes(queue.bytes()),
                   human_count(queue.leased_count()), human_age(queue.oldest_age_ms()),
                   human_count(queue.accepted_count()), human_count(queue.committed_count()),
                   human_count(queue.repeat_count()), human_count(queue.redelivered_count()),
                   human_count(queue.last_lookup_id()), refused.empty() ? "-" : refused});
  }
  print_table(context.style, table, "No queues.");
  const auto& log = answer->log();
  print_text(fmt::format(
      "\nLog: {} segments ({} free), {} live, {} records in {} syncs; recovered in "
      "{}{}\n",
      human_count(log.segment_count()), human_count(log.free_segment_count()),
      human_bytes(log.live_bytes()), human_count(log.synced_record_count()),
      human_count(log.sync_count()), human_age(log.recovery_ms()),
      log.cut_bytes() > 0 ? ", " + human_bytes(log.cut_bytes()) + " of an unfinished end were cut"
                          : ""));
  return kExitOk;
}

int peek_queue(CommandContext& context, const v1::PeekRequest& request) {
  const Result<v1::PeekResponse> answer = context.client.peek(request);
  if (!answer) {
    const Status error = answer.error();
    if (error.code() != StatusCode::kNotFound) return report_error(error);
    return report_error({error.code(), error.message() + " name=" + printable(request.queue())});
  }
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"LOOKUP ID", Align::kRight},
               {"STORED AT"},
               {"SIZE", Align::kRight},
               {"DELIVERIES", Align::kRight},
               {"LEASED"},
               {"SOURCE"}});
  for (const auto& message : answer->messages()) {
    table.add_row({std::to_string(message.lookup_id()), utc_time(message.put_unix_ns()),
                   human_bytes(message.bytes()), human_count(message.delivery_count()),
                   message.is_leased() ? "yes" : "no", printable(message.source())});
  }
  print_table(context.style, table, "No messages.");
  return kExitOk;
}

}  // namespace verbatim::admin
