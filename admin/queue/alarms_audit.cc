#include <chrono>
#include <string>

#include "admin/queue/queue_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {

int list_alarms(CommandContext& context, const v1::ListAlarmsRequest& request,
                const std::vector<ServiceKind>& services) {
  v1::ListAlarmsResponse all;
  Status missing;
  for (const ServiceKind kind : services) {
    const Result<v1::ListAlarmsResponse> answer = context.client.list_alarms(kind, request);
    if (!answer) {
      // The others' alarms are worth seeing all the same.
      missing = answer.error();
      report_error(missing);
      continue;
    }
    for (const auto& alarm : answer->alarms()) {
      *all.add_alarms() = alarm;
      all.mutable_alarms()->rbegin()->set_service(std::string(service_word(kind)));
    }
  }
  bool is_any_raised = false;
  Table table({{"SERVICE"},
               {"ALARM"},
               {"SUBJECT"},
               {"STATE"},
               {"SINCE"},
               {"TIMES", Align::kRight},
               {"WHY"}});
  for (const auto& alarm : all.alarms()) {
    is_any_raised = is_any_raised || alarm.is_raised();
    table.add_row({alarm.service(), printable(alarm.name()), printable(alarm.subject()),
                   alarm.is_raised() ? Cell("RAISED", Mood::kBad) : Cell("over", Mood::kDim),
                   utc_time(alarm.since_unix_ns()), human_count(alarm.raised_count()),
                   printable(alarm.text())});
  }
  if (context.style.is_json) {
    print_json(all);
  } else {
    print_table(context.style, table, "No alarms.");
  }
  if (is_any_raised) return kExitAttention;
  return missing.ok() ? kExitOk : kExitServiceDown;
}

int list_audit(CommandContext& context, ServiceKind service, const v1::ListAuditRequest& request) {
  const Result<v1::ListAuditResponse> answer = context.client.list_audit(service, request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table({{"NUMBER", Align::kRight},
               {"TIME"},
               {"USER"},
               {"PEER"},
               {"ACTION"},
               {"SUBJECT"},
               {"REASON"},
               {"DETAIL"}});
  const auto or_dash = [](const std::string& text) {
    return text.empty() ? std::string("-") : printable(text);
  };
  for (const auto& entry : answer->entries()) {
    table.add_row({std::to_string(entry.number()), utc_time(entry.unix_ns()), or_dash(entry.user()),
                   or_dash(entry.peer()), or_dash(entry.action()), or_dash(entry.subject()),
                   or_dash(entry.reason()), or_dash(entry.detail())});
  }
  print_table(context.style, table, "No entries.");
  return kExitOk;
}

}  // namespace verbatim::admin
