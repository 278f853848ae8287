#include "collector/attempts/confirmation.h"

#include <algorithm>
#include <array>
#include <utility>

namespace verbatim::collector {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 9> kPairs = {{
    {"onBeforeSend", "onBeforeBroadcast"},
    {"onBeforeSubject", "onAfterSubject"},
    {"onBeforeRoomCreate", "onAfterRoomCreate"},
    {"onBeforeMetaInfoSet", "onAfterMetaInfoSet"},
    {"onBeforeChangeUser", "onAfterChangeUser"},
    {"onBeforeChangeAffiliation", "onAfterChangeAffiliation"},
    {"onBeforeRemoveAffiliation", "onAfterRemoveAffiliation"},
    {"onBeforeJoin", "onAfterJoin"},
    {"onBeforeInvite", "onAfterInvite"},
}};

// The person that the act is about: who is changed, joins or is invited, else who acts.
const std::string& subject_of(const v1::Event& event) {
  return event.others_size() > 0 ? event.others(0).normalised() : event.actor().normalised();
}

}  // namespace

std::string_view confirmation_of(const v1::Event& attempt) {
  if (attempt.has_verdict_outcome()) return {};
  const std::string& name = attempt.source().raw_event();
  const auto pair = std::find_if(kPairs.begin(), kPairs.end(),
                                 [&name](const Pair& each) { return each.first == name; });
  if (pair == kPairs.end()) return {};
  if (name != "onBeforeChangeUser") return pair->second;
  const bool is_role = attempt.has_role_changed() && attempt.role_changed().new_role() != "none";
  return is_role || attempt.has_nickname_changed() ? pair->second : std::string_view();
}

bool is_confirmation(const v1::Event& event) {
  if (event.has_verdict_outcome()) return false;
  const std::string& name = event.source().raw_event();
  return std::any_of(kPairs.begin(), kPairs.end(),
                     [&name](const Pair& each) { return each.second == name; });
}

std::string act_key_of(const v1::Event& event, std::string_view confirmation) {
  std::string key = event.source().name() + "\n" + std::string(confirmation) + "\n" +
                    event.conversation().key() + "\n";
  if (confirmation == "onBeforeBroadcast") {
    return key + event.actor().normalised() + "\n" + event.references().message_id();
  }
  if (confirmation == "onAfterRoomCreate" || confirmation == "onAfterMetaInfoSet") return key;
  return key + subject_of(event);
}

}  // namespace verbatim::collector
