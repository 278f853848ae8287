#include "admin/collector/doctor.h"

#include <algorithm>
#include <string>

#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

using Finding = v1::DoctorFinding;
using Link = v1::SourceInfo;

// People notice a message that waits for so long.
constexpr int64_t kSlowUs = 1'000'000;

void add(v1::DoctorReport& report, Finding::State state, const std::string& subject,
         const std::string& what, const std::string& remedy = "") {
  Finding& finding = *report.add_findings();
  finding.set_state(state);
  finding.set_subject(subject);
  finding.set_what(what);
  finding.set_remedy(remedy);
}

std::string because(const std::string& reason) { return reason.empty() ? "" : " (" + reason + ")"; }

void look_at_services(const DoctorInput& input, v1::DoctorReport& report) {
  for (const auto& service : input.services) {
    const std::string subject = "service " + service.service();
    if (service.is_up()) {
      add(report, Finding::STATE_WELL, subject, "answers at " + service.address());
    } else {
      add(report, Finding::STATE_WRONG, subject, "does not answer at " + service.address(),
          "start it: deploy/run starts all services, verbatim-" + service.service() +
              " this one; or name its address");
    }
  }
}

// The troubleshooter of the guide: GONE, CONNECTED, ACTIVE.
void look_at_node(const v1::SourceInfo& source, v1::DoctorReport& report) {
  const std::string subject = "source " + source.name();
  switch (source.state()) {
    case Link::LINK_STATE_ACTIVE:
      add(report, Finding::STATE_WELL, subject,
          "the node's link is ACTIVE" + because(source.reason()));
      break;
    case Link::LINK_STATE_CONNECTED:
      add(report, Finding::STATE_WRONG, subject,
          "the node's link is CONNECTED, not ACTIVE" + because(source.reason()),
          "the password or the component name differs: compare the node's with collector.xcp of " +
              source.name());
      break;
    default:
      add(report, Finding::STATE_WRONG, subject,
          "the node's link is GONE" + because(source.reason()) +
              ": nothing is captured, and the node blocks messages and rooms",
          "does the node run, does it dial " + source.listen() +
              ", is the tunnel up? Its log says \"Unable to connect\" where it cannot get here");
  }
}

void look_at_sources(const v1::ListSourcesResponse& answer, v1::DoctorReport& report) {
  if (!answer.is_queue_connected()) {
    add(report, Finding::STATE_WRONG, "collector to queue",
        "the queue does not answer: messages are answered with an error",
        "does verbatim-queue run, is collector.queue_address its listen?");
  }
  for (const auto& source : answer.sources()) {
    if (source.protocol() == "xcp") {
      look_at_node(source, report);
    } else {
      const bool is_attached = source.state() == Link::LINK_STATE_ACTIVE;
      add(report, is_attached ? Finding::STATE_WELL : Finding::STATE_NOTE,
          "source " + source.name(),
          is_attached ? "a producer is attached"
                      : "no producer is attached" + because(source.reason()));
    }
    if (source.error_count() > 0) {
      add(report, Finding::STATE_NOTE, "source " + source.name(),
          human_count(source.error_count()) +
              " events could not be made durable in time and were answered with an error since the "
              "start: senders saw it",
          "the log of the collector says when and why; capture gaps are in the archive");
    }
  }
}

std::string place_of(const v1::ServerInfo& server) {
  return "server " + server.server() + (server.node().empty() ? "" : " for " + server.node());
}

std::string how_to_attach(const v1::ServerInfo& server) {
  if (server.kind() == v1::ComplianceServer::KIND_LINK) {
    return "does it listen there, is its password the one in the secret file, and its component "
           "name " +
           server.component() + "?";
  }
  return "start the plugin: its name must be " + server.server() +
         ", and its collector_address the collector's policies.listen";
}

// Others of its profile take its share; node-based, a node has one server.
bool has_others(const DoctorInput& input, const v1::ServerInfo& server) {
  const auto& all = input.servers->servers();
  return input.compliance && input.compliance->is_cluster_wide() &&
         std::any_of(all.begin(), all.end(), [&server](const auto& one) {
           return one.profile() == server.profile() && one.server() != server.server();
         });
}

// docs/policies.md: silence ignores the handling.
std::string effect_of(const DoctorInput& input, const v1::ServerInfo& server) {
  return ": messages, rooms and invitations of profile " + server.profile() +
         " are answered with an error, whatever its handling; logins, logouts and presence go on" +
         (has_others(input, server)
              ? ". This is its share only, until the profile's other servers take it: at once "
                "where it ended its stream or never came, else after "
                "collector.policies.outage_hold_ms"
              : "");
}

void look_at_speed(const v1::ServerInfo& server, v1::DoctorReport& report) {
  if (server.recent_latency_us() < kSlowUs) return;
  add(report, Finding::STATE_NOTE, place_of(server),
      "is slow: half of its latest answers took " + human_age(server.recent_latency_us() / 1'000) +
          " or more, and whatever it is asked about waits for them: logins, messages, rooms",
      "look at its load, its rules, and what it asks itself (a database, a directory)");
}

void look_at_server(const DoctorInput& input, const v1::ServerInfo& server,
                    v1::DoctorReport& report) {
  const std::string subject = place_of(server);
  if (server.profile().empty()) {
    const bool is_link = server.kind() == v1::ComplianceServer::KIND_LINK;
    add(report, Finding::STATE_NOTE, subject,
        is_link ? "has no profile, so it is not dialled" : "has no profile, so it is sent nothing",
        "verbatimctl assignments add " + server.server() + " PROFILE");
    return;
  }
  const std::string effect = effect_of(input, server);
  if (server.is_suspended()) {
    add(report, Finding::STATE_WRONG, subject,
        "is suspended after too many timeouts in a row" + because(server.reason()) + effect,
        "look why it is slow; it comes back when a probe is answered in time");
  } else if (server.state() == Link::LINK_STATE_CONNECTED) {
    add(report, Finding::STATE_WRONG, subject,
        "is CONNECTED, not ACTIVE" + because(server.reason()) + effect, how_to_attach(server));
  } else if (server.state() != Link::LINK_STATE_ACTIVE) {
    add(report, Finding::STATE_WRONG, subject, "is GONE" + because(server.reason()) + effect,
        how_to_attach(server));
  } else {
    add(report, Finding::STATE_WELL, subject, "is ACTIVE with profile " + server.profile());
  }
  if (server.timeout_count() > 0 || server.invalid_count() > 0) {
    add(report, Finding::STATE_NOTE, subject,
        human_count(server.timeout_count()) + " timeouts and " +
            human_count(server.invalid_count()) + " forbidden answers since the start",
        "slow logins and blocked messages come from these; the plugin's own log says more");
  }
  look_at_speed(server, report);
}

void look_at_compliance(const v1::ComplianceState& state, v1::DoctorReport& report) {
  if (state.assignments().empty()) {
    add(report, Finding::STATE_NOTE, "assignments",
        "no server has a profile: events are archived, and no policy is asked",
        "verbatimctl servers add, assignments add");
  }
  if (!state.is_cluster_wide()) {
    add(report, Finding::STATE_NOTE, "mode",
        "node-based: each node has its own server, with the default profile",
        "verbatimctl cluster enable, which is for ever");
  }
  for (const auto& profile : state.profiles()) {
    const bool is_assigned =
        std::any_of(state.assignments().begin(), state.assignments().end(),
                    [&profile](const auto& one) { return one.profile() == profile.name(); });
    if (!is_assigned || !profile.events().empty()) continue;
    add(report, Finding::STATE_WRONG, "profile " + profile.name(),
        "is assigned and has no events: its servers are sent nothing",
        "verbatimctl profiles set " + profile.name() + " --event …");
  }
}

// What the links above say already is not said twice.
bool is_said_by_links(const v1::Alarm& alarm) {
  return alarm.name() == "XcpThirdPartyComplianceConnectError" ||
         alarm.name() == "policy-suspended" || alarm.name() == "queue-gone";
}

}  // namespace

v1::DoctorReport diagnose(const DoctorInput& input) {
  v1::DoctorReport report;
  look_at_services(input, report);
  if (input.sources) look_at_sources(*input.sources, report);
  if (input.servers) {
    for (const auto& server : input.servers->servers()) look_at_server(input, server, report);
  }
  if (input.compliance) look_at_compliance(*input.compliance, report);
  for (const auto& alarm : input.alarms) {
    if (input.sources && is_said_by_links(alarm)) continue;
    add(report, Finding::STATE_WRONG, "alarm " + alarm.name() + " " + alarm.subject(), alarm.text(),
        "docs/operations.md, alarms of the " + alarm.service());
  }
  auto& findings = *report.mutable_findings();
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& one, const Finding& other) {
    return one.state() > other.state();
  });
  const bool is_down = std::any_of(input.services.begin(), input.services.end(),
                                   [](const auto& service) { return !service.is_up(); });
  const bool is_wrong = !findings.empty() && findings[0].state() == Finding::STATE_WRONG;
  report.set_exit_code(is_down ? kExitServiceDown : (is_wrong ? kExitAttention : kExitOk));
  return report;
}

}  // namespace verbatim::admin
