#include "collector/compliance/system_default.h"

#include <google/protobuf/util/message_differencer.h>

#include "collector/compliance/rules.h"

namespace verbatim::collector {
namespace {

struct DefaultEvent {
  const char* event;
  const char* packet_type;
};
constexpr DefaultEvent kEvents[] = {
    {"e_SESSION", ""},          {"es_END", ""},         {"es_IN", "message"},
    {"es_OUT", "message"},      {"onBeforeInvite", ""}, {"onBeforeJoin", ""},
    {"onBeforeRoomCreate", ""}, {"onBeforeSend", ""},   {"onLeave", ""}};

}  // namespace

v1::ComplianceProfile system_default_profile() {
  v1::ComplianceProfile profile;
  profile.set_name(kSystemDefaultProfile);
  profile.set_description("Logins, messages and rooms; cannot be changed");
  for (const DefaultEvent& one : kEvents) {
    v1::ComplianceProfile::EventEntry& entry = *profile.add_events();
    entry.set_event(one.event);
    entry.set_packet_type(one.packet_type);
  }
  fill_handlings(profile);
  return profile;
}

bool is_system_default(const v1::ComplianceProfile& profile) {
  return google::protobuf::util::MessageDifferencer::Equals(profile, system_default_profile());
}

}  // namespace verbatim::collector
