#include "collector/ops/conditions.h"

#include <gtest/gtest.h>

#include <string>

namespace verbatim::collector {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1'000 * kSecond;

CollectorPicture picture_of(v1::ComplianceState state = {}) {
  CollectorPicture picture;
  picture.now_unix_ns = kNow;
  picture.routing = RoutingTable::create(std::move(state)).value();
  return picture;
}

v1::SourceInfo& add_source(CollectorPicture& picture, v1::SourceInfo::LinkState state,
                           int64_t since_unix_ns) {
  v1::SourceInfo& source = *picture.sources.add_sources();
  source.set_name("node1");
  source.set_protocol("xcp");
  source.set_state(state);
  source.set_since_unix_ns(since_unix_ns);
  return source;
}

v1::ServerInfo& add_server(CollectorPicture& picture, const std::string& name,
                           v1::SourceInfo::LinkState state) {
  v1::ServerInfo& server = *picture.servers.add_servers();
  server.set_server(name);
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  server.set_profile("wall");
  server.set_state(state);
  return server;
}

// "name subject" of each, one a line.
std::string text_of(const CollectorPicture& picture) {
  std::string text;
  for (const auto& one : conditions_of(picture)) text += one.name + " " + one.subject + "\n";
  return text;
}

TEST(Conditions, AnIdleCollectorHasNoAlarm) { EXPECT_EQ(text_of(picture_of()), ""); }

TEST(Conditions, ALostLinkOfANodeIsTheGuidesAlarmUntilItIsActiveAgain_C088) {
  CollectorPicture picture = picture_of();
  v1::SourceInfo& source = add_source(picture, v1::SourceInfo::LINK_STATE_GONE, kNow - 5 * kSecond);
  EXPECT_EQ(text_of(picture), "XcpThirdPartyComplianceConnectError source node1\n");
  // Connected is not enough: the password or the component name is wrong.
  source.set_state(v1::SourceInfo::LINK_STATE_CONNECTED);
  source.set_reason("wrong digest from 127.0.0.1");
  EXPECT_EQ(text_of(picture), "XcpThirdPartyComplianceConnectError source node1\n");
  EXPECT_NE(conditions_of(picture).at(0).text.find("wrong digest from 127.0.0.1"),
            std::string::npos);
  source.set_state(v1::SourceInfo::LINK_STATE_ACTIVE);
  EXPECT_EQ(text_of(picture), "");
}

TEST(Conditions, ALinkThatComesBackWithinTheGraceIsNoAlarm) {
  CollectorPicture picture = picture_of();
  v1::SourceInfo& source =
      add_source(picture, v1::SourceInfo::LINK_STATE_GONE, kNow - 5 * kSecond + 1);
  EXPECT_EQ(text_of(picture), "");
  source.set_since_unix_ns(kNow - 5 * kSecond);
  EXPECT_NE(text_of(picture), "");
  // A producer is not meant to be there all the time.
  source.set_protocol("grpc");
  EXPECT_EQ(text_of(picture), "");
}

TEST(Conditions, AnAssignedServerThatIsAwayIsAnAlarmAndOneWithoutAProfileIsNot_C034_C088) {
  CollectorPicture picture = picture_of();
  v1::ServerInfo& server = add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE);
  server.set_reason("no plugin has attached");
  EXPECT_EQ(text_of(picture), "XcpThirdPartyComplianceConnectError server wall\n");
  EXPECT_NE(conditions_of(picture).at(0).text.find("no plugin has attached"), std::string::npos);
  server.clear_profile();
  EXPECT_EQ(text_of(picture), "");
}

TEST(Conditions, RowsOfOnePluginAreOneAlarmAndLinksOfTwoNodesAreTwo) {
  CollectorPicture picture = picture_of();
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE).set_node("n1");
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE).set_node("n2");
  EXPECT_EQ(text_of(picture), "XcpThirdPartyComplianceConnectError server wall\n");
  for (auto& server : *picture.servers.mutable_servers()) {
    server.set_kind(v1::ComplianceServer::KIND_LINK);
  }
  EXPECT_EQ(text_of(picture),
            "XcpThirdPartyComplianceConnectError server wall for n1\n"
            "XcpThirdPartyComplianceConnectError server wall for n2\n");
}

TEST(Conditions, ASuspendedPolicyIsAnAlarmThoughItsLinkIsThere) {
  CollectorPicture picture = picture_of();
  // A suspended one that is attached is CONNECTED to the chain.
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_CONNECTED).set_is_suspended(true);
  EXPECT_EQ(text_of(picture), "policy-suspended server wall\n");
}

TEST(Conditions, AServerThatIsAwayIsNamedWithAllOfItsProfiles) {
  CollectorPicture picture = picture_of();
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE);
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE).set_node("n2");
  add_server(picture, "wall", v1::SourceInfo::LINK_STATE_GONE).set_profile("rooms");
  const auto found = conditions_of(picture);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].text.find("it has profiles wall, rooms and is not there"), std::string::npos)
      << found[0].text;
}

TEST(Conditions, BounceWithFireAndForgetOfAnAssignedProfileStaysAnAlarm_C041) {
  v1::ComplianceState state;
  v1::ComplianceProfile& profile = *state.add_profiles();
  profile.set_name("log");
  profile.add_events()->set_event("es_OUT");
  profile.mutable_events(0)->set_packet_type("message");
  profile.mutable_events(0)->set_fire_and_forget(true);
  EXPECT_EQ(text_of(picture_of(state)), "");
  v1::ComplianceServer& server = *state.add_servers();
  server.set_name("s");
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  v1::ComplianceAssignment& assignment = *state.add_assignments();
  assignment.set_server("s");
  assignment.set_profile("log");
  const auto conditions = conditions_of(picture_of(state));
  ASSERT_EQ(conditions.size(), 1U);
  EXPECT_EQ(conditions[0].name, "bounce-fire-and-forget");
  EXPECT_NE(conditions[0].text.find("es_OUT:message"), std::string::npos);
  state.mutable_profiles(0)->mutable_events(0)->set_handling(v1::ComplianceProfile::HANDLING_PASS);
  EXPECT_EQ(text_of(picture_of(state)), "");
}

TEST(Conditions, ADirectoryThatFailsForLongerThanTheGraceIsAnAlarmUntilItAnswers) {
  CollectorPicture picture = picture_of();
  v1::DirectoryInfo& directory = *picture.sources.mutable_directory();
  directory.set_problem("no answer");
  directory.set_problem_since_unix_ns(kNow - 5 * kSecond + 1);
  EXPECT_EQ(text_of(picture), "");
  directory.set_problem_since_unix_ns(kNow - 5 * kSecond);
  EXPECT_EQ(text_of(picture), "directory-failed directory\n");
  EXPECT_NE(conditions_of(picture).at(0).text.find("no answer"), std::string::npos);
  directory.clear_problem();
  EXPECT_EQ(text_of(picture), "");
}

TEST(Conditions, WhatFillsUpIsToldAtNineTenths) {
  CollectorPicture picture = picture_of();
  picture.outbox_max_bytes = 1'000;
  picture.waiting_max_bytes = 1'000;
  picture.sources.mutable_outbox()->set_bytes(899);
  picture.servers.set_waiting_bytes(899);
  picture.queue_gone_ms = kLinkGraceMs - 1;
  EXPECT_EQ(text_of(picture), "");
  picture.sources.mutable_outbox()->set_bytes(900);
  picture.servers.set_waiting_bytes(900);
  picture.queue_gone_ms = kLinkGraceMs;
  EXPECT_EQ(text_of(picture), "queue-gone queue\noutbox-full outbox\npolicies-full policies\n");
}

}  // namespace
}  // namespace verbatim::collector
