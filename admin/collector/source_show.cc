#include <fmt/format.h>

#include "admin/collector/collector_commands.h"
#include "admin/collector/doctor.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string row_text(const v1::SourceInfo& row) {
  return fmt::format(
      "Source {}, {}, listens at {}\n"
      "Link {} since {}{}\n"
      "Received {}: accepted {}, refused {}, errors {}, repeats {}; in flight {}; gaps {}\n"
      "Errors are what could not be made durable in time. What policies refused, or left "
      "without an answer, is durable and counts as accepted: servers list\n"
      "Last event {}\n",
      printable(row.name()), printable(row.protocol()), or_dash(row.listen()),
      enum_name(v1::SourceInfo::LinkState_Name(row.state()), "LINK_STATE_"),
      utc_time(row.since_unix_ns()), row.reason().empty() ? "" : ": " + printable(row.reason()),
      human_count(row.received_count()), human_count(row.accepted_count()),
      human_count(row.refused_count()), human_count(row.error_count()),
      human_count(row.repeat_count()), human_count(row.in_flight_count()),
      human_count(row.gap_count()), utc_time(row.last_event_unix_ns()));
}

}  // namespace

int show_source(CommandContext& context, const std::string& name) {
  const auto answer = context.client.list_sources();
  if (!answer) return report_error(answer.error());
  DoctorInput input;
  input.sources.emplace();
  input.sources->set_is_queue_connected(answer->is_queue_connected());
  for (const auto& row : answer->sources()) {
    if (row.name() == name) *input.sources->add_sources() = row;
  }
  if (input.sources->sources().empty()) {
    return report_error(
        not_found("no such source: " + name + "; verbatimctl sources list has all"));
  }
  const v1::DoctorReport report = diagnose(input);
  if (context.style.is_json) {
    print_json(*input.sources);
    return report.exit_code();
  }
  for (const auto& row : input.sources->sources()) print_text(row_text(row));
  for (const auto& finding : report.findings()) {
    if (finding.state() == v1::DoctorFinding::STATE_WELL) continue;
    print_text("\n" + printable(finding.subject() + ": " + finding.what()) + "\n-> " +
               printable(finding.remedy()) + "\n");
  }
  return report.exit_code();
}

}  // namespace verbatim::admin
