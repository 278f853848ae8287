#include <fmt/format.h>

#include <cstdio>

#include "admin/commands.h"
#include "admin/processor/processor_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

std::string_view action_word(v1::UpdateAdapterRequest::Action action) {
  switch (action) {
    case v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED:
      return "is now required";
    case v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL:
      return "is now optional";
    case v1::UpdateAdapterRequest::ACTION_RESUME:
      return "goes on";
    case v1::UpdateAdapterRequest::ACTION_PAUSE:
      return "is paused: it gets nothing until it is resumed";
    default:
      return "is removed";
  }
}

// What staging knows counts; the configuration is for adapters that it meets for the first time.
std::string_view configuration_hint(v1::UpdateAdapterRequest::Action action) {
  switch (action) {
    case v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED:
      return " Put required = true into the configuration, too.";
    case v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL:
      return " Put required = false into the configuration, too.";
    case v1::UpdateAdapterRequest::ACTION_REMOVE:
      return " Take it out of the configuration, or the next start adds it anew.";
    default:
      return "";
  }
}

}  // namespace

std::string event_line(const v1::EventInfo& event) {
  const std::string kind = enum_word(v1::EventKind_Name(event.kind()), "EVENT_KIND_");
  const std::string phase = enum_word(v1::Phase_Name(event.phase()), "PHASE_");
  const std::string role = enum_word(v1::Role_Name(event.role()), "ROLE_");
  const std::string conversation_kind =
      enum_word(v1::ConversationKind_Name(event.conversation_kind()), "CONVERSATION_KIND_");
  return fmt::format("{:>8}  {}  {:<18} {:<9} {:<8} {:>9}  {:<10} {}  [{} {}]{}\n",
                     event.sequence(), utc_time(event.accept_time_unix_ns()), kind, phase, role,
                     human_bytes(event.bytes()), printable(event.source()),
                     event.actor().empty() ? "-" : printable(event.actor()), conversation_kind,
                     printable(event.conversation_key()), event.is_late() ? " late" : "");
}

int list_adapters(CommandContext& context) {
  const Result<v1::ListAdaptersResponse> answer = context.client.list_adapters();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"ADAPTER"},
               {"REQUIRED"},
               {"STATE"},
               {"SEALED", Align::kRight},
               {"ACKED", Align::kRight},
               {"LAG", Align::kRight},
               {"LAG BYTES", Align::kRight},
               {"OLDEST", Align::kRight},
               {"QUARANTINED", Align::kRight},
               {"REPLAY LEFT", Align::kRight},
               {"RETRIES", Align::kRight},
               {"SOFTWARE"},
               {"LAST REASON"}});
  for (const auto& adapter : answer->adapters()) {
    table.add_row(
        {printable(adapter.name()), adapter.required() ? "yes" : "no",
         Cell(printable(adapter.state()), adapter.state() == "active" ? Mood::kGood : Mood::kBad),
         human_count(adapter.last_sealed_batch()), human_count(adapter.last_acked_batch()),
         human_count(adapter.pending_count()), human_bytes(adapter.pending_bytes()),
         human_age(adapter.oldest_pending_age_ms()), human_count(adapter.quarantined_count()),
         adapter.replay_left_count() == 0 ? "-" : human_count(adapter.replay_left_count()),
         human_count(adapter.retry_count()),
         adapter.software().empty() ? "-" : printable(adapter.software()),
         adapter.last_reason().empty() ? "-" : printable(adapter.last_reason())});
  }
  print_table(context.style, table, "No adapters.");
  return kExitOk;
}

int update_adapter(CommandContext& context, const v1::UpdateAdapterRequest& request) {
  const Result<v1::UpdateAdapterResponse> answer = context.client.update_adapter(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(fmt::format("Adapter {} {}.{}\n", request.adapter(), action_word(request.action()),
                           configuration_hint(request.action())));
  }
  return kExitOk;
}

int tail_events(CommandContext& context, const v1::TailEventsRequest& request) {
  bool is_any_shown = false;
  const Status status =
      context.client.tail_events(request, [&](const v1::TailEventsResponse& response) {
        for (const auto& event : response.events()) {
          is_any_shown = true;
          if (context.style.is_json) {
            print_json(event);
          } else {
            print_text(event_line(event));
          }
        }
        // A reader that is gone (`| head`) ends the tail.
        return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
      });
  if (!status.ok()) return report_error(status);
  if (!is_any_shown && !request.follow() && !context.style.is_json) {
    print_text("Nothing is staged: what every required adapter has acknowledged is deleted.\n");
  }
  return kExitOk;
}

int list_quarantine(CommandContext& context, const v1::ListQuarantineRequest& request) {
  const Result<v1::ListQuarantineResponse> answer = context.client.list_quarantine(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"ADAPTER"},
               {"SEQUENCE", Align::kRight},
               {"BATCH", Align::kRight},
               {"SINCE"},
               {"KIND"},
               {"CONVERSATION"},
               {"RELEASED"},
               {"REASON"}});
  for (const auto& event : answer->events()) {
    table.add_row({printable(event.adapter()), std::to_string(event.sequence()),
                   std::to_string(event.batch()), utc_time(event.since_unix_ns()),
                   enum_word(v1::EventKind_Name(event.kind()), "EVENT_KIND_"),
                   printable(event.conversation_key()), event.is_released() ? "yes" : "no",
                   printable(event.reason())});
  }
  print_table(context.style, table, "Nothing is quarantined.");
  return kExitOk;
}

int release_quarantine(CommandContext& context, const v1::ReleaseQuarantineRequest& request) {
  const Result<v1::ReleaseQuarantineResponse> answer = context.client.release_quarantine(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(fmt::format(
        "{} released events wait for adapter {}; what it rejects again stays in quarantine.\n",
        human_count(answer->released_count()), request.adapter()));
  }
  return kExitOk;
}

}  // namespace verbatim::admin
