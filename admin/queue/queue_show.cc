#include <fmt/format.h>

#include "admin/queue/queue_commands.h"
#include "admin/queue/queue_text.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {

bool is_unused_sub_queue(CommandContext& context, const std::string& queue) {
  const size_t mark = queue.find(';');
  if (mark == std::string::npos) return false;
  v1::ListQueuesRequest request;
  request.set_queue(queue);
  if (context.client.list_queues(request).has_value()) return false;
  request.set_queue(queue.substr(0, mark));
  return context.client.list_queues(request).has_value();
}

int list_queues(CommandContext& context) {
  const Result<v1::ListQueuesResponse> answer = context.client.list_queues();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"QUEUE"},
               {"STATE"},
               {"MESSAGES", Align::kRight},
               {"SIZE", Align::kRight},
               {"LEASED", Align::kRight},
               {"OLDEST", Align::kRight},
               {"PUT/S", Align::kRight},
               {"COMMIT/S", Align::kRight},
               {"ACCEPTED", Align::kRight},
               {"COMMITTED", Align::kRight},
               {"REPEATS", Align::kRight},
               {"REDELIVERED", Align::kRight},
               {"LAST ID", Align::kRight},
               {"REFUSED"}});
  for (const auto& queue : answer->queues()) {
    table.add_row({printable(queue.name()), state_cell(queue), human_count(queue.depth()),
                   human_bytes(queue.bytes()), human_count(queue.leased_count()),
                   human_age(queue.oldest_age_ms()), fmt::format("{:.1f}", queue.put_rate()),
                   fmt::format("{:.1f}", queue.commit_rate()), human_count(queue.accepted_count()),
                   human_count(queue.committed_count()), human_count(queue.repeat_count()),
                   human_count(queue.redelivered_count()), human_count(queue.last_lookup_id()),
                   counts_by_reason(queue.refused())});
  }
  print_table(context.style, table, "No queues.");
  print_text("\n" + service_text(answer->service()) + log_text(answer->log()));
  return kExitOk;
}

int show_queue(CommandContext& context, const std::string& queue) {
  v1::ListQueuesRequest request;
  request.set_queue(queue);
  const Result<v1::ListQueuesResponse> answer = context.client.list_queues(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  print_table(context.style, counters_table(*answer), "No queues.");
  for (const auto& one : answer->queues()) {
    if (one.name() == queue) print_text("\n" + settings_text(one.settings()));
  }
  print_text("\n" + service_text(answer->service()) + log_text(answer->log()));
  return kExitOk;
}

bool goes_back(const v1::PeekRequest& request) {
  return request.direction() == v1::PeekRequest::DIRECTION_LAST ||
         request.direction() == v1::PeekRequest::DIRECTION_PREVIOUS;
}

// The service looks at a bounded part at a time, so that clients do not wait for us.
Result<v1::PeekResponse> peek_all(CommandContext& context, v1::PeekRequest request) {
  const int32_t wanted = request.max_count();
  v1::PeekResponse all;
  while (true) {
    ASSIGN_OR_RETURN(v1::PeekResponse part, context.client.peek(request));
    all.mutable_messages()->MergeFrom(part.messages());
    all.set_next_lookup_id(part.next_lookup_id());
    if (part.next_lookup_id() == 0 || all.messages_size() >= wanted) return all;
    request.set_max_count(wanted - all.messages_size());
    request.set_direction(goes_back(request) ? v1::PeekRequest::DIRECTION_PREVIOUS
                                             : v1::PeekRequest::DIRECTION_UNSPECIFIED);
    request.set_from_lookup_id(part.next_lookup_id() + (goes_back(request) ? 1 : 0));
  }
}

int peek_queue(CommandContext& context, const v1::PeekRequest& request) {
  Result<v1::PeekResponse> answer = peek_all(context, request);
  if (answer.error().code() == StatusCode::kNotFound &&
      request.direction() != v1::PeekRequest::DIRECTION_AT &&
      is_unused_sub_queue(context, request.queue())) {
    answer = v1::PeekResponse();
  }
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
               {"GOES OUT AFTER"},
               {"SOURCE"},
               {"ORDER KEY"},
               {"CORRELATION"},
               {"LABEL"},
               {"CAME FROM"}});
  for (const auto& message : answer->messages()) {
    table.add_row({std::to_string(message.lookup_id()), utc_time(message.put_unix_ns()),
                   human_bytes(message.bytes()), human_count(message.delivery_count()),
                   message.is_leased() ? "yes" : "no", utc_time(message.not_before_unix_ns()),
                   printable(message.source()), short_hex(message.order_key()),
                   short_hex(message.correlation_id()),
                   message.label().empty() ? "-" : printable(message.label()), hops_text(message)});
  }
  print_table(context.style, table, "No messages.");
  if (answer->next_lookup_id() != 0) {
    const uint64_t next = answer->next_lookup_id();
    print_text(goes_back(request)
                   ? fmt::format("\nThere is more; go on with --previous {}\n", next + 1)
                   : fmt::format("\nThere is more; go on with --from {}\n", next));
  }
  return kExitOk;
}

}  // namespace verbatim::admin
