// The names of compliance: profiles, servers, nodes, packet types, component names. Pure functions.
//
// Errors of every check_…: kInvalidArgument, one sentence that says what is allowed.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

// 1 to 64 ASCII letters and digits (Cisco IM compliance guide: alphanumeric, without spaces).
Status check_profile_name(std::string_view name);
// 1 to 64 ASCII letters, digits, "-", "_" and ".", the first one a letter or digit: as policies are
// named in the configuration.
Status check_server_name(std::string_view name);
// Empty (all nodes), or as a node names itself: 1 to 255 of the letters of check_host().
Status check_node_name(std::string_view name);
// The guide's letters of a host name or address: a-z A-Z 0-9 . \ - _
Status check_host(std::string_view host);

// "all", "iq", "message", "presence" or "subscription".
bool is_packet_type(std::string_view packet_type);
// One of the 12 JSM names that carries a stanza, so that an entry of a profile says which type.
bool has_packet_types(std::string_view event_name);

// "Open-port Component Name" of a (node, server) pair: "op-SERVER.NODE", the node's dots as dashes
// ("all-nodes" for the empty one); in cluster-wide mode "opc-SERVER.NODE". So the switch renames
// every component, as in the guide, whose own format is unpublished.
std::string component_name(std::string_view node, std::string_view server, bool is_cluster_wide);

}  // namespace verbatim::collector
