#include <fmt/format.h>

#include <chrono>

#include "admin/collector/collector_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

std::string kind_word(v1::ComplianceServer::Kind kind) {
  return enum_word(v1::ComplianceServer::Kind_Name(kind), "KIND_");
}

Cell link_cell(const v1::ServerInfo& server) {
  if (server.is_suspended()) return {"SUSPENDED", Mood::kBad};
  const std::string word = enum_name(v1::SourceInfo::LinkState_Name(server.state()), "LINK_STATE_");
  if (server.state() == v1::SourceInfo::LINK_STATE_ACTIVE) return {word, Mood::kGood};
  return {word, server.profile().empty() ? Mood::kDim : Mood::kBad};
}

std::string age_of(int64_t unix_ns) {
  if (unix_ns == 0) return "-";
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  return human_age(now_ms - unix_ns / 1'000'000);
}

std::string latency_text(int64_t latency_us) {
  if (latency_us == 0 || latency_us >= 10'000) return human_age(latency_us / 1'000);
  return fmt::format("{:.1f} ms", static_cast<double>(latency_us) / 1'000);
}

void print_server(const v1::ComplianceServer& server) {
  std::string text =
      fmt::format("Server {}, {}", printable(server.name()), kind_word(server.kind()));
  if (server.kind() == v1::ComplianceServer::KIND_LINK) {
    text += fmt::format(" to {}:{}, secret in {}", printable(server.host()), server.port(),
                        printable(server.secret_file()));
  }
  if (!server.description().empty()) text += "\n" + printable(server.description());
  print_text(text + "\n");
}

void print_counts(const v1::ServerInfo& row) {
  print_text(
      fmt::format("Instance {} ({}), {} stand by\n"
                  "Asked {}: pass {}, changed {}, handle {}, errors {}, timeouts {}, forbidden "
                  "answers {}, late "
                  "{}; open {}\n"
                  "Half of its latest answers took {} or less\n"
                  "Rule set {}\n",
                  or_dash(row.instance()), or_dash(row.software()), row.standby_count(),
                  human_count(row.asked_count()), human_count(row.pass_count()),
                  human_count(row.changed_count()), human_count(row.handle_count()),
                  human_count(row.error_count()), human_count(row.timeout_count()),
                  human_count(row.invalid_count()), human_count(row.late_count()),
                  human_count(row.open_count()), latency_text(row.recent_latency_us()),
                  short_hex(row.rule_set_sha256())));
}

const v1::ComplianceServer* find_server(const v1::ComplianceState& state, const std::string& name) {
  for (const auto& server : state.servers()) {
    if (server.name() == name) return &server;
  }
  return nullptr;
}

Table server_table() {
  return Table({{"SERVER"},
                {"KIND"},
                {"PROFILE"},
                {"NODE"},
                {"LINK"},
                {"SINCE", Align::kRight},
                {"ASKED", Align::kRight},
                {"ANSWERS IN", Align::kRight},
                {"PASS", Align::kRight},
                {"CHANGED", Align::kRight},
                {"HANDLE", Align::kRight},
                {"ERRORS", Align::kRight},
                {"TIMEOUTS", Align::kRight},
                {"REASON"}});
}

void add_row(Table& table, const v1::ServerInfo& row) {
  table.add_row({printable(row.server()), kind_word(row.kind()), or_dash(row.profile()),
                 row.profile().empty() ? "-" : (row.node().empty() ? "all" : printable(row.node())),
                 link_cell(row), age_of(row.since_unix_ns()), human_count(row.asked_count()),
                 latency_text(row.recent_latency_us()), human_count(row.pass_count()),
                 human_count(row.changed_count()), human_count(row.handle_count()),
                 human_count(row.error_count()), human_count(row.timeout_count()),
                 or_dash(row.reason())});
}

}  // namespace

int list_servers(CommandContext& context) {
  const auto answer = context.client.list_servers();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table table = server_table();
  for (const auto& row : answer->servers()) add_row(table, row);
  print_table(context.style, table, "No servers; verbatimctl servers add makes one.");
  if (answer->waiting_count() > 0) {
    print_text("\n" + human_count(answer->waiting_count()) + " events wait for policies, " +
               human_bytes(answer->waiting_bytes()) + "\n");
  }
  return kExitOk;
}

int show_server(CommandContext& context, const std::string& name) {
  const auto state = context.client.get_compliance();
  if (!state) return report_error(state.error());
  const v1::ComplianceServer* server = find_server(state->state(), name);
  if (server == nullptr) {
    return report_error(
        not_found("no such server: " + name + "; verbatimctl servers list has all"));
  }
  const auto rows = context.client.list_servers();
  if (!rows) return report_error(rows.error());
  v1::ListServersResponse own;
  for (const auto& row : rows->servers()) {
    if (row.server() == name) *own.add_servers() = row;
  }
  if (context.style.is_json) {
    print_json(own);
    return kExitOk;
  }
  print_server(*server);
  if (!own.servers().empty()) print_counts(own.servers(0));
  Table table(
      {{"PROFILE"}, {"NODE"}, {"COMPONENT"}, {"LINK"}, {"SINCE", Align::kRight}, {"REASON"}});
  for (const auto& row : own.servers()) {
    if (row.profile().empty()) continue;
    table.add_row({printable(row.profile()), row.node().empty() ? "all" : printable(row.node()),
                   or_dash(row.component()), link_cell(row), age_of(row.since_unix_ns()),
                   or_dash(row.reason())});
  }
  print_table(context.style, table, "It has no profile, so it is sent nothing.");
  return kExitOk;
}

int add_server(CommandContext& context, const v1::ChangeComplianceRequest& request) {
  const std::string& name = request.set_server().name();
  return change_compliance(context, request,
                           "Server " + name + " is registered; verbatimctl assignments add " +
                               name + " PROFILE gives it something to do.");
}

int list_assignments(CommandContext& context) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(answer->state());
    return kExitOk;
  }
  Table table({{"SERVER"}, {"PROFILE"}, {"NODE"}, {"COMPONENT"}});
  for (const auto& one : answer->state().assignments()) {
    table.add_row({printable(one.server()), printable(one.profile()),
                   one.node().empty() ? "all" : printable(one.node()), or_dash(one.component())});
  }
  print_table(context.style, table, "No assignments: events are archived, and no policy is asked.");
  return kExitOk;
}

}  // namespace verbatim::admin
