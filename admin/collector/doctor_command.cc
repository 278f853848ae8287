#include <utility>

#include "admin/collector/collector_commands.h"
#include "admin/collector/doctor.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr ServiceKind kServices[] = {ServiceKind::kQueue, ServiceKind::kCollector,
                                     ServiceKind::kProcessor};

// Whether it answers, and its alarms.
void ask_service(AdminClient& client, ServiceKind kind, DoctorInput& input) {
  v1::ServiceState state;
  state.set_service(std::string(service_word(kind)));
  state.set_address(client.address(kind));
  const auto info = client.get_info(kind);
  state.set_is_up(info.has_value());
  if (!info) state.set_error(info.error().message());
  input.services.push_back(std::move(state));
  if (!info) return;
  const auto alarms = client.list_alarms(kind, {});
  if (!alarms) return;
  for (v1::Alarm alarm : alarms->alarms()) {
    alarm.set_service(std::string(service_word(kind)));
    input.alarms.push_back(std::move(alarm));
  }
}

void ask_collector(AdminClient& client, DoctorInput& input) {
  if (auto sources = client.list_sources()) input.sources = *std::move(sources);
  if (auto servers = client.list_servers()) input.servers = *std::move(servers);
  if (auto compliance = client.get_compliance()) {
    input.compliance = std::move(*compliance->mutable_state());
  }
}

Cell state_cell(v1::DoctorFinding::State state) {
  switch (state) {
    case v1::DoctorFinding::STATE_WELL:
      return {"ok", Mood::kGood};
    case v1::DoctorFinding::STATE_NOTE:
      return {"note", Mood::kDim};
    default:
      return {"WRONG", Mood::kBad};
  }
}

}  // namespace

int run_doctor(CommandContext& context) {
  DoctorInput input;
  for (const ServiceKind kind : kServices) ask_service(context.client, kind, input);
  if (input.services[1].is_up()) ask_collector(context.client, input);
  const v1::DoctorReport report = diagnose(input);
  if (context.style.is_json) {
    print_json(report);
    return report.exit_code();
  }
  Table table({{"STATE"}, {"WHAT"}, {"FINDING"}});
  for (const auto& finding : report.findings()) {
    table.add_row(
        {state_cell(finding.state()), printable(finding.subject()), printable(finding.what())});
    if (!finding.remedy().empty()) table.add_row({"", "", "-> " + printable(finding.remedy())});
  }
  print_table(context.style, table, "Nothing to look at.");
  return report.exit_code();
}

}  // namespace verbatim::admin
