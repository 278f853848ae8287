#include "collector/compliance/rules.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "collector/compliance/names.h"

namespace verbatim::collector {
namespace {

using Profile = v1::ComplianceProfile;

Profile profile_of(const std::vector<std::pair<std::string, std::string>>& events) {
  Profile profile;
  profile.set_name("P1");
  for (const auto& [event, type] : events) {
    auto& entry = *profile.add_events();
    entry.set_event(event);
    entry.set_packet_type(type);
  }
  return profile;
}

std::string refusal_of(const std::vector<std::pair<std::string, std::string>>& events) {
  return check_profile(profile_of(events)).message();
}

TEST(Rules, AProfileHoldsJsmEventsTcEventsOrBoth_C014) {
  EXPECT_TRUE(check_profile(profile_of({{"es_OUT", "message"}, {"e_SESSION", ""}})).ok());
  EXPECT_TRUE(check_profile(profile_of({{"onBeforeSend", ""}, {"onLeave", ""}})).ok());
  EXPECT_TRUE(check_profile(profile_of({{"es_OUT", "message"}, {"onBeforeSend", ""}})).ok());
  EXPECT_TRUE(check_profile(profile_of({})).ok());
}

TEST(Rules, AProfilesNameIsAlphanumericWithoutSpaces_C015) {
  for (const char* name : {"P1", "wall", "42", "SystemDefaultComplianceProfile"}) {
    EXPECT_TRUE(check_profile_name(name).ok()) << name;
  }
  const std::string long_name(65, 'a');
  for (const std::string& name : {std::string(), std::string("two words"), std::string("a-b"),
                                  std::string("a_b"), std::string("a.b"), std::string("ä"),
                                  std::string("a\n"), std::string("a\0b", 3), long_name}) {
    EXPECT_EQ(check_profile_name(name).message(),
              "a profile's name is 1 to 64 letters and digits, without spaces");
  }
  EXPECT_TRUE(check_profile_name(long_name.substr(1)).ok());
}

TEST(Rules, TheDescriptionIsOptional_C017) {
  Profile profile = profile_of({{"onLeave", ""}});
  EXPECT_TRUE(check_profile(profile).ok());
  profile.set_description("who leaves");
  EXPECT_TRUE(check_profile(profile).ok());
  profile.set_description(std::string(1025, 'x'));
  EXPECT_FALSE(check_profile(profile).ok());
}

TEST(Rules, OnlyTheFortyNamesAreAccepted_C018) {
  for (const char* name : {"", "es_out", "onBeforeSen", "onbeforesend", "*", "all"}) {
    EXPECT_EQ(refusal_of({{name, ""}}),
              std::string("\"") + name +
                  "\" is none of the 12 JSM and 28 TC events (upper and lower case count)");
  }
}

TEST(Rules, APacketTypeIsForJsmEventsOnly_C019) {
  for (const char* type : {"all", "iq", "message", "presence", "subscription"}) {
    EXPECT_EQ(refusal_of({{"es_OUT", type}}), "") << type;
    EXPECT_EQ(refusal_of({{"onBeforeSend", type}}),
              "onBeforeSend is an event of rooms: packet types are for JSM events only");
  }
  EXPECT_EQ(refusal_of({{"es_OUT", "messages"}}),
            "\"messages\" of es_OUT is no packet type: they are all, iq, message, presence, "
            "subscription");
  EXPECT_EQ(refusal_of({{"es_OUT", ""}}),
            "es_OUT needs a packet type: all, iq, message, presence or subscription");
  for (const char* name : {"e_SESSION", "es_END", "e_STATS"}) {
    EXPECT_EQ(refusal_of({{name, ""}}), "");
    EXPECT_EQ(refusal_of({{name, "all"}}), "");
  }
}

TEST(Rules, OneEventTwiceWithOnePacketTypeIsRefused_C020) {
  EXPECT_EQ(refusal_of({{"es_OUT", "message"}, {"es_IN", "message"}, {"es_OUT", "message"}}),
            "profile P1 has es_OUT with packet type message twice");
  EXPECT_EQ(refusal_of({{"es_OUT", "message"}, {"es_OUT", "iq"}}), "");
  EXPECT_EQ(refusal_of({{"onLeave", ""}, {"onLeave", ""}}), "profile P1 has onLeave twice");
  EXPECT_EQ(refusal_of({{"e_SESSION", "all"}, {"e_SESSION", ""}}),
            "profile P1 has e_SESSION twice");
}

TEST(Rules, AllAndASpecificPacketTypeOfOneEventExcludeEachOtherInEitherOrder_C021) {
  const std::string refusal =
      "profile P1 has es_OUT with packet type all and with another: all includes it";
  EXPECT_EQ(refusal_of({{"es_OUT", "all"}, {"es_OUT", "message"}}), refusal);
  EXPECT_EQ(refusal_of({{"es_OUT", "message"}, {"es_OUT", "all"}}), refusal);
  EXPECT_EQ(refusal_of({{"es_OUT", "all"}, {"es_IN", "message"}}), "");
}

TEST(Rules, ANewEventIsAwaitedAndItsErrorsAreBouncedButNotLoginAndLogout_C023_C024) {
  Profile profile =
      profile_of({{"es_OUT", "message"}, {"onLeave", ""}, {"e_SESSION", ""}, {"es_END", ""}});
  profile.mutable_events(1)->set_handling(Profile::HANDLING_PASS);
  fill_handlings(profile);
  EXPECT_EQ(profile.events(0).handling(), Profile::HANDLING_BOUNCE);
  EXPECT_EQ(profile.events(1).handling(), Profile::HANDLING_PASS);
  EXPECT_EQ(profile.events(2).handling(), Profile::HANDLING_PASS);
  EXPECT_EQ(profile.events(3).handling(), Profile::HANDLING_PASS);
  for (const auto& entry : profile.events()) EXPECT_FALSE(entry.fire_and_forget());
  profile.mutable_events(0)->set_handling(static_cast<Profile::Handling>(3));
  EXPECT_EQ(check_profile(profile).message(), "the handling of es_OUT is bounce or pass");
}

v1::ComplianceServer link_server() {
  v1::ComplianceServer server;
  server.set_name("legacy");
  server.set_kind(v1::ComplianceServer::KIND_LINK);
  server.set_host("cs1.example.com");
  server.set_port(7999);
  server.set_secret_file("/etc/verbatim/legacy.secret");
  return server;
}

TEST(Rules, TheHostOfAServerHasOnlyTheGuidesLetters_C009) {
  v1::ComplianceServer server = link_server();
  for (const char* host : {"cs1.example.com", "127.0.0.1", "a-b_c\\d", "A"}) {
    server.set_host(host);
    EXPECT_TRUE(check_server(server).ok()) << host;
  }
  for (const char* host : {"", "a b", "a/b", "a:1", "user@host", "ä"}) {
    server.set_host(host);
    EXPECT_FALSE(check_server(server).ok()) << host;
  }
}

TEST(Rules, ALinkNeedsPortAndSecretFileAndAPluginHasNeither) {
  v1::ComplianceServer server = link_server();
  server.set_port(65536);
  EXPECT_FALSE(check_server(server).ok());
  server.set_port(65535);
  EXPECT_TRUE(check_server(server).ok());
  server.clear_secret_file();
  EXPECT_FALSE(check_server(server).ok());
  server = link_server();
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  EXPECT_FALSE(check_server(server).ok());
  server.clear_host();
  server.clear_port();
  server.clear_secret_file();
  EXPECT_TRUE(check_server(server).ok());
  server.set_kind(v1::ComplianceServer::KIND_UNSPECIFIED);
  EXPECT_FALSE(check_server(server).ok());
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  for (const char* name : {"", "a b", ".a", "-a", "a/b", "ä"}) {
    server.set_name(name);
    EXPECT_FALSE(check_server(server).ok()) << name;
  }
}

TEST(Rules, ComponentNamesComeFromNodeAndServerAndChangeWithTheSwitch_C010_C077) {
  EXPECT_EQ(component_name("gwydlvm1153.cisco.com", "gwydlvm131", false),
            "op-gwydlvm131.gwydlvm1153-cisco-com");
  EXPECT_EQ(component_name("gwydlvm1153.cisco.com", "gwydlvm131", true),
            "opc-gwydlvm131.gwydlvm1153-cisco-com");
  EXPECT_EQ(component_name("", "wall", true), "opc-wall.all-nodes");
}

}  // namespace
}  // namespace verbatim::collector
