#include "collector/compliance/routing_table.h"

#include <set>
#include <utility>

#include "collector/broker/profile.h"
#include "collector/compliance/rules.h"

namespace verbatim::collector {
namespace {

constexpr size_t kSpecificTypeCount = 4;

}  // namespace

Result<std::shared_ptr<const RoutingTable>> RoutingTable::create(v1::ComplianceState state) {
  for (v1::ComplianceProfile& profile : *state.mutable_profiles()) {
    RETURN_IF_ERROR(check_profile(profile));
    fill_handlings(profile);
  }
  for (const v1::ComplianceServer& server : state.servers()) RETURN_IF_ERROR(check_server(server));
  RETURN_IF_ERROR(check_references(state));
  return std::shared_ptr<const RoutingTable>(new RoutingTable(std::move(state)));
}

RoutingTable::RoutingTable(v1::ComplianceState state) : state_(std::move(state)) {
  std::map<std::string, size_t> place_of;
  for (int i = 0; i < state_.profiles_size(); ++i) {
    place_of[state_.profiles(i).name()] = static_cast<size_t>(i);
    add_profile(i);
  }
  assignments_.resize(place_of.size());
  for (int i = 0; i < state_.assignments_size(); ++i) {
    assignments_[place_of[state_.assignments(i).profile()]].push_back(i);
  }
}

void RoutingTable::add_profile(int place) {
  // Of an event with all four packet types: what is in force for a packet that is none of them.
  std::map<std::string, std::pair<size_t, Entry>> joined;
  for (const auto& given : state_.profiles(place).events()) {
    Entry entry;
    entry.profile = place;
    entry.packet_type = given.packet_type() == "all" ? "" : given.packet_type();
    entry.handling = given.handling();
    entry.is_fire_and_forget = given.fire_and_forget();
    if (!entry.packet_type.empty()) {
      auto& [count, rest] = joined.try_emplace(given.event(), 0, entry).first->second;
      ++count;
      if (entry.handling == v1::ComplianceProfile::HANDLING_BOUNCE) rest.handling = entry.handling;
      if (!entry.is_fire_and_forget) rest.is_fire_and_forget = false;
    }
    entries_[given.event()].push_back(std::move(entry));
  }
  for (auto& [event, counted] : joined) {
    if (counted.first < kSpecificTypeCount) continue;
    counted.second.packet_type.clear();
    entries_[event].push_back(counted.second);
  }
}

std::vector<Route> RoutingTable::routes(std::string_view node, std::string_view event_name,
                                        std::string_view packet_type) const {
  std::vector<Route> routes;
  const auto found = entries_.find(event_name);
  if (found == entries_.end()) return routes;
  // Entries of one profile stand together, a catch-all behind the specific ones: the first counts.
  int done = -1;
  for (const Entry& entry : found->second) {
    if (entry.profile == done) continue;
    if (!entry.packet_type.empty() && entry.packet_type != packet_type) continue;
    done = entry.profile;
    std::vector<std::string> servers = servers_of(entry.profile, node);
    if (servers.empty()) continue;
    routes.push_back({state_.profiles(entry.profile).name(), entry.handling,
                      entry.is_fire_and_forget, std::move(servers)});
  }
  return routes;
}

bool RoutingTable::awaits_unnamed(std::string_view node, std::string_view event_name) const {
  if (Profile::is_jsm_event(event_name) || Profile::is_tc_event(event_name)) return false;
  for (const auto& [name, entries] : entries_) {
    for (const Entry& entry : entries) {
      if (!entry.is_fire_and_forget && !servers_of(entry.profile, node).empty()) return true;
    }
  }
  return false;
}

std::vector<std::string> RoutingTable::servers_of(int profile, std::string_view node) const {
  std::set<std::string> servers;
  for (const int place : assignments_[static_cast<size_t>(profile)]) {
    const v1::ComplianceAssignment& assignment = state_.assignments(place);
    if (state_.is_cluster_wide() || assignment.node().empty() || assignment.node() == node) {
      servers.insert(assignment.server());
    }
  }
  return {servers.begin(), servers.end()};
}

}  // namespace verbatim::collector
