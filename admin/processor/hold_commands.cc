#include <fmt/format.h>

#include "admin/processor/processor_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {

std::string filter_text(const v1::HoldFilter& filter) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (filter.all()) add("everything");
  if (!filter.person().empty()) add("person " + printable(filter.person()));
  if (!filter.room().empty()) add("room " + printable(filter.room()));
  if (filter.from_unix_ns() != 0) add("from " + utc_time(filter.from_unix_ns()));
  if (filter.to_unix_ns() != 0) add("to " + utc_time(filter.to_unix_ns()));
  return text;
}

namespace {

// An address that nobody has is no error: the person may not have written yet. So it is told what
// the hold finds, as far as one question goes.
std::string covered_text(CommandContext& context, const v1::HoldFilter& filter) {
  v1::ListStagedRequest request;
  request.mutable_filter()->set_person(filter.person());
  request.mutable_filter()->set_room(filter.room());
  request.mutable_filter()->set_from_unix_ns(filter.from_unix_ns());
  request.mutable_filter()->set_to_unix_ns(filter.to_unix_ns());
  const Result<v1::ListStagedResponse> answer = context.client.list_staged(request);
  if (!answer) return "What the store has of it cannot be told: " + answer.error().message() + "\n";
  const bool is_none = answer->match_count() == 0 && answer->next_sequence() == 0;
  if (is_none && !(filter.person().empty() && filter.room().empty())) {
    return fmt::format(
        "The store has 0 events of it now: no event names it yet; is it written as `staging list` "
        "shows it?{}\nWhat was deleted before is in the archives only; what comes is covered.\n",
        filter.person().empty() || filter.person().find('@') != std::string::npos
            ? ""
            : " An address of a person has an '@' as a rule.");
  }
  return fmt::format("The store has {}{} events of it now; those that come are covered as well.\n",
                     answer->next_sequence() == 0 ? "" : "at least ",
                     human_count(answer->match_count()));
}

}  // namespace

int add_hold(CommandContext& context, const v1::AddHoldRequest& request) {
  const Result<v1::AddHoldResponse> answer = context.client.add_hold(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(fmt::format("Hold {} stands: {}.\n", answer->hold().number(),
                           filter_text(answer->hold().filter())));
    print_text(covered_text(context, answer->hold().filter()));
  }
  return kExitOk;
}

int list_holds(CommandContext& context) {
  const Result<v1::ListHoldsResponse> answer = context.client.list_holds();
  if (!answer) return report_error(answer.error());
  bool is_pending = false;
  for (const auto& queue : answer->queues()) {
    is_pending = is_pending || !queue.pending_reason().empty();
  }
  const int exit_code = is_pending ? kExitAttention : kExitOk;
  if (context.style.is_json) {
    print_json(*answer);
    return exit_code;
  }
  Table holds({{"HOLD", Align::kRight},
               {"COVERS"},
               {"SINCE"},
               {"BY"},
               {"COPIES", Align::kRight},
               {"BYTES", Align::kRight},
               {"STATE"},
               {"REASON"}});
  for (const auto& hold : answer->holds()) {
    holds.add_row({std::to_string(hold.number()), filter_text(hold.filter()),
                   utc_time(hold.since_unix_ns()),
                   hold.user().empty() ? "-" : printable(hold.user()),
                   human_count(hold.kept_count()), human_bytes(hold.kept_bytes()),
                   hold.is_released() ? "being released" : "stands", printable(hold.reason())});
  }
  print_table(context.style, holds, "No holds.");
  if (answer->queues().empty()) return exit_code;
  Table queues({{"QUEUE"}, {"HOLD FLAG"}, {"SET BY"}, {"PENDING"}});
  for (const auto& queue : answer->queues()) {
    if (!queue.is_wanted() && queue.pending_reason().empty()) continue;
    queues.add_row({printable(queue.queue()), queue.is_held() ? "set" : "not set",
                    queue.is_own() ? "the processor" : "somebody else",
                    queue.pending_reason().empty()
                        ? Cell("-")
                        : Cell(printable(queue.pending_reason()), Mood::kBad)});
  }
  if (!queues.is_empty()) {
    print_text("\n");
    print_table(context.style, queues, "");
  }
  return exit_code;
}

int release_hold(CommandContext& context, const v1::ReleaseHoldRequest& request) {
  const Result<v1::ReleaseHoldResponse> answer = context.client.release_hold(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(
        fmt::format("Hold {} is released; {} copies ({}) that no other hold covers are gone.\n",
                    request.number(), human_count(answer->deleted_count()),
                    human_bytes(answer->deleted_bytes())));
  }
  return kExitOk;
}

}  // namespace verbatim::admin
