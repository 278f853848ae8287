#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "admin/commands.h"
#include "admin/status_report.h"
#include "admin/status_text.h"

namespace verbatim::admin {
namespace {

// Takes the value of an answer into the report; the first error of a service marks it as down.
template <class Response, class Take>
void take_answer(v1::ServiceState& state, Result<Response> answer, Take take) {
  if (answer) {
    take(*std::move(answer));
    return;
  }
  if (state.error().empty()) state.set_error(answer.error().message());
  state.set_is_up(false);
}

v1::ServiceState& ask_info(v1::StatusReport& report, AdminClient& client, ServiceKind kind) {
  v1::ServiceState& state = *report.add_services();
  state.set_service(std::string(service_word(kind)));
  state.set_address(client.address(kind));
  state.set_is_up(true);
  take_answer(state, client.get_info(kind), [&](v1::GetInfoResponse answer) {
    *state.mutable_info() = std::move(*answer.mutable_info());
  });
  return state;
}

void ask_alarms(v1::StatusReport& report, AdminClient& client, ServiceKind kind,
                v1::ServiceState& state) {
  take_answer(state, client.list_alarms(kind, {}), [&](const v1::ListAlarmsResponse& answer) {
    report.mutable_alarms()->MergeFrom(answer.alarms());
  });
}

// The cut first, the queue's counters after it: what is accepted in between is queued, not missing.
void ask_processor(v1::StatusReport& report, AdminClient& client, bool recount) {
  v1::ServiceState& state = ask_info(report, client, ServiceKind::kProcessor);
  if (!state.is_up()) return;
  take_answer(state, client.get_accounting(recount), [&](v1::GetAccountingResponse answer) {
    *report.mutable_accounting() = std::move(answer);
  });
  take_answer(state, client.list_adapters(), [&](v1::ListAdaptersResponse answer) {
    *report.mutable_adapters() = std::move(*answer.mutable_adapters());
  });
  ask_alarms(report, client, ServiceKind::kProcessor, state);
}

void ask_queue(v1::StatusReport& report, AdminClient& client) {
  v1::ServiceState& state = ask_info(report, client, ServiceKind::kQueue);
  if (!state.is_up()) return;
  take_answer(state, client.list_queues(), [&](v1::ListQueuesResponse answer) {
    *report.mutable_queues() = std::move(*answer.mutable_queues());
    *report.mutable_log() = std::move(*answer.mutable_log());
  });
  ask_alarms(report, client, ServiceKind::kQueue, state);
}

void ask_collector(v1::StatusReport& report, AdminClient& client) {
  v1::ServiceState& state = ask_info(report, client, ServiceKind::kCollector);
  if (!state.is_up()) return;
  take_answer(state, client.list_sources(), [&](v1::ListSourcesResponse answer) {
    *report.mutable_collector() = std::move(answer);
  });
  ask_alarms(report, client, ServiceKind::kCollector, state);
}

// Each down service in one line; the advice below the first line of an error once, for the last.
void report_down_services(const v1::StatusReport& report) {
  std::string error;
  for (const auto& state : report.services()) {
    if (state.is_up()) continue;
    if (!error.empty()) report_error(unavailable(error.substr(0, error.find('\n'))));
    error = state.error();
  }
  if (!error.empty()) report_error(unavailable(error));
}

}  // namespace

int show_status(CommandContext& context, bool recount) {
  v1::StatusReport report;
  ask_processor(report, context.client, recount);
  ask_queue(report, context.client);
  ask_collector(report, context.client);
  judge(report);
  if (context.style.is_json) {
    print_json(report);
  } else {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    print_text(status_text(report, context.style.has_colour,
                           std::chrono::duration_cast<std::chrono::nanoseconds>(now)));
  }
  report_down_services(report);
  return report.exit_code();
}

}  // namespace verbatim::admin
