#include "collector/compliance/rules.h"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "collector/broker/profile.h"
#include "collector/compliance/names.h"

namespace verbatim::collector {
namespace {

using Entry = v1::ComplianceProfile::EventEntry;

constexpr size_t kDescriptionMaxBytes = 1024;

Status check_description(const std::string& description) {
  if (description.size() <= kDescriptionMaxBytes) return {};
  return invalid_argument("a description has at most 1,024 bytes");
}

// The event's name, and whether it says its packet type as it must.
Status check_entry(const Entry& entry) {
  if (entry.handling() != v1::ComplianceProfile::HANDLING_BOUNCE &&
      entry.handling() != v1::ComplianceProfile::HANDLING_PASS &&
      entry.handling() != v1::ComplianceProfile::HANDLING_UNSPECIFIED) {
    return invalid_argument("the handling of " + entry.event() + " is bounce or pass");
  }
  if (Profile::is_tc_event(entry.event())) {
    if (entry.packet_type().empty()) return {};
    return invalid_argument(entry.event() +
                            " is an event of rooms: packet types are for JSM events only");
  }
  if (!Profile::is_jsm_event(entry.event())) {
    return invalid_argument(
        "\"" + entry.event() +
        "\" is none of the 12 JSM and 28 TC events (upper and lower case count)");
  }
  if (entry.packet_type().empty()) {
    if (!has_packet_types(entry.event())) return {};
    return invalid_argument(entry.event() +
                            " needs a packet type: all, iq, message, presence or subscription");
  }
  if (is_packet_type(entry.packet_type())) return {};
  return invalid_argument("\"" + entry.packet_type() + "\" of " + entry.event() +
                          " is no packet type: they are all, iq, message, presence, subscription");
}

// A JSM event without a stanza may say "all" or nothing; it means the same.
std::string effective_type(const Entry& entry) {
  return entry.packet_type().empty() ? "all" : entry.packet_type();
}

Status check_link_fields(const v1::ComplianceServer& server) {
  RETURN_IF_ERROR(check_host(server.host()));
  if (server.port() < 1 || server.port() > 65535) {
    return invalid_argument("the port of server " + server.name() + " is 1 to 65535");
  }
  if (server.secret_file().empty()) {
    return invalid_argument("server " + server.name() +
                            " needs the name of the file that holds the shared secret");
  }
  return {};
}

}  // namespace

v1::ComplianceProfile::Handling default_handling(const Entry& entry) {
  const bool is_session = entry.event() == "e_SESSION" || entry.event() == "es_END";
  return is_session ? v1::ComplianceProfile::HANDLING_PASS : v1::ComplianceProfile::HANDLING_BOUNCE;
}

void fill_handlings(v1::ComplianceProfile& profile) {
  for (Entry& entry : *profile.mutable_events()) {
    if (entry.handling() == v1::ComplianceProfile::HANDLING_UNSPECIFIED) {
      entry.set_handling(default_handling(entry));
    }
  }
}

Status check_profile(const v1::ComplianceProfile& profile) {
  RETURN_IF_ERROR(check_profile_name(profile.name()));
  RETURN_IF_ERROR(check_description(profile.description()));
  std::map<std::string, std::set<std::string>> types;
  for (const Entry& entry : profile.events()) {
    RETURN_IF_ERROR(check_entry(entry));
    const std::string type = effective_type(entry);
    std::set<std::string>& known = types[entry.event()];
    if (!known.insert(type).second) {
      return invalid_argument("profile " + profile.name() + " has " + entry.event() +
                              (entry.packet_type().empty() ? "" : " with packet type " + type) +
                              " twice");
    }
    if (known.size() > 1 && known.contains("all")) {
      return invalid_argument("profile " + profile.name() + " has " + entry.event() +
                              " with packet type all and with another: all includes it");
    }
  }
  return {};
}

Status check_server(const v1::ComplianceServer& server) {
  RETURN_IF_ERROR(check_server_name(server.name()));
  RETURN_IF_ERROR(check_description(server.description()));
  switch (server.kind()) {
    case v1::ComplianceServer::KIND_PLUGIN:
      if (server.host().empty() && server.port() == 0 && server.secret_file().empty()) return {};
      return invalid_argument("server " + server.name() +
                              " is a plugin, which attaches by itself: host, port and secret file "
                              "are for servers that the collector dials");
    case v1::ComplianceServer::KIND_LINK:
      return check_link_fields(server);
    default:
      return invalid_argument("the kind of server " + server.name() + " is plugin or link");
  }
}

Status check_references(const v1::ComplianceState& state) {
  std::set<std::string> profiles;
  for (const auto& profile : state.profiles()) {
    if (!profiles.insert(profile.name()).second) {
      return invalid_argument("profile " + profile.name() + " is there twice");
    }
  }
  std::set<std::string> servers;
  for (const auto& server : state.servers()) {
    if (!servers.insert(server.name()).second) {
      return invalid_argument("server " + server.name() + " is there twice");
    }
  }
  std::set<std::tuple<std::string, std::string, std::string>> assignments;
  for (const auto& one : state.assignments()) {
    RETURN_IF_ERROR(check_node_name(one.node()));
    if (!servers.contains(one.server())) {
      return invalid_argument("an assignment names server \"" + one.server() +
                              "\", which is not there");
    }
    if (!profiles.contains(one.profile())) {
      return invalid_argument("an assignment names profile \"" + one.profile() +
                              "\", which is not there");
    }
    if (!assignments.emplace(one.node(), one.server(), one.profile()).second) {
      return invalid_argument("profile " + one.profile() + " is assigned to server " +
                              one.server() + " twice on one node");
    }
  }
  return {};
}

}  // namespace verbatim::collector
