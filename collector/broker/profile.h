// Profile: which named events of a chat node are archived (Cisco IM compliance guide, chapter on
// third-party compliance servers: SystemDefaultComplianceProfile and the lists of JSM and TC
// events).
//
// Names are the guide's own ("es_OUT", "onBeforeSend"). The 12 JSM events have packet types
// ("message", "presence", "iq", "subscription"; "" where the event carries no stanza); the 28 TC
// events have none.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace verbatim::collector {

class Profile {
 public:
  // (event, packet type); "*" stands for all packet types, and for what has none.
  using Events = std::set<std::pair<std::string, std::string>, std::less<>>;

  Profile() = default;
  Profile(std::string name, Events events) : name_(std::move(name)), events_(std::move(events)) {}

  // "system-default" (nine events) or "all". Errors: kInvalidArgument for any other name.
  static Result<Profile> create(std::string_view configured_name);

  // True if the event is archived. `packet_type` is ignored for TC events. Unknown names: false.
  bool has(std::string_view event_name, std::string_view packet_type) const;
  // True if the event is archived for at least one packet type.
  bool has(std::string_view event_name) const;

  // "SystemDefaultComplianceProfile" or "all": goes into Event.profile.
  const std::string& name() const { return name_; }

  // True for one of the 12 JSM names; of the 28 TC names.
  static bool is_jsm_event(std::string_view event_name);
  static bool is_tc_event(std::string_view event_name);

 private:
  std::string name_;
  Events events_;
};

}  // namespace verbatim::collector
