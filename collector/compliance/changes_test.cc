#include "collector/compliance/changes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "collector/broker/profile.h"
#include "collector/compliance/routing_table.h"
#include "collector/compliance/state_rules.h"
#include "collector/compliance/system_default.h"

namespace verbatim::collector {
namespace {

using Profile = v1::ComplianceProfile;
using Request = v1::ChangeComplianceRequest;

// "es_OUT:message" and "onLeave".
void add_event(Profile& profile, const std::string& text) {
  auto& entry = *profile.add_events();
  const size_t colon = text.find(':');
  entry.set_event(text.substr(0, colon));
  if (colon != std::string::npos) entry.set_packet_type(text.substr(colon + 1));
}

Request set_profile(const std::string& name, const std::vector<std::string>& events) {
  Request request;
  request.mutable_set_profile()->set_name(name);
  for (const auto& event : events) add_event(*request.mutable_set_profile(), event);
  return request;
}

Request set_server(const std::string& name) {
  Request request;
  request.mutable_set_server()->set_name(name);
  request.mutable_set_server()->set_kind(v1::ComplianceServer::KIND_PLUGIN);
  return request;
}

v1::ComplianceAssignment assignment(const std::string& node, const std::string& server,
                                    const std::string& profile) {
  v1::ComplianceAssignment one;
  one.set_node(node);
  one.set_server(server);
  one.set_profile(profile);
  return one;
}

Request assign(const std::string& node, const std::string& server, const std::string& profile) {
  Request request;
  *request.mutable_assign() = assignment(node, server, profile);
  return request;
}

Request unassign(const std::string& node, const std::string& server, const std::string& profile) {
  Request request;
  *request.mutable_unassign() = assignment(node, server, profile);
  return request;
}

Request rename(const std::string& name, const std::string& new_name) {
  Request request;
  request.mutable_rename_profile()->set_name(name);
  request.mutable_rename_profile()->set_new_name(new_name);
  return request;
}

Request delete_profile(const std::string& name) {
  Request request;
  request.set_delete_profile(name);
  return request;
}

Request set_priority(const std::vector<std::string>& names) {
  Request request;
  for (const auto& name : names) request.mutable_set_priority()->add_profiles(name);
  return request;
}

Request enable_cluster() {
  Request request;
  request.set_enable_cluster_wide(true);
  return request;
}

// A state, changed step by step.
class Changes : public ::testing::Test {
 protected:
  void make(const Request& request) {
    auto change = apply_change(state_, request);
    ASSERT_TRUE(change) << change.error().to_string();
    state_ = change->state;
    warnings_ = change->warnings;
  }
  StatusCode refusal(const Request& request) {
    const Status error = apply_change(state_, request).error();
    message_ = error.message();
    return error.code();
  }
  std::vector<std::string> order() const {
    std::vector<std::string> names;
    for (const auto& profile : state_.profiles()) names.push_back(profile.name());
    return names;
  }

  v1::ComplianceState state_ = initial_compliance(true);
  std::vector<std::string> warnings_;
  std::string message_;
};

using Names = std::vector<std::string>;
const std::string kDefault = kSystemDefaultProfile;

TEST(SystemDefault, HasExactlyTheNineEventsAllOfWhichAreAwaited_C026_C028) {
  const Profile profile = system_default_profile();
  EXPECT_EQ(profile.events_size(), 9);
  for (const auto& entry : profile.events()) EXPECT_FALSE(entry.fire_and_forget());
  v1::ComplianceState state = initial_compliance(true);
  state.add_servers()->set_name("s");
  state.mutable_servers(0)->set_kind(v1::ComplianceServer::KIND_PLUGIN);
  *state.add_assignments() = assignment("", "s", kDefault);
  const auto table = RoutingTable::create(state).value();
  // The profile of the archive has the same nine.
  const auto archive = collector::Profile::create("system-default").value();
  for (const char* event :
       {"e_AUTH", "e_REGISTER", "e_SESSION", "es_END", "es_OUT", "es_IN", "e_DELIVER", "e_OFFLINE",
        "e_SERVER", "e_STATS", "onBeforeInvite", "onAfterInvite", "onBeforeJoin", "onAfterJoin",
        "onBeforeRoomCreate", "onBeforeSend", "onBeforeBroadcast", "onLeave", "onDestroy"}) {
    for (const char* type : {"message", "presence", "iq", "subscription"}) {
      EXPECT_EQ(table->routes("n", event, type).size(), archive.has(event, type) ? 1U : 0U)
          << event << " " << type;
    }
  }
}

TEST(SystemDefault, InAndOutOfPresenceAndIqAreNotSentUnderIt_C030) {
  v1::ComplianceState state = initial_compliance(true);
  state.add_servers()->set_name("s");
  state.mutable_servers(0)->set_kind(v1::ComplianceServer::KIND_PLUGIN);
  *state.add_assignments() = assignment("", "s", kDefault);
  const auto table = RoutingTable::create(state).value();
  for (const char* event : {"es_IN", "es_OUT"}) {
    EXPECT_EQ(table->routes("n", event, "message").size(), 1U);
    for (const char* type : {"iq", "presence", "subscription"}) {
      EXPECT_TRUE(table->routes("n", event, type).empty()) << event << " " << type;
    }
  }
}

TEST_F(Changes, TheDefaultProfileIsThereAndTheOnlyChoiceUntilAnotherIsMade_C025_C029) {
  EXPECT_EQ(order(), Names{kDefault});
  make(set_server("s"));
  EXPECT_EQ(refusal(assign("", "s", "wall")), StatusCode::kNotFound);
  make(assign("", "s", kDefault));
  EXPECT_EQ(initial_compliance(false).profiles(0).name(), kDefault);
}

TEST_F(Changes, TheDefaultProfileCannotBeChangedRenamedOrDeletedButAssigned_C027) {
  EXPECT_EQ(refusal(set_profile(kDefault, {"onLeave"})), StatusCode::kFailedPrecondition);
  EXPECT_EQ(refusal(rename(kDefault, "mine")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(refusal(delete_profile(kDefault)), StatusCode::kFailedPrecondition);
  EXPECT_EQ(message_,
            "SystemDefaultComplianceProfile cannot be changed or deleted; it can be assigned and "
            "unassigned");
  make(set_profile("wall", {"onLeave"}));
  EXPECT_EQ(refusal(rename("wall", kDefault)), StatusCode::kAlreadyExists);
  make(set_server("s"));
  make(assign("", "s", kDefault));
  make(unassign("", "s", kDefault));
  EXPECT_TRUE(is_system_default(state_.profiles(0)));
}

TEST_F(Changes, ANewProfileStandsLastInPriorityAndAChangedOneStays_C032) {
  make(set_profile("wall", {"es_OUT:message"}));
  make(set_profile("log", {"es_OUT:message"}));
  EXPECT_EQ(order(), (Names{kDefault, "wall", "log"}));
  make(set_profile("wall", {"es_IN:message"}));
  EXPECT_EQ(order(), (Names{kDefault, "wall", "log"}));
  EXPECT_EQ(state_.profiles(1).events(0).event(), "es_IN");
  make(set_priority({"log", "wall", kDefault}));
  EXPECT_EQ(order(), (Names{"log", "wall", kDefault}));
}

TEST_F(Changes, AnOrderNamesEveryProfileOnce) {
  make(set_profile("wall", {}));
  EXPECT_EQ(refusal(set_priority({"wall"})), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(set_priority({"wall", "wall", kDefault})), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(set_priority({"wall", kDefault, "none"})), StatusCode::kNotFound);
  EXPECT_EQ(order(), (Names{kDefault, "wall"}));
}

TEST_F(Changes, AProfilesNameIsAlphanumeric_C015) {
  EXPECT_EQ(refusal(set_profile("a wall", {})), StatusCode::kInvalidArgument);
  make(set_profile("wall", {}));
  EXPECT_EQ(refusal(rename("wall", "a wall")), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(rename("none", "wall2")), StatusCode::kNotFound);
}

TEST_F(Changes, AnAssignedProfileCannotBeRenamedOrDeleted_C016) {
  make(set_profile("wall", {"onBeforeSend"}));
  make(set_server("s"));
  make(assign("n1", "s", "wall"));
  EXPECT_EQ(refusal(rename("wall", "wall2")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(message_,
            "profile wall cannot be renamed while it is assigned (to s on node n1): unassign it "
            "first");
  EXPECT_EQ(refusal(delete_profile("wall")), StatusCode::kFailedPrecondition);
  make(unassign("n1", "s", "wall"));
  make(rename("wall", "wall2"));
  EXPECT_EQ(order(), (Names{kDefault, "wall2"}));
  make(delete_profile("wall2"));
  EXPECT_EQ(refusal(delete_profile("wall2")), StatusCode::kNotFound);
}

TEST_F(Changes, OneProfileIsAssignedToSeveralServersAndOneServerHasSeveralProfiles_C033_C034) {
  make(set_profile("wall", {"onBeforeSend"}));
  for (const char* name : {"s1", "s2"}) make(set_server(name));
  make(assign("n1", "s1", "wall"));
  make(assign("n1", "s2", "wall"));
  make(assign("n1", "s2", kDefault));
  EXPECT_EQ(refusal(assign("n1", "s2", "wall")), StatusCode::kAlreadyExists);
  EXPECT_EQ(refusal(assign("n1", "s3", "wall")), StatusCode::kNotFound);
  EXPECT_EQ(refusal(assign("n 1", "s2", "wall")), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(unassign("n2", "s2", "wall")), StatusCode::kNotFound);
  EXPECT_EQ(state_.assignments_size(), 3);
}

TEST_F(Changes, NotEveryNodeNeedsAServerAndANodeMayHaveSeveral_C075) {
  make(set_profile("wall", {"onBeforeSend"}));
  for (const char* name : {"s1", "s2"}) make(set_server(name));
  make(assign("n1", "s1", "wall"));
  make(assign("n1", "s2", "wall"));
  const auto table = RoutingTable::create(state_).value();
  EXPECT_EQ(table->routes("n1", "onBeforeSend", "").at(0).servers, (Names{"s1", "s2"}));
  EXPECT_EQ(table->routes("n2", "onBeforeSend", "").at(0).servers, (Names{"s1", "s2"}));
}

TEST_F(Changes, AnAssignedServerCannotBeDeleted_C092) {
  make(set_profile("wall", {"onBeforeSend"}));
  make(set_server("s"));
  make(assign("", "s", "wall"));
  Request request;
  request.set_delete_server("s");
  EXPECT_EQ(refusal(request), StatusCode::kFailedPrecondition);
  EXPECT_EQ(message_, "server s has profile wall on all nodes: unassign it first");
  make(unassign("", "s", "wall"));
  make(request);
  EXPECT_EQ(refusal(request), StatusCode::kNotFound);
  // The unused custom profile may go, too.
  make(delete_profile("wall"));
}

TEST_F(Changes, SavingAnEditedServerOverwritesItsEarlierSettings_C013) {
  Request request;
  auto& server = *request.mutable_set_server();
  server.set_name("legacy");
  server.set_kind(v1::ComplianceServer::KIND_LINK);
  server.set_host("cs1");
  server.set_port(7999);
  server.set_secret_file("/s");
  server.set_description("the old one");
  make(request);
  EXPECT_TRUE(warnings_.empty());
  server.set_host("cs2");
  server.clear_description();
  make(request);
  EXPECT_EQ(state_.servers_size(), 1);
  EXPECT_EQ(state_.servers(0).host(), "cs2");
  EXPECT_EQ(state_.servers(0).description(), "");
  EXPECT_EQ(warnings_, (Names{"the earlier settings of server legacy are overwritten"}));
  make(assign("", "legacy", kDefault));
  EXPECT_EQ(refusal(set_server("legacy")), StatusCode::kFailedPrecondition);
}

TEST_F(Changes, BounceWithFireAndForgetIsDoneAndLoudlyWarnedOf_C041) {
  Request request = set_profile("log", {"es_OUT:message", "onLeave"});
  request.mutable_set_profile()->mutable_events(0)->set_fire_and_forget(true);
  make(request);
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_TRUE(
      warnings_[0].starts_with("DANGER: es_OUT:message of profile log is bounce and "
                               "fire-and-forget"));
  make(set_server("s"));
  make(assign("", "s", "log"));
  EXPECT_EQ(warnings_.size(), 1U);
  request.mutable_set_profile()->mutable_events(0)->set_handling(Profile::HANDLING_PASS);
  make(request);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Changes, WhatTheRequestDoesNotSayGetsItsDefault_C023_C024) {
  make(set_profile("log", {"es_OUT:message", "e_SESSION"}));
  EXPECT_EQ(state_.profiles(1).events(0).handling(), Profile::HANDLING_BOUNCE);
  EXPECT_EQ(state_.profiles(1).events(1).handling(), Profile::HANDLING_PASS);
  EXPECT_FALSE(state_.profiles(1).events(0).fire_and_forget());
}

TEST_F(Changes, NodeBasedANodeHasOneServerAndOnlyTheDefaultProfile_C076) {
  state_ = initial_compliance(false);
  make(set_profile("wall", {"onBeforeSend"}));
  for (const char* name : {"s1", "s2"}) make(set_server(name));
  EXPECT_EQ(refusal(assign("n1", "s1", "wall")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(message_,
            "this collector is node-based, where only SystemDefaultComplianceProfile can be "
            "assigned, not wall; verbatimctl cluster enable ends node-based mode, for ever");
  make(assign("n1", "s1", kDefault));
  EXPECT_EQ(refusal(assign("n1", "s2", kDefault)), StatusCode::kFailedPrecondition);
  EXPECT_EQ(refusal(assign("", "s2", kDefault)), StatusCode::kFailedPrecondition);
  make(assign("n2", "s2", kDefault));
}

TEST_F(Changes, EnablingForAllNodesRenamesTheComponentsAndIsIrreversible_C010_C077) {
  state_ = initial_compliance(false);
  make(set_server("s1"));
  make(assign("n1.example", "s1", kDefault));
  EXPECT_EQ(state_.assignments(0).component(), "op-s1.n1-example");
  make(enable_cluster());
  EXPECT_TRUE(state_.is_cluster_wide());
  EXPECT_EQ(state_.assignments(0).component(), "opc-s1.n1-example");
  EXPECT_EQ(warnings_, (Names{"component op-s1.n1-example is now opc-s1.n1-example: server s1 must "
                              "be told"}));
  Request back;
  back.set_enable_cluster_wide(false);
  EXPECT_EQ(refusal(back), StatusCode::kFailedPrecondition);
  Request import;
  *import.mutable_import() = initial_compliance(false);
  make(import);
  EXPECT_TRUE(state_.is_cluster_wide());
  make(enable_cluster());
  EXPECT_EQ(warnings_, (Names{"this collector is cluster-wide already: nothing has changed"}));
}

// The guide's upgrade scenarios: two nodes with one server, with two, and a third node.
TEST_F(Changes, AfterTheSwitchTheServersOfAllNodesShareTheEventsOfAllNodes_C078_C079_C080) {
  state_ = initial_compliance(false);
  for (const char* name : {"s1", "s2"}) make(set_server(name));
  make(assign("n1", "s1", kDefault));
  const auto servers = [this](const char* node) {
    const auto routes = RoutingTable::create(state_).value()->routes(node, "onLeave", "");
    return routes.empty() ? Names{} : routes.at(0).servers;
  };
  EXPECT_EQ(servers("n1"), Names{"s1"});
  EXPECT_EQ(servers("n2"), Names{});
  const v1::ComplianceState one_server = state_;
  make(enable_cluster());
  EXPECT_EQ(servers("n2"), Names{"s1"});
  state_ = one_server;
  make(assign("n2", "s2", kDefault));
  EXPECT_EQ(servers("n2"), Names{"s2"});
  make(enable_cluster());
  for (const char* node : {"n1", "n2", "n3"}) EXPECT_EQ(servers(node), (Names{"s1", "s2"})) << node;
}

TEST_F(Changes, AnotherRevisionThanTheExpectedOneIsRefused) {
  make(set_profile("wall", {}));
  Request request = delete_profile("wall");
  request.set_expected_revision(state_.revision() + 1);
  EXPECT_EQ(refusal(request), StatusCode::kAborted);
  request.set_expected_revision(state_.revision());
  const uint64_t before = state_.revision();
  make(request);
  EXPECT_EQ(state_.revision(), before + 1);
}

TEST_F(Changes, AnExportComesBackWhole) {
  make(set_profile("wall", {"onBeforeSend"}));
  make(set_profile("log", {"es_OUT:all"}));
  make(set_priority({"log", kDefault, "wall"}));
  make(set_server("s"));
  make(assign("n1", "s", "wall"));
  const v1::ComplianceState exported = state_;
  state_ = initial_compliance(true);
  make(set_profile("other", {}));
  Request request;
  *request.mutable_import() = exported;
  make(request);
  v1::ComplianceState expected = exported;
  expected.set_revision(state_.revision());
  EXPECT_EQ(state_.SerializeAsString(), expected.SerializeAsString());
  EXPECT_EQ(state_.revision(), 2U);
}

TEST_F(Changes, AnImportIsRefusedWholeWhereAnyOfItBreaksARule) {
  Request request;
  *request.mutable_import() = initial_compliance(true);
  request.mutable_import()->set_version(kComplianceVersion + 1);
  EXPECT_EQ(refusal(request), StatusCode::kInvalidArgument);
  EXPECT_EQ(message_,
            "the file is of version 2, which is newer than this program: it reads version 1");
  request.mutable_import()->set_version(0);
  EXPECT_EQ(refusal(request), StatusCode::kInvalidArgument);
  request.mutable_import()->set_version(1);
  request.mutable_import()->mutable_profiles(0)->mutable_events()->RemoveLast();
  EXPECT_EQ(refusal(request), StatusCode::kFailedPrecondition);
  *request.mutable_import() = initial_compliance(true);
  *request.mutable_import()->add_assignments() = assignment("", "nobody", kDefault);
  EXPECT_EQ(refusal(request), StatusCode::kInvalidArgument);
  request.mutable_import()->clear_assignments();
  request.mutable_import()->clear_profiles();
  request.mutable_import()->add_profiles()->set_name("mine");
  make(request);
  EXPECT_EQ(order(), (Names{kDefault, "mine"}));
}

TEST_F(Changes, TwoNodesWhoseComponentsWouldHaveOneNameAreRefused) {
  make(set_server("s"));
  make(assign("a.b", "s", kDefault));
  EXPECT_EQ(refusal(assign("a-b", "s", kDefault)), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      message_,
      "the component name opc-s.a-b would stand for two: give one of the servers another name");
}

TEST_F(Changes, ARequestWithoutAChangeIsRefused) {
  EXPECT_EQ(refusal(Request()), StatusCode::kInvalidArgument);
}

TEST(DescribeChange, SaysWhatTheAuditLogNeedsAndFitsIt) {
  Request request = set_profile("log", {"es_OUT:message", "onLeave"});
  request.mutable_set_profile()->mutable_events(0)->set_fire_and_forget(true);
  request.mutable_set_profile()->mutable_events(0)->set_handling(Profile::HANDLING_PASS);
  const ChangeDescription text = describe_change({}, request);
  EXPECT_EQ(text.action, "profiles create");
  v1::ComplianceState state;
  state.add_profiles()->set_name("log");
  EXPECT_EQ(describe_change(state, request).action, "profiles set");
  EXPECT_EQ(text.subject, "log");
  EXPECT_EQ(text.detail, "es_OUT:message:pass:fire-and-forget onLeave");
  EXPECT_EQ(describe_change({}, assign("", "s", "log")).detail, "profile=log node=(all)");
  EXPECT_EQ(describe_change({}, enable_cluster()).detail, "irreversible");
}

}  // namespace
}  // namespace verbatim::collector
