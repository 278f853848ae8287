#include "collector/compliance/routing_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace verbatim::collector {
namespace {

using Profile = v1::ComplianceProfile;

Profile profile_of(const std::string& name,
                   const std::vector<std::pair<std::string, std::string>>& events) {
  Profile profile;
  profile.set_name(name);
  for (const auto& [event, type] : events) {
    auto& entry = *profile.add_events();
    entry.set_event(event);
    entry.set_packet_type(type);
  }
  return profile;
}

void add_server(v1::ComplianceState& state, const std::string& name) {
  auto& server = *state.add_servers();
  server.set_name(name);
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
}

void assign(v1::ComplianceState& state, const std::string& node, const std::string& server,
            const std::string& profile) {
  auto& assignment = *state.add_assignments();
  assignment.set_node(node);
  assignment.set_server(server);
  assignment.set_profile(profile);
}

std::shared_ptr<const RoutingTable> table_of(const v1::ComplianceState& state) {
  return RoutingTable::create(state).value();
}

std::string refusal_of(const v1::ComplianceState& state) {
  const Status error = RoutingTable::create(state).error();
  EXPECT_EQ(error.code(), StatusCode::kInvalidArgument);
  return error.message();
}

// "wall:w1 dlp:d1,d2"
std::string text_of(const std::vector<Route>& routes) {
  std::string text;
  for (const Route& route : routes) {
    text += (text.empty() ? "" : " ") + route.profile + ":";
    for (const std::string& server : route.servers) {
      text += (server == route.servers.front() ? "" : ",") + server;
    }
  }
  return text;
}

TEST(RoutingTable, AnEmptyStateAsksNoPolicy) {
  EXPECT_TRUE(table_of({})->routes("n1", "es_OUT", "message").empty());
}

TEST(RoutingTable, RoutesStandInTheOrderOfTheProfiles_C032_C067) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("wall", {{"es_OUT", "message"}});
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}, {"e_SESSION", ""}});
  for (const char* name : {"l1", "w1"}) add_server(state, name);
  assign(state, "", "l1", "log");
  assign(state, "", "w1", "wall");
  EXPECT_EQ(text_of(table_of(state)->routes("n1", "es_OUT", "message")), "wall:w1 log:l1");
  state.mutable_profiles()->SwapElements(0, 1);
  EXPECT_EQ(text_of(table_of(state)->routes("n1", "es_OUT", "message")), "log:l1 wall:w1");
}

TEST(RoutingTable, PriorityHasNoEffectOnAnEventThatOneProfileContains_C069_C071) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("wall", {{"es_OUT", "message"}, {"e_SESSION", ""}});
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}});
  for (const char* name : {"l1", "w1"}) add_server(state, name);
  assign(state, "", "w1", "wall");
  assign(state, "", "l1", "log");
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(text_of(table_of(state)->routes("n1", "e_SESSION", "")), "wall:w1");
    state.mutable_profiles()->SwapElements(0, 1);
  }
}

TEST(RoutingTable, AServerWithoutAProfileReceivesNothing_C034) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("wall", {{"es_OUT", "message"}});
  *state.add_profiles() = profile_of("unused", {{"es_IN", "message"}});
  for (const char* name : {"w1", "idle"}) add_server(state, name);
  assign(state, "", "w1", "wall");
  const auto table = table_of(state);
  EXPECT_EQ(text_of(table->routes("n1", "es_OUT", "message")), "wall:w1");
  EXPECT_EQ(text_of(table->routes("n1", "es_IN", "message")), "");
}

TEST(RoutingTable, OneProfileOnSeveralServersIsOneRoute_C033) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("log", {{"onBeforeSend", ""}});
  for (const char* name : {"l2", "l1"}) add_server(state, name);
  assign(state, "", "l2", "log");
  assign(state, "", "l1", "log");
  EXPECT_EQ(text_of(table_of(state)->routes("n1", "onBeforeSend", "")), "log:l1,l2");
  EXPECT_EQ(text_of(table_of(state)->routes("n1", "onBeforeSend", "message")), "log:l1,l2");
}

TEST(RoutingTable, AJsmEventIsRoutedByItsPacketType_C019_C030) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}, {"es_IN", "all"}});
  add_server(state, "l1");
  assign(state, "", "l1", "log");
  const auto table = table_of(state);
  EXPECT_EQ(text_of(table->routes("n1", "es_OUT", "message")), "log:l1");
  for (const char* type : {"presence", "iq", "subscription", ""}) {
    EXPECT_EQ(text_of(table->routes("n1", "es_OUT", type)), "") << type;
    EXPECT_EQ(text_of(table->routes("n1", "es_IN", type)), "log:l1") << type;
  }
}

TEST(RoutingTable, AllSpecificPacketTypesRouteWhatAllRoutes_C022) {
  v1::ComplianceState all;
  *all.add_profiles() = profile_of("log", {{"es_OUT", "all"}});
  v1::ComplianceState specific;
  *specific.add_profiles() = profile_of("log", {{"es_OUT", "iq"},
                                                {"es_OUT", "message"},
                                                {"es_OUT", "presence"},
                                                {"es_OUT", "subscription"}});
  v1::ComplianceState three = specific;
  three.mutable_profiles(0)->mutable_events()->RemoveLast();
  for (v1::ComplianceState* state : {&all, &specific, &three}) {
    add_server(*state, "l1");
    assign(*state, "", "l1", "log");
  }
  for (const char* type : {"iq", "message", "presence", "subscription", "", "unheard-of"}) {
    EXPECT_EQ(text_of(table_of(all)->routes("n1", "es_OUT", type)), "log:l1") << type;
    EXPECT_EQ(text_of(table_of(specific)->routes("n1", "es_OUT", type)), "log:l1") << type;
  }
  EXPECT_EQ(text_of(table_of(three)->routes("n1", "es_OUT", "")), "");
  EXPECT_EQ(text_of(table_of(three)->routes("n1", "es_OUT", "subscription")), "");
}

TEST(RoutingTable, HandlingAndFireAndForgetAreThoseOfTheMatchingEntry_C023_C024) {
  v1::ComplianceState state;
  Profile profile = profile_of("log", {{"es_OUT", "message"}, {"es_OUT", "iq"}, {"e_SESSION", ""}});
  profile.mutable_events(1)->set_fire_and_forget(true);
  profile.mutable_events(1)->set_handling(Profile::HANDLING_PASS);
  *state.add_profiles() = profile;
  add_server(state, "l1");
  assign(state, "", "l1", "log");
  const auto table = table_of(state);
  const Route message = table->routes("n1", "es_OUT", "message").at(0);
  EXPECT_FALSE(message.is_fire_and_forget);
  EXPECT_EQ(message.handling, Profile::HANDLING_BOUNCE);
  const Route iq = table->routes("n1", "es_OUT", "iq").at(0);
  EXPECT_TRUE(iq.is_fire_and_forget);
  EXPECT_EQ(iq.handling, Profile::HANDLING_PASS);
  EXPECT_EQ(table->routes("n1", "e_SESSION", "").at(0).handling, Profile::HANDLING_PASS);
}

TEST(RoutingTable, WhatNoneOfFourTypesNamesIsAsStrictAsTheStrictestOfThem) {
  v1::ComplianceState state;
  Profile profile = profile_of("log", {{"es_OUT", "iq"},
                                       {"es_OUT", "message"},
                                       {"es_OUT", "presence"},
                                       {"es_OUT", "subscription"}});
  for (auto& entry : *profile.mutable_events()) {
    entry.set_fire_and_forget(true);
    entry.set_handling(Profile::HANDLING_PASS);
  }
  profile.mutable_events(2)->set_fire_and_forget(false);
  profile.mutable_events(3)->set_handling(Profile::HANDLING_BOUNCE);
  *state.add_profiles() = profile;
  add_server(state, "l1");
  assign(state, "", "l1", "log");
  const Route rest = table_of(state)->routes("n1", "es_OUT", "").at(0);
  EXPECT_FALSE(rest.is_fire_and_forget);
  EXPECT_EQ(rest.handling, Profile::HANDLING_BOUNCE);
}

TEST(RoutingTable, NodeBasedOnlyEventsOfTheAttachedNodeAreRouted_C076_C078) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}});
  for (const char* name : {"l1", "l2"}) add_server(state, name);
  assign(state, "n1.example", "l1", "log");
  EXPECT_EQ(text_of(table_of(state)->routes("n1.example", "es_OUT", "message")), "log:l1");
  EXPECT_EQ(text_of(table_of(state)->routes("n2.example", "es_OUT", "message")), "");
  state.set_is_cluster_wide(true);
  EXPECT_EQ(text_of(table_of(state)->routes("n2.example", "es_OUT", "message")), "log:l1");
}

TEST(RoutingTable, ClusterWideEveryServerOfTheProfileSharesTheEventsOfEveryNode_C074_C079_C080) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}});
  for (const char* name : {"l1", "l2"}) add_server(state, name);
  assign(state, "n1.example", "l1", "log");
  assign(state, "n2.example", "l2", "log");
  EXPECT_EQ(text_of(table_of(state)->routes("n1.example", "es_OUT", "message")), "log:l1");
  EXPECT_EQ(text_of(table_of(state)->routes("n2.example", "es_OUT", "message")), "log:l2");
  state.set_is_cluster_wide(true);
  for (const char* node : {"n1.example", "n2.example", "n3.example", ""}) {
    EXPECT_EQ(text_of(table_of(state)->routes(node, "es_OUT", "message")), "log:l1,l2") << node;
  }
}

TEST(RoutingTable, OneServerOnTwoNodesStandsOnceInARoute) {
  v1::ComplianceState state;
  state.set_is_cluster_wide(true);
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}});
  add_server(state, "l1");
  assign(state, "n1.example", "l1", "log");
  assign(state, "n2.example", "l1", "log");
  EXPECT_EQ(text_of(table_of(state)->routes("n1.example", "es_OUT", "message")), "log:l1");
}

TEST(RoutingTable, AWrongStateIsRefusedWithWhatIsWrong) {
  v1::ComplianceState state;
  *state.add_profiles() = profile_of("log", {{"es_OUT", "message"}});
  assign(state, "", "nobody", "log");
  EXPECT_EQ(refusal_of(state), "an assignment names server \"nobody\", which is not there");
  add_server(state, "nobody");
  state.mutable_assignments(0)->set_profile("none");
  EXPECT_EQ(refusal_of(state), "an assignment names profile \"none\", which is not there");
  state.mutable_assignments(0)->set_profile("log");
  EXPECT_TRUE(RoutingTable::create(state));
  *state.add_profiles() = profile_of("log", {});
  EXPECT_EQ(refusal_of(state), "profile log is there twice");
}

}  // namespace
}  // namespace verbatim::collector
