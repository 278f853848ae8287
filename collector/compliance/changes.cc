#include "collector/compliance/changes.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "collector/compliance/names.h"
#include "collector/compliance/rules.h"
#include "collector/compliance/state_rules.h"
#include "collector/compliance/system_default.h"

namespace verbatim::collector {
namespace {

using State = v1::ComplianceState;
using Warnings = std::vector<std::string>;

// The one of this name, or null.
template <class Things>
auto* find_named(Things& things, const std::string& name) {
  const auto found = std::find_if(things.begin(), things.end(),
                                  [&name](const auto& one) { return one.name() == name; });
  return found == things.end() ? nullptr : &*found;
}

template <class Things>
void erase_named(Things& things, const std::string& name) {
  things.erase(std::find_if(things.begin(), things.end(),
                            [&name](const auto& one) { return one.name() == name; }));
}

std::string node_text(const std::string& node) {
  return node.empty() ? "all nodes" : "node " + node;
}

// "wall on node n1, dlp on all nodes": whom a profile is assigned to.
std::string servers_with(const State& state, const std::string& profile) {
  std::string text;
  for (const auto& one : state.assignments()) {
    if (one.profile() != profile) continue;
    text += (text.empty() ? "" : ", ") + one.server() + " on " + node_text(one.node());
  }
  return text;
}

Status refuse_default(const std::string& profile) {
  if (profile != kSystemDefaultProfile) return {};
  return failed_precondition(std::string(kSystemDefaultProfile) +
                             " cannot be changed or deleted; it can be assigned and unassigned");
}

Status refuse_assigned(const State& state, const std::string& profile, const std::string& what) {
  const std::string servers = servers_with(state, profile);
  if (servers.empty()) return {};
  return failed_precondition("profile " + profile + " cannot be " + what +
                             " while it is assigned (to " + servers + "): unassign it first");
}

void warn_of_profile(const v1::ComplianceProfile& profile, Warnings& warnings) {
  if (profile.events().empty()) {
    warnings.push_back("profile " + profile.name() +
                       " has no events: its servers are sent nothing");
  }
  for (const auto& entry : profile.events()) {
    if (!entry.fire_and_forget() || entry.handling() != v1::ComplianceProfile::HANDLING_BOUNCE) {
      continue;
    }
    warnings.push_back(
        "DANGER: " + entry.event() +
        (entry.packet_type().empty() ? "" : ":" + entry.packet_type()) + " of profile " +
        profile.name() +
        " is bounce and fire-and-forget: the event reaches the server, and the node then DISCARDS "
        "it, so nothing of it is delivered; take pass, or let the node wait");
  }
}

// --- profiles ---

Status set_profile(State& state, v1::ComplianceProfile profile, Warnings& warnings) {
  RETURN_IF_ERROR(refuse_default(profile.name()));
  RETURN_IF_ERROR(check_profile(profile));
  fill_handlings(profile);
  warn_of_profile(profile, warnings);
  v1::ComplianceProfile* known = find_named(*state.mutable_profiles(), profile.name());
  if (known == nullptr) known = state.add_profiles();
  *known = std::move(profile);
  return {};
}

Status delete_profile(State& state, const std::string& name) {
  RETURN_IF_ERROR(refuse_default(name));
  if (find_named(state.profiles(), name) == nullptr) return not_found("no such profile: " + name);
  RETURN_IF_ERROR(refuse_assigned(state, name, "deleted"));
  erase_named(*state.mutable_profiles(), name);
  return {};
}

Status rename_profile(State& state, const v1::ChangeComplianceRequest::Rename& rename) {
  RETURN_IF_ERROR(refuse_default(rename.name()));
  v1::ComplianceProfile* profile = find_named(*state.mutable_profiles(), rename.name());
  if (profile == nullptr) return not_found("no such profile: " + rename.name());
  RETURN_IF_ERROR(check_profile_name(rename.new_name()));
  if (find_named(state.profiles(), rename.new_name()) != nullptr) {
    return already_exists("there is a profile " + rename.new_name() + " already");
  }
  RETURN_IF_ERROR(refuse_assigned(state, rename.name(), "renamed"));
  profile->set_name(rename.new_name());
  return {};
}

Status set_priority(State& state, const v1::ChangeComplianceRequest::ProfileOrder& order) {
  std::set<std::string> given;
  google::protobuf::RepeatedPtrField<v1::ComplianceProfile> ordered;
  for (const std::string& name : order.profiles()) {
    const v1::ComplianceProfile* profile = find_named(state.profiles(), name);
    if (profile == nullptr) return not_found("no such profile: " + name);
    if (!given.insert(name).second) return invalid_argument("profile " + name + " is named twice");
    *ordered.Add() = *profile;
  }
  for (const auto& profile : state.profiles()) {
    if (given.contains(profile.name())) continue;
    return invalid_argument("an order names every profile, and " + profile.name() + " is missing");
  }
  state.mutable_profiles()->Swap(&ordered);
  return {};
}

// --- servers ---

Status set_server(State& state, const v1::ComplianceServer& server, Warnings& warnings) {
  RETURN_IF_ERROR(check_server(server));
  v1::ComplianceServer* known = find_named(*state.mutable_servers(), server.name());
  if (known == nullptr) {
    *state.add_servers() = server;
    return {};
  }
  const bool is_assigned =
      std::any_of(state.assignments().begin(), state.assignments().end(),
                  [&server](const auto& one) { return one.server() == server.name(); });
  if (is_assigned && known->kind() != server.kind()) {
    return failed_precondition(
        "server " + server.name() +
        " cannot be of another kind while it is assigned: unassign it first");
  }
  warnings.push_back("the earlier settings of server " + server.name() + " are overwritten");
  *known = server;
  return {};
}

Status delete_server(State& state, const std::string& name) {
  if (find_named(state.servers(), name) == nullptr) return not_found("no such server: " + name);
  for (const auto& one : state.assignments()) {
    if (one.server() != name) continue;
    return failed_precondition("server " + name + " has profile " + one.profile() + " on " +
                               node_text(one.node()) + ": unassign it first");
  }
  erase_named(*state.mutable_servers(), name);
  return {};
}

// --- assignments ---

bool is_same(const v1::ComplianceAssignment& one, const v1::ComplianceAssignment& other) {
  return one.node() == other.node() && one.server() == other.server() &&
         one.profile() == other.profile();
}

Status assign(State& state, const v1::ComplianceAssignment& wanted, Warnings& warnings) {
  RETURN_IF_ERROR(check_node_name(wanted.node()));
  if (find_named(state.servers(), wanted.server()) == nullptr) {
    return not_found("no such server: " + wanted.server() + "; verbatimctl servers add makes one");
  }
  const v1::ComplianceProfile* profile = find_named(state.profiles(), wanted.profile());
  if (profile == nullptr) return not_found("no such profile: " + wanted.profile());
  for (const auto& one : state.assignments()) {
    if (!is_same(one, wanted)) continue;
    return already_exists("profile " + wanted.profile() + " is assigned to server " +
                          wanted.server() + " on " + node_text(wanted.node()) + " already");
  }
  *state.add_assignments() = wanted;
  name_components(state);
  warn_of_profile(*profile, warnings);
  if (state.is_cluster_wide() && !wanted.node().empty()) {
    warnings.push_back("this collector is cluster-wide: server " + wanted.server() +
                       " is asked about events of every node, not of " + wanted.node() + " only");
  }
  return {};
}

Status unassign(State& state, const v1::ComplianceAssignment& unwanted) {
  auto& all = *state.mutable_assignments();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&unwanted](const auto& one) { return is_same(one, unwanted); });
  if (found == all.end()) {
    return not_found("profile " + unwanted.profile() + " is not assigned to server " +
                     unwanted.server() + " on " + node_text(unwanted.node()));
  }
  all.erase(found);
  return {};
}

// --- all at once ---

void enable_cluster_wide(State& state, Warnings& warnings) {
  if (state.is_cluster_wide()) {
    warnings.push_back("this collector is cluster-wide already: nothing has changed");
    return;
  }
  State before = state;
  state.set_is_cluster_wide(true);
  name_components(state);
  for (int i = 0; i < state.assignments_size(); ++i) {
    warnings.push_back("component " + before.assignments(i).component() + " is now " +
                       state.assignments(i).component() + ": server " +
                       state.assignments(i).server() + " must be told");
  }
}

Status import_state(State& state, State file, Warnings& warnings) {
  if (file.version() > kComplianceVersion) {
    return invalid_argument("the file is of version " + std::to_string(file.version()) +
                            ", which is newer than this program: it reads version " +
                            std::to_string(kComplianceVersion));
  }
  if (file.version() < 1) return invalid_argument("the file is no export: it has no version");
  const v1::ComplianceProfile* given = find_named(file.profiles(), kSystemDefaultProfile);
  if (given != nullptr && !is_system_default(*given)) return refuse_default(given->name());
  if (given == nullptr) {
    // As on a fresh collector, where it was made before all others.
    auto others = std::move(*file.mutable_profiles());
    file.clear_profiles();
    *file.add_profiles() = system_default_profile();
    file.mutable_profiles()->MergeFrom(others);
  }
  if (file.is_cluster_wide() != state.is_cluster_wide()) {
    warnings.push_back(std::string("the file was exported from a ") +
                       (file.is_cluster_wide() ? "cluster-wide" : "node-based") +
                       " collector; this one stays " +
                       (state.is_cluster_wide() ? "cluster-wide" : "node-based"));
  }
  for (auto& profile : *file.mutable_profiles()) {
    RETURN_IF_ERROR(check_profile(profile));
    fill_handlings(profile);
    warn_of_profile(profile, warnings);
  }
  file.set_version(kComplianceVersion);
  file.set_revision(state.revision());
  file.set_is_cluster_wide(state.is_cluster_wide());
  name_components(file);
  state = std::move(file);
  return {};
}

Status apply(State& state, const v1::ChangeComplianceRequest& request, Warnings& warnings) {
  using Request = v1::ChangeComplianceRequest;
  switch (request.change_case()) {
    case Request::kSetProfile:
      return set_profile(state, request.set_profile(), warnings);
    case Request::kDeleteProfile:
      return delete_profile(state, request.delete_profile());
    case Request::kRenameProfile:
      return rename_profile(state, request.rename_profile());
    case Request::kSetServer:
      return set_server(state, request.set_server(), warnings);
    case Request::kDeleteServer:
      return delete_server(state, request.delete_server());
    case Request::kAssign:
      return assign(state, request.assign(), warnings);
    case Request::kUnassign:
      return unassign(state, request.unassign());
    case Request::kSetPriority:
      return set_priority(state, request.set_priority());
    case Request::kEnableClusterWide:
      if (!request.enable_cluster_wide()) {
        return failed_precondition("cluster-wide mode cannot be ended");
      }
      enable_cluster_wide(state, warnings);
      return {};
    case Request::kImport:
      return import_state(state, request.import(), warnings);
    case Request::CHANGE_NOT_SET:
      break;
  }
  return invalid_argument("no change is named");
}

}  // namespace

Result<ComplianceChange> apply_change(const v1::ComplianceState& state,
                                      const v1::ChangeComplianceRequest& request) {
  if (request.expected_revision() != 0 && request.expected_revision() != state.revision()) {
    return aborted("revision " + std::to_string(state.revision()) + " is in force, not " +
                   std::to_string(request.expected_revision()) +
                   ": somebody else has changed something; look again");
  }
  ComplianceChange change;
  change.state = state;
  RETURN_IF_ERROR(apply(change.state, request, change.warnings));
  change.state.set_revision(state.revision() + 1);
  RETURN_IF_ERROR(check_state(change.state));
  return change;
}

}  // namespace verbatim::collector
