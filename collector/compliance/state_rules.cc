#include "collector/compliance/state_rules.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "collector/compliance/names.h"
#include "collector/compliance/rules.h"
#include "collector/compliance/system_default.h"

namespace verbatim::collector {
namespace {

constexpr const char* kHowToEnd = "; verbatimctl cluster enable ends node-based mode, for ever";

Status check_default_profile(const v1::ComplianceState& state) {
  const auto& profiles = state.profiles();
  const auto found = std::find_if(profiles.begin(), profiles.end(), [](const auto& profile) {
    return profile.name() == kSystemDefaultProfile;
  });
  if (found != profiles.end() && is_system_default(*found)) return {};
  return invalid_argument(std::string(kSystemDefaultProfile) +
                          " must be there, with exactly its nine events");
}

// One name for each pair of node and server, so that a link can tell for whom it is.
Status check_components(const v1::ComplianceState& state) {
  std::map<std::string, std::pair<std::string, std::string>> owners;
  for (const auto& one : state.assignments()) {
    if (one.component() != component_name(one.node(), one.server(), state.is_cluster_wide())) {
      return invalid_argument("the component name of server " + one.server() +
                              " is not the one that is generated for it");
    }
    const std::pair owner(one.node(), one.server());
    const auto [found, is_new] = owners.try_emplace(one.component(), owner);
    if (!is_new && found->second != owner) {
      return invalid_argument("the component name " + one.component() +
                              " would stand for two: give one of the servers another name");
    }
  }
  return {};
}

}  // namespace

v1::ComplianceState initial_compliance(bool is_cluster_wide) {
  v1::ComplianceState state;
  state.set_version(kComplianceVersion);
  state.set_is_cluster_wide(is_cluster_wide);
  *state.add_profiles() = system_default_profile();
  return state;
}

void name_components(v1::ComplianceState& state) {
  for (auto& one : *state.mutable_assignments()) {
    one.set_component(component_name(one.node(), one.server(), state.is_cluster_wide()));
  }
}

Status check_mode(const v1::ComplianceState& state) {
  if (state.is_cluster_wide()) return {};
  for (int i = 0; i < state.assignments_size(); ++i) {
    const v1::ComplianceAssignment& one = state.assignments(i);
    if (one.profile() != kSystemDefaultProfile) {
      return failed_precondition("this collector is node-based, where only " +
                                 std::string(kSystemDefaultProfile) + " can be assigned, not " +
                                 one.profile() + kHowToEnd);
    }
    for (int k = 0; k < i; ++k) {
      const v1::ComplianceAssignment& other = state.assignments(k);
      const bool is_shared =
          one.node().empty() || other.node().empty() || one.node() == other.node();
      if (!is_shared) continue;
      return failed_precondition(
          "this collector is node-based, where a node has one server: " + other.server() + " and " +
          one.server() + " would share a node" + kHowToEnd);
    }
  }
  return {};
}

Status check_state(const v1::ComplianceState& state) {
  for (const auto& profile : state.profiles()) RETURN_IF_ERROR(check_profile(profile));
  for (const auto& server : state.servers()) RETURN_IF_ERROR(check_server(server));
  RETURN_IF_ERROR(check_references(state));
  RETURN_IF_ERROR(check_default_profile(state));
  RETURN_IF_ERROR(check_mode(state));
  RETURN_IF_ERROR(check_components(state));
  if (state.ByteSizeLong() <= kComplianceMaxBytes) return {};
  return invalid_argument("profiles, servers and assignments take more than 1 MiB");
}

}  // namespace verbatim::collector
