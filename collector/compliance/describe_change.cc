#include <algorithm>
#include <string>

#include "collector/compliance/changes.h"

namespace verbatim::collector {
namespace {

std::string profile_text(const v1::ComplianceProfile& profile) {
  std::string text;
  for (const auto& entry : profile.events()) {
    text += (text.empty() ? "" : " ") + entry.event();
    if (!entry.packet_type().empty()) text += ":" + entry.packet_type();
    if (entry.handling() == v1::ComplianceProfile::HANDLING_PASS) text += ":pass";
    if (entry.handling() == v1::ComplianceProfile::HANDLING_BOUNCE) text += ":bounce";
    if (entry.fire_and_forget()) text += ":fire-and-forget";
  }
  return text.empty() ? "no events" : text;
}

std::string server_text(const v1::ComplianceServer& server) {
  if (server.kind() == v1::ComplianceServer::KIND_PLUGIN) return "plugin";
  return "link " + server.host() + ":" + std::to_string(server.port()) +
         " secret_file=" + server.secret_file();
}

std::string assignment_text(const v1::ComplianceAssignment& assignment) {
  return "profile=" + assignment.profile() +
         " node=" + (assignment.node().empty() ? "(all)" : assignment.node());
}

bool has_profile(const v1::ComplianceState& state, const std::string& name) {
  return std::any_of(state.profiles().begin(), state.profiles().end(),
                     [&name](const auto& profile) { return profile.name() == name; });
}

std::string order_text(const v1::ChangeComplianceRequest::ProfileOrder& order) {
  std::string text;
  for (const std::string& name : order.profiles()) text += (text.empty() ? "" : " ") + name;
  return text;
}

}  // namespace

ChangeDescription describe_change(const v1::ComplianceState& state,
                                  const v1::ChangeComplianceRequest& request) {
  using Request = v1::ChangeComplianceRequest;
  switch (request.change_case()) {
    case Request::kSetProfile:
      return {has_profile(state, request.set_profile().name()) ? "profiles set" : "profiles create",
              request.set_profile().name(), profile_text(request.set_profile())};
    case Request::kDeleteProfile:
      return {"profiles delete", request.delete_profile(), ""};
    case Request::kRenameProfile:
      return {"profiles rename", request.rename_profile().name(),
              "new_name=" + request.rename_profile().new_name()};
    case Request::kSetServer:
      return {"servers set", request.set_server().name(), server_text(request.set_server())};
    case Request::kDeleteServer:
      return {"servers delete", request.delete_server(), ""};
    case Request::kAssign:
      return {"assignments add", request.assign().server(), assignment_text(request.assign())};
    case Request::kUnassign:
      return {"assignments remove", request.unassign().server(),
              assignment_text(request.unassign())};
    case Request::kSetPriority:
      return {"priority set", "profiles", order_text(request.set_priority())};
    case Request::kEnableClusterWide:
      return {"cluster enable", "collector", "irreversible"};
    case Request::kImport:
      return {"profiles import", "collector",
              "profiles=" + std::to_string(request.import().profiles_size()) +
                  " servers=" + std::to_string(request.import().servers_size()) +
                  " assignments=" + std::to_string(request.import().assignments_size())};
    case Request::CHANGE_NOT_SET:
      break;
  }
  return {"compliance change", "", "nothing is named"};
}

}  // namespace verbatim::collector
