#include "collector/broker/profile.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace verbatim::collector {
namespace {

const std::vector<std::string> kPacketTypes = {"", "message", "presence", "iq", "subscription"};
const std::vector<std::string> kJsm = {"e_AUTH",   "e_REGISTER", "e_SESSION",   "es_END",
                                       "es_OUT",   "es_IN",      "e_DELIVER",   "e_OFFLINE",
                                       "e_SERVER", "e_STATS",    "e_DISCOFEAT", "e_PRISESSION"};

// conformance: 26 30
TEST(Profile, TheSystemDefaultHoldsExactlyNineEvents) {
  const Profile profile = Profile::create("system-default").value();
  EXPECT_EQ(profile.name(), "SystemDefaultComplianceProfile");
  EXPECT_TRUE(profile.has("e_SESSION", ""));
  EXPECT_TRUE(profile.has("es_END", ""));
  EXPECT_TRUE(profile.has("es_IN", "message"));
  EXPECT_TRUE(profile.has("es_OUT", "message"));
  for (const char* name :
       {"onBeforeInvite", "onBeforeJoin", "onBeforeRoomCreate", "onBeforeSend", "onLeave"}) {
    EXPECT_TRUE(profile.has(name, "")) << name;
  }
  for (const char* type : {"", "presence", "iq", "subscription"}) {
    EXPECT_FALSE(profile.has("es_IN", type)) << type;
    EXPECT_FALSE(profile.has("es_OUT", type)) << type;
  }
  for (const char* name : {"e_AUTH", "e_DELIVER", "onAfterJoin", "onBeforeBroadcast", "onDestroy",
                           "onHistory", "onAfterSubject", "onPacket"}) {
    for (const auto& type : kPacketTypes) EXPECT_FALSE(profile.has(name, type)) << name;
    EXPECT_FALSE(profile.has(name)) << name;
  }
}

TEST(Profile, AllHoldsTwelveJsmEventsWithAllPacketTypesAndTwentyEightTcEvents) {
  const Profile profile = Profile::create("all").value();
  int tc_count = 0;
  for (const auto& name : kJsm) {
    EXPECT_TRUE(Profile::is_jsm_event(name));
    for (const auto& type : kPacketTypes) EXPECT_TRUE(profile.has(name, type)) << name;
  }
  for (const char* name : {"onServicePacket",
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
                           "onBeforeBroadcast"}) {
    EXPECT_TRUE(Profile::is_tc_event(name)) << name;
    EXPECT_TRUE(profile.has(name, "")) << name;
    ++tc_count;
  }
  EXPECT_EQ(tc_count, 28);
}

TEST(Profile, UnknownNamesAreInNoProfile) {
  for (const char* configured : {"system-default", "all"}) {
    const Profile profile = Profile::create(configured).value();
    for (const char* name : {"", "es_out", "onBeforeSen", "*"}) {
      EXPECT_FALSE(profile.has(name, "message")) << name;
      EXPECT_FALSE(profile.has(name)) << name;
    }
  }
  EXPECT_EQ(Profile::create("none").error().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace verbatim::collector
