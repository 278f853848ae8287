#include "collector/broker/profile.h"

#include <algorithm>
#include <array>
#include <utility>

namespace verbatim::collector {
namespace {

constexpr std::array<std::string_view, 12> kJsmEvents = {
    "e_AUTH",    "e_REGISTER", "e_SESSION", "es_END",  "es_OUT",      "es_IN",
    "e_DELIVER", "e_OFFLINE",  "e_SERVER",  "e_STATS", "e_DISCOFEAT", "e_PRISESSION"};

constexpr std::array<std::string_view, 28> kTcEvents = {"onServicePacket",
                                                        "onBeforeRoomCreate",
                                                        "onAfterRoomCreate",
                                                        "onServiceDiscoInfo",
                                                        "onServiceReconfig",
                                                        "onDestroy",
                                                        "onClose",
                                                        "onPacket",
                                                        "onMetaInfoGet",
                                                        "onBeforeMetaInfoSet",
                                                        "onAfterMetaInfoSet",
                                                        "onExamineRoom",
                                                        "onBeforeChangeUser",
                                                        "onAfterChangeUser",
                                                        "onBeforeChangeAffiliation",
                                                        "onAfterChangeAffiliation",
                                                        "onBeforeRemoveAffiliation",
                                                        "onAfterRemoveAffiliation",
                                                        "onBeforeJoin",
                                                        "onAfterJoin",
                                                        "onLeave",
                                                        "onBeforeSubject",
                                                        "onAfterSubject",
                                                        "onBeforeInvite",
                                                        "onAfterInvite",
                                                        "onHistory",
                                                        "onBeforeSend",
                                                        "onBeforeBroadcast"};

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<Profile> Profile::create(std::string_view configured_name) {
  if (configured_name == "system-default") {
    return Profile("SystemDefaultComplianceProfile", {{"e_SESSION", "*"},
                                                      {"es_END", "*"},
                                                      {"es_IN", "message"},
                                                      {"es_OUT", "message"},
                                                      {"onBeforeInvite", "*"},
                                                      {"onBeforeJoin", "*"},
                                                      {"onBeforeRoomCreate", "*"},
                                                      {"onBeforeSend", "*"},
                                                      {"onLeave", "*"}});
  }
  if (configured_name == "all") {
    Events events;
    for (const std::string_view name : kJsmEvents) events.emplace(name, "*");
    for (const std::string_view name : kTcEvents) events.emplace(name, "*");
    return Profile("all", std::move(events));
  }
  return invalid_argument("no such profile, known are system-default and all");
}

bool Profile::has(std::string_view event_name, std::string_view packet_type) const {
  using Key = std::pair<std::string, std::string>;
  if (events_.contains(Key(event_name, "*"))) return true;
  return is_jsm_event(event_name) && events_.contains(Key(event_name, packet_type));
}

bool Profile::has(std::string_view event_name) const {
  const auto found = events_.lower_bound({std::string(event_name), std::string()});
  return found != events_.end() && found->first == event_name;
}

bool Profile::is_jsm_event(std::string_view event_name) { return contains(kJsmEvents, event_name); }

bool Profile::is_tc_event(std::string_view event_name) { return contains(kTcEvents, event_name); }

}  // namespace verbatim::collector
