#include "collector/compliance/names.h"

#include <algorithm>
#include <array>

#include "collector/broker/profile.h"

namespace verbatim::collector {
namespace {

constexpr size_t kNameMaxBytes = 64;
constexpr size_t kHostMaxBytes = 255;

// ASCII only: what a locale takes for a letter is none here.
bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_made_of(std::string_view text, std::string_view further, size_t max_bytes) {
  return !text.empty() && text.size() <= max_bytes &&
         std::all_of(text.begin(), text.end(), [further](char c) {
           return is_letter_or_digit(c) || further.find(c) != std::string_view::npos;
         });
}

}  // namespace

Status check_profile_name(std::string_view name) {
  if (is_made_of(name, "", kNameMaxBytes)) return {};
  return invalid_argument("a profile's name is 1 to 64 letters and digits, without spaces");
}

Status check_server_name(std::string_view name) {
  if (is_made_of(name, "-_.", kNameMaxBytes) && is_letter_or_digit(name.front())) return {};
  return invalid_argument(
      "a server's name is 1 to 64 letters, digits, \"-\", \"_\" and \".\", and begins with a "
      "letter or digit");
}

Status check_node_name(std::string_view name) {
  if (name.empty() || check_host(name).ok()) return {};
  return invalid_argument(
      "a node's name is at most 255 letters, digits, \".\", \"-\", \"_\" and \"\\\", as the node "
      "names itself; empty means all nodes");
}

Status check_host(std::string_view host) {
  if (is_made_of(host, ".\\-_", kHostMaxBytes)) return {};
  return invalid_argument(
      "a host is 1 to 255 letters, digits, \".\", \"-\", \"_\" and \"\\\": a name or an IPv4 "
      "address");
}

bool is_packet_type(std::string_view packet_type) {
  constexpr std::array<std::string_view, 5> kTypes = {"all", "iq", "message", "presence",
                                                      "subscription"};
  return std::find(kTypes.begin(), kTypes.end(), packet_type) != kTypes.end();
}

bool has_packet_types(std::string_view event_name) {
  constexpr std::array<std::string_view, 3> kWithoutStanza = {"e_SESSION", "es_END", "e_STATS"};
  return Profile::is_jsm_event(event_name) &&
         std::find(kWithoutStanza.begin(), kWithoutStanza.end(), event_name) ==
             kWithoutStanza.end();
}

std::string component_name(std::string_view node, std::string_view server, bool is_cluster_wide) {
  std::string realm(node.empty() ? std::string_view("all-nodes") : node);
  std::replace(realm.begin(), realm.end(), '.', '-');
  std::string id(server);
  std::replace(id.begin(), id.end(), '.', '-');
  return (is_cluster_wide ? "opc-" : "op-") + id + "." + realm;
}

}  // namespace verbatim::collector
