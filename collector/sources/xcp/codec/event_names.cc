#include "collector/sources/xcp/codec/event_names.h"

#include <algorithm>

namespace verbatim::collector {
namespace {

constexpr auto kAttempt = v1::PHASE_ATTEMPT;
constexpr auto kConfirmed = v1::PHASE_CONFIRMED;
constexpr auto kNotice = v1::PHASE_NOTICE;
using R = ReplyClass;
using S = EventShape;

constexpr EventName kEventNames[] = {
    // JSM. The guide states no limit of the answer per event: R1 by its general rule.
    {"e_AUTH", false, R::kFree, kAttempt, S::kOther},
    {"e_REGISTER", false, R::kFree, kAttempt, S::kOther},
    {"e_SESSION", false, R::kFree, kAttempt, S::kLogin},
    {"es_END", false, R::kFree, kConfirmed, S::kLogout},
    {"es_OUT", false, R::kFree, kAttempt, S::kStanza},
    {"es_IN", false, R::kFree, kConfirmed, S::kStanza},
    {"e_DELIVER", false, R::kFree, kConfirmed, S::kStanza},
    {"e_OFFLINE", false, R::kFree, kConfirmed, S::kOffline},
    {"e_SERVER", false, R::kFree, kConfirmed, S::kOther},
    {"e_STATS", false, R::kFree, kConfirmed, S::kOther},
    {"e_DISCOFEAT", false, R::kFree, kConfirmed, S::kOther},
    {"e_PRISESSION", false, R::kFree, kConfirmed, S::kOther},
    // TC.
    {"onServicePacket", true, R::kFree, kAttempt, S::kOther},
    {"onBeforeRoomCreate", true, R::kFree, kAttempt, S::kRoomCreated},
    {"onAfterRoomCreate", true, R::kPassSame, kConfirmed, S::kRoomCreated},
    {"onServiceDiscoInfo", true, R::kPassOnly, kConfirmed, S::kOther},
    {"onServiceReconfig", true, R::kNone, kNotice, S::kOther},
    {"onDestroy", true, R::kPassOnly, kConfirmed, S::kRoomDestroyed},
    {"onClose", true, R::kFree, kAttempt, S::kRoomClosed},
    {"onPacket", true, R::kFree, kAttempt, S::kRoomPacket},
    {"onMetaInfoGet", true, R::kPassOnly, kConfirmed, S::kOther},
    {"onBeforeMetaInfoSet", true, R::kFree, kAttempt, S::kRoomConfigured},
    {"onAfterMetaInfoSet", true, R::kPassEmpty, kConfirmed, S::kRoomConfigured},
    {"onExamineRoom", true, R::kPassOnly, kConfirmed, S::kOther},
    {"onBeforeChangeUser", true, R::kFree, kAttempt, S::kUserChanged},
    {"onAfterChangeUser", true, R::kPassEmpty, kConfirmed, S::kUserChanged},
    {"onBeforeChangeAffiliation", true, R::kFree, kAttempt, S::kAffiliation},
    {"onAfterChangeAffiliation", true, R::kPassEmpty, kConfirmed, S::kAffiliation},
    {"onBeforeRemoveAffiliation", true, R::kFree, kAttempt, S::kAffiliationRemoved},
    {"onAfterRemoveAffiliation", true, R::kPassSame, kConfirmed, S::kAffiliationRemoved},
    {"onBeforeJoin", true, R::kFree, kAttempt, S::kJoined},
    {"onAfterJoin", true, R::kPassEmpty, kConfirmed, S::kJoined},
    {"onLeave", true, R::kPassOnly, kConfirmed, S::kLeft},
    {"onBeforeSubject", true, R::kFree, kAttempt, S::kSubject},
    {"onAfterSubject", true, R::kPassEmpty, kConfirmed, S::kSubject},
    {"onBeforeInvite", true, R::kFree, kAttempt, S::kInvited},
    {"onAfterInvite", true, R::kPassEmpty, kConfirmed, S::kInvited},
    {"onHistory", true, R::kPassOnly, kConfirmed, S::kHistory},
    {"onBeforeSend", true, R::kFree, kAttempt, S::kRoomMessage},
    {"onBeforeBroadcast", true, R::kFree, kConfirmed, S::kRoomMessage},
};

}  // namespace

std::span<const EventName> event_names() { return kEventNames; }

const EventName* find_event_name(std::string_view name) {
  const auto found = std::find_if(std::begin(kEventNames), std::end(kEventNames),
                                  [&](const EventName& event) { return event.name == name; });
  return found == std::end(kEventNames) ? nullptr : found;
}

}  // namespace verbatim::collector
