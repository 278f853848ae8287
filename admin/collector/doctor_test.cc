#include "admin/collector/doctor.h"

#include <gtest/gtest.h>

#include <string>

#include "admin/status_report.h"

namespace verbatim::admin {
namespace {

using Finding = v1::DoctorFinding;
using Link = v1::SourceInfo;

v1::SourceInfo node(Link::LinkState state, const std::string& reason = "") {
  v1::SourceInfo source;
  source.set_name("node1");
  source.set_protocol("xcp");
  source.set_listen("127.0.0.1:7999");
  source.set_state(state);
  source.set_reason(reason);
  return source;
}

v1::ServerInfo plugin(Link::LinkState state) {
  v1::ServerInfo server;
  server.set_server("wall");
  server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  server.set_profile("ethical");
  server.set_state(state);
  return server;
}

DoctorInput healthy() {
  DoctorInput input;
  for (const char* name : {"queue", "collector", "processor"}) {
    v1::ServiceState service;
    service.set_service(name);
    service.set_is_up(true);
    input.services.push_back(service);
  }
  input.sources.emplace();
  input.sources->set_is_queue_connected(true);
  *input.sources->add_sources() = node(Link::LINK_STATE_ACTIVE);
  input.servers.emplace();
  *input.servers->add_servers() = plugin(Link::LINK_STATE_ACTIVE);
  input.compliance.emplace();
  input.compliance->set_is_cluster_wide(true);
  input.compliance->add_assignments();
  return input;
}

// What is wrong, one line each.
std::string wrongs_of(const DoctorInput& input) {
  std::string text;
  const v1::DoctorReport report = diagnose(input);
  for (const auto& finding : report.findings()) {
    if (finding.state() != Finding::STATE_WRONG) continue;
    EXPECT_FALSE(finding.remedy().empty()) << finding.subject();
    text += finding.subject() + ": " + finding.what() + "\n";
  }
  return text;
}

TEST(Doctor, WhereAllIsWellEachThingIsNamedAndTheExitCodeIsZero_C090) {
  const v1::DoctorReport report = diagnose(healthy());
  EXPECT_EQ(report.exit_code(), kExitOk);
  EXPECT_EQ(report.findings_size(), 5);
  for (const auto& finding : report.findings()) {
    EXPECT_EQ(finding.state(), Finding::STATE_WELL) << finding.subject();
  }
}

TEST(Doctor, TheStatesOfALinkAreToldApart_C090) {
  DoctorInput input = healthy();
  *input.sources->mutable_sources(0) =
      node(Link::LINK_STATE_CONNECTED, "wrong digest from 127.0.0.1");
  EXPECT_EQ(
      wrongs_of(input),
      "source node1: the node's link is CONNECTED, not ACTIVE (wrong digest from 127.0.0.1)\n");
  EXPECT_EQ(diagnose(input).exit_code(), kExitAttention);
  *input.sources->mutable_sources(0) = node(Link::LINK_STATE_GONE);
  EXPECT_EQ(
      wrongs_of(input),
      "source node1: the node's link is GONE: nothing is captured, and the node blocks messages "
      "and rooms\n");
}

TEST(Doctor, AServerThatIsAwayOrSuspendedIsNamedAsTheCauseOfBlockedMessages_C091) {
  DoctorInput input = healthy();
  *input.servers->mutable_servers(0) = plugin(Link::LINK_STATE_GONE);
  input.servers->mutable_servers(0)->set_reason("no plugin has attached");
  EXPECT_EQ(
      wrongs_of(input),
      "server wall: is GONE (no plugin has attached): messages, rooms and invitations of profile "
      "ethical are answered with an error, whatever its handling; logins, logouts and presence go "
      "on\n");
  *input.servers->mutable_servers(0) = plugin(Link::LINK_STATE_ACTIVE);
  input.servers->mutable_servers(0)->set_is_suspended(true);
  EXPECT_NE(wrongs_of(input).find("is suspended after too many timeouts"), std::string::npos);
}

TEST(Doctor, WhereOtherServersHaveTheProfileTheyTakeTheShareOfOneThatIsAway) {
  DoctorInput input = healthy();
  *input.servers->mutable_servers(0) = plugin(Link::LINK_STATE_GONE);
  *input.servers->add_servers() = plugin(Link::LINK_STATE_ACTIVE);
  const std::string said = "after collector.policies.outage_hold_ms";
  // The same server for another node is no other.
  EXPECT_EQ(wrongs_of(input).find(said), std::string::npos);
  input.servers->mutable_servers(1)->set_server("wall2");
  EXPECT_NE(wrongs_of(input).find(said), std::string::npos);
  // Node by node there is one server for each node.
  input.compliance->set_is_cluster_wide(false);
  EXPECT_EQ(wrongs_of(input).find(said), std::string::npos);
}

TEST(Doctor, AServerThatAnswersSlowlyButInTimeIsNoted_C091) {
  DoctorInput input = healthy();
  input.servers->mutable_servers(0)->set_recent_latency_us(999'999);
  EXPECT_EQ(diagnose(input).findings(0).state(), Finding::STATE_WELL);
  input.servers->mutable_servers(0)->set_recent_latency_us(15'000'000);
  const v1::DoctorReport report = diagnose(input);
  EXPECT_EQ(report.exit_code(), kExitOk);
  EXPECT_EQ(report.findings(0).state(), Finding::STATE_NOTE);
  EXPECT_EQ(report.findings(0).subject(), "server wall");
  EXPECT_EQ(report.findings(0).what(),
            "is slow: half of its latest answers took 15.0 s or more, and whatever it is asked "
            "about waits for them: logins, messages, rooms");
}

TEST(Doctor, SlowServersAreNotedWithTheirTimeouts_C091) {
  DoctorInput input = healthy();
  input.servers->mutable_servers(0)->set_timeout_count(3);
  const v1::DoctorReport report = diagnose(input);
  EXPECT_EQ(report.exit_code(), kExitOk);
  EXPECT_EQ(report.findings(0).state(), Finding::STATE_NOTE);
  EXPECT_EQ(report.findings(0).what(), "3 timeouts and 0 forbidden answers since the start");
}

TEST(Doctor, AServerWithoutAProfileIsNoFault_C034) {
  DoctorInput input = healthy();
  input.servers->mutable_servers(0)->clear_profile();
  input.servers->mutable_servers(0)->set_state(Link::LINK_STATE_GONE);
  EXPECT_EQ(wrongs_of(input), "");
  EXPECT_EQ(diagnose(input).exit_code(), kExitOk);
}

TEST(Doctor, AServiceThatDoesNotAnswerIsExitCodeThreeAndTheRestIsStillJudged) {
  DoctorInput input = healthy();
  input.services[0].set_is_up(false);
  input.services[0].set_address("127.0.0.1:1");
  input.sources->set_is_queue_connected(false);
  EXPECT_EQ(wrongs_of(input),
            "service queue: does not answer at 127.0.0.1:1\n"
            "collector to queue: the queue does not answer: messages are answered with an error\n");
  EXPECT_EQ(diagnose(input).exit_code(), kExitServiceDown);
}

TEST(Doctor, AlarmsAreToldOnceThoseOfLinksByTheLinks) {
  DoctorInput input = healthy();
  for (const char* name :
       {"XcpThirdPartyComplianceConnectError", "policy-suspended", "disk-full"}) {
    v1::Alarm alarm;
    alarm.set_service("queue");
    alarm.set_name(name);
    alarm.set_subject("it");
    alarm.set_text("why");
    input.alarms.push_back(alarm);
  }
  EXPECT_EQ(wrongs_of(input), "alarm disk-full it: why\n");
}

TEST(Doctor, AnAssignedProfileWithoutEventsIsWrong) {
  DoctorInput input = healthy();
  input.compliance->add_profiles()->set_name("empty");
  EXPECT_EQ(wrongs_of(input), "");
  input.compliance->mutable_assignments(0)->set_profile("empty");
  EXPECT_EQ(wrongs_of(input),
            "profile empty: is assigned and has no events: its servers are sent nothing\n");
}

}  // namespace
}  // namespace verbatim::admin
