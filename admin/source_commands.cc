#include <chrono>

#include "admin/commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

Cell link_cell(v1::SourceInfo::LinkState state) {
  const std::string word = enum_name(v1::SourceInfo::LinkState_Name(state), "LINK_STATE_");
  return {word, state == v1::SourceInfo::LINK_STATE_ACTIVE ? Mood::kGood : Mood::kDim};
}

// Nothing where no directory is configured.
std::string people_line(const v1::DirectoryInfo& info) {
  if (info.kind().empty()) return {};
  std::string line = "People by " + info.kind() + ": " + human_count(info.person_count()) +
                     " known, " + human_count(info.found_count()) + " found, " +
                     human_count(info.unknown_count()) + " unknown, " +
                     human_count(info.failed_count()) + " not looked up, " +
                     human_count(info.stale_count()) + " stale";
  if (!info.problem().empty()) line += "; PROBLEM: " + printable(info.problem());
  return line + "\n";
}

}  // namespace

int list_sources(CommandContext& context) {
  const Result<v1::ListSourcesResponse> answer = context.client.list_sources();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  const auto age_of = [&](int64_t unix_ns) {
    return unix_ns == 0 ? std::string("-") : human_age(now_ms - unix_ns / 1'000'000);
  };
  Table table({{"SOURCE"},
               {"PROTOCOL"},
               {"LISTENS AT"},
               {"LINK"},
               {"SINCE", Align::kRight},
               {"RECEIVED", Align::kRight},
               {"ACCEPTED", Align::kRight},
               {"REFUSED", Align::kRight},
               {"ERRORS", Align::kRight},
               {"REPEATS", Align::kRight},
               {"GAPS", Align::kRight},
               {"IN FLIGHT", Align::kRight},
               {"LAST EVENT", Align::kRight},
               {"REASON"}});
  for (const auto& source : answer->sources()) {
    table.add_row({printable(source.name()), printable(source.protocol()),
                   source.listen().empty() ? "-" : printable(source.listen()),
                   link_cell(source.state()), age_of(source.since_unix_ns()),
                   human_count(source.received_count()), human_count(source.accepted_count()),
                   human_count(source.refused_count()), human_count(source.error_count()),
                   human_count(source.repeat_count()), human_count(source.gap_count()),
                   human_count(source.in_flight_count()), age_of(source.last_event_unix_ns()),
                   source.reason().empty() ? "-" : printable(source.reason())});
  }
  print_table(context.style, table, "No sources.");
  print_text("\nProfile " + printable(answer->profile()) + "; queue " +
             (answer->is_queue_connected() ? "connected" : "NOT connected") + "; outbox " +
             human_count(answer->outbox().event_count()) + " events, " +
             human_bytes(answer->outbox().bytes()) + "\n" + people_line(answer->directory()) +
             "Attempts: " + human_count(answer->open_attempt_count()) +
             " wait for their confirmation, " + human_count(answer->unconfirmed_count()) +
             " never had one\n");
  return kExitOk;
}

}  // namespace verbatim::admin
