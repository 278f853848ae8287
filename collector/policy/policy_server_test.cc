#include "collector/policy/policy_server.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "collector/policy/chain_rules.h"
#include "tests/support/policy_chain_fixture.h"

namespace verbatim::collector {
namespace {

using testing::HandPlugin;
using testing::PolicyChainTest;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

constexpr auto kPass = v1::DECISION_PASS;

class PolicyServerTest : public PolicyChainTest {
 protected:
  // The owner of each of 200 rooms among these servers.
  static std::map<std::string, std::string> owners(const Strings& servers) {
    std::map<std::string, std::string> owners;
    for (int i = 0; i < 200; ++i) {
      const std::string room = "room" + std::to_string(i) + "@muc.x";
      owners[room] = choose_server(servers, room);
    }
    return owners;
  }
  // A room of that server among the two.
  static std::string room_of(const std::string& server) {
    for (const auto& [room, owner] : owners({"one", "two"})) {
      if (owner == server) return room;
    }
    return {};
  }
};

// --- Who is asked

TEST_F(PolicyServerTest, BothDirectionsOfAPairAndAllOfARoomGoToOneServer_C061_C062) {
  start_one({"es_OUT", "onBeforeSend"}, {"one", "two", "three"});
  const auto one = plugin("one");
  const auto two = plugin("two");
  const auto three = plugin("three");
  // The key is the unordered pair, whoever speaks (Completer).
  for (int i = 0; i < 10; ++i) submit(post("a@x b@x", "d" + std::to_string(i), "es_OUT"));
  for (int i = 0; i < 10; ++i) submit(post("r@muc.x", "r" + std::to_string(i)));
  const Strings servers{"one", "three", "two"};
  std::map<std::string, size_t> asked = {
      {"one", one->pass_all()}, {"two", two->pass_all()}, {"three", three->pass_all()}};
  const std::string pair = choose_server(servers, "a@x b@x");
  const std::string room = choose_server(servers, "r@muc.x");
  EXPECT_EQ(asked[pair], pair == room ? 20u : 10u);
  EXPECT_EQ(asked[room], pair == room ? 20u : 10u);
  EXPECT_EQ(outcomes_.size(), 20u);
}

TEST_F(PolicyServerTest, RoomsSpreadOverTheServersAndStay_C063) {
  std::map<std::string, int> shares;
  for (const auto& [room, owner] : owners({"one", "two", "three"})) ++shares[owner];
  ASSERT_EQ(shares.size(), 3u);
  for (const auto& [server, share] : shares) EXPECT_GT(share, 40) << server;
  EXPECT_EQ(owners({"one", "two", "three"}), owners({"one", "two", "three"}));
}

TEST_F(PolicyServerTest, AServerThatComesOrGoesMovesOnlyItsOwnShare_C063) {
  const auto two = owners({"one", "two"});
  for (const auto& [room, owner] : owners({"one", "three", "two"})) {
    EXPECT_TRUE(owner == "three" || owner == two.at(room)) << room;
  }
}

TEST_F(PolicyServerTest, AGracefulLossMovesTheShareAtOnceAndNobodyIsBlocked_C064) {
  start_one({"onBeforeSend"}, {"one", "two"});
  const auto one = plugin("one");
  const auto two = plugin("two");
  one->detach(true);
  submit(post(room_of("one"), "a"));
  EXPECT_EQ(two->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "two=PASS");
}

TEST_F(PolicyServerTest, WhatAGracefulServerWasNotAskedYetMovesToo_C064_C066) {
  start_one({"onBeforeSend"}, {"one", "two"});
  const auto one = plugin("one", {.is_order_free = true, .credit = 1});
  const auto two = plugin("two");
  submit(post(room_of("one"), "a"));
  submit(post(room_of("one"), "b"));
  EXPECT_EQ(one->question().event().id(), "a");
  one->detach(true);
  EXPECT_EQ(two->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "one=ERROR/LOST");
  EXPECT_EQ(verdicts("b"), "two=PASS");
}

TEST_F(PolicyServerTest, AnUngracefulLossBlocksItsShareUntilTheHoldIsOver_C065) {
  start_one({"onBeforeSend"}, {"one", "two"});
  const auto one = plugin("one");
  const auto two = plugin("two");
  one->detach(false);
  submit(post(room_of("one"), "a"));
  submit(post(room_of("two"), "b"));
  EXPECT_EQ(two->pass_all(), 1u);
  EXPECT_EQ(verdicts("b"), "two=PASS");
  advance(10s, {two.get()});
  EXPECT_EQ(verdicts("a"), "one=ERROR/ABSENT");
  advance(50s, {two.get()});
  submit(post(room_of("one"), "c"));
  EXPECT_EQ(two->pass_all(), 1u);
  EXPECT_EQ(verdicts("c"), "two=PASS");
}

TEST_F(PolicyServerTest, WhatWaitsWhenTheHoldEndsMovesToTheOthers_C065) {
  start_one({"onBeforeSend"}, {"one", "two"});
  const auto one = plugin("one");
  const auto two = plugin("two");
  one->detach(false);
  advance(55s, {two.get()});
  submit(post(room_of("one"), "a"));
  EXPECT_TRUE(two->questions().empty());
  advance(5s, {two.get()});
  EXPECT_EQ(two->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "two=PASS");
}

TEST_F(PolicyServerTest, NoEventGoesToTwoServersOfOneProfile_C066) {
  start_one({"onBeforeSend"}, {"one", "two"});
  const auto one = plugin("one");
  const auto two = plugin("two");
  submit(post(room_of("one"), "a"));
  EXPECT_EQ(one->questions().size(), 1u);
  one->detach(false);
  advance(60s, {two.get()});
  EXPECT_TRUE(two->questions().empty());
  EXPECT_EQ(verdicts("a"), "one=ERROR/LOST");
}

TEST_F(PolicyServerTest, TheSecondProfileNeverGetsWhatTheFirstCouldNotDecide_C070) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  wall->detach(false);
  submit(post("r", "a"));
  advance(10s, {dlp.get()});
  EXPECT_EQ(verdicts("a"), "wall=ERROR/ABSENT");
  EXPECT_TRUE(dlp->questions().empty());
}

// --- How fast it is

TEST_F(PolicyServerTest, TheMedianOfItsLatestAnswersIsShownUntilAnotherInstanceComes_C091) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  EXPECT_EQ(info("wall").recent_latency_us(), 0);
  const auto answer_after = [&](const std::string& id, std::chrono::seconds time) {
    submit(post(id, id));
    const auto question = wall->question();
    advance(time, {wall.get()});
    wall->answer(question.question(), kPass);
  };
  answer_after("a", 1s);
  answer_after("b", 15s);
  answer_after("c", 15s);
  EXPECT_EQ(info("wall").recent_latency_us(), 15'000'000);
  EXPECT_EQ(info("wall").timeout_count(), 0);
  // Only the latest count.
  for (int i = 0; i < 64; ++i) answer_after("d" + std::to_string(i), 2s);
  EXPECT_EQ(info("wall").recent_latency_us(), 2'000'000);
  wall->detach(true);
  const auto next = plugin("wall");
  EXPECT_EQ(info("wall").recent_latency_us(), 0);
}

// --- Outages

TEST_F(PolicyServerTest, AGracefulStopRefusesMessagesAtOnceAndLetsLoginsIn_C051_C052) {
  start_one({"onBeforeSend", "e_SESSION", "es_END"}, {"wall"});
  const auto wall = plugin("wall");
  wall->detach(true);
  submit(post("r", "a"));
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  Event logout = base_event("es_END", "a@x");
  logout.mutable_logout();
  submit(std::move(logout));
  EXPECT_EQ(verdicts("a"), "wall=ERROR/ABSENT");
  EXPECT_EQ(decision("a"), v1::DECISION_ERROR);
  EXPECT_EQ(verdicts("e_SESSION"), "wall=ERROR/ABSENT =PASS");
  EXPECT_EQ(decision("es_END"), kPass);
}

TEST_F(PolicyServerTest, AfterABreakEventsWaitAndThenAreRefused_C053_C056) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  wall->detach(false);
  submit(post("r", "a"));
  advance(9s);
  EXPECT_FALSE(is_done("a"));
  advance(1s);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/ABSENT");
  advance(40s);
  submit(post("r", "b"));
  EXPECT_FALSE(is_done("b"));
}

TEST_F(PolicyServerTest, AfterTheHoldEventsAreRefusedAtOnce_C054) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  wall->detach(false);
  advance(60s);
  submit(post("r", "a"));
  EXPECT_EQ(verdicts("a"), "wall=ERROR/ABSENT");
}

TEST_F(PolicyServerTest, ALoginAndPresenceWaitForABoundedTimeAndALogoutDoesNot_C055_C057) {
  start_one({"e_SESSION", "es_END", "es_OUT"}, {"wall"});
  const auto wall = plugin("wall");
  wall->detach(false);
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  Event logout = base_event("es_END", "b@x");
  logout.mutable_logout();
  submit(std::move(logout));
  Event presence = base_event("es_OUT", "c@x");
  presence.mutable_presence_changed();
  submit(std::move(presence));
  EXPECT_EQ(decision("es_END"), kPass);
  advance(9s);
  EXPECT_FALSE(is_done("e_SESSION"));
  EXPECT_FALSE(is_done("es_OUT"));
  advance(1s);
  EXPECT_EQ(decision("e_SESSION"), kPass);
  EXPECT_EQ(decision("es_OUT"), kPass);
}

TEST_F(PolicyServerTest, APluginThatComesBackIsAskedWhatWaitedAndWhatItLeftOpen_C058_C060) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  submit(post("s", "b"));
  EXPECT_EQ(wall->questions().size(), 2u);
  wall->detach(false);
  submit(post("t", "c"));
  advance(5s);
  const auto again = plugin("wall", {.instance = "two"});
  const auto questions = again->questions();
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_EQ(questions[0].event().id(), "a");
  EXPECT_EQ(questions[1].event().id(), "b");
  EXPECT_EQ(questions[2].event().id(), "c");
  for (const auto& question : questions) again->answer(question.question(), kPass);
  EXPECT_EQ(verdicts("a"), "wall=PASS");
  EXPECT_EQ(verdicts("c"), "wall=PASS");
  EXPECT_EQ(outcomes_.size(), 3u);
  submit(post("r", "d"));
  EXPECT_EQ(again->pass_all(), 1u);
}

TEST_F(PolicyServerTest, AfterAStartOfTheCollectorItsPluginsAreWaitedFor) {
  start_one({"onBeforeSend"}, {"wall"});
  submit(post("r", "a"));
  EXPECT_FALSE(is_done("a"));
  const auto wall = plugin("wall");
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "wall=PASS");
}

TEST_F(PolicyServerTest, AServerRegisteredLaterIsNotWaitedForBeforeItHasAttached) {
  compliance_.add_event("p", "onBeforeSend");
  start();
  compliance_.assign("wall", "p");
  compliance_.publish();
  submit(post("r", "a"));
  EXPECT_EQ(verdicts("a"), "wall=ERROR/ABSENT");
}

TEST_F(PolicyServerTest, SilenceOfThreeHeartbeatsIsALoss) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  EXPECT_EQ(info("wall").state(), v1::SourceInfo::LINK_STATE_ACTIVE);
  advance(15s);
  EXPECT_EQ(info("wall").state(), v1::SourceInfo::LINK_STATE_ACTIVE);
  advance(1s);
  EXPECT_EQ(info("wall").state(), v1::SourceInfo::LINK_STATE_GONE);
  EXPECT_TRUE(wall->session().is_closed());
}

// --- Suspension

TEST_F(PolicyServerTest, AfterTwentyTimeoutsInARowAPluginCostsNothingMore_C091) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  for (int i = 0; i < 20; ++i) submit(post("r" + std::to_string(i), std::to_string(i)));
  advance(18s, {wall.get()});
  EXPECT_EQ(info("wall").state(), v1::SourceInfo::LINK_STATE_CONNECTED);
  EXPECT_EQ(info("wall").reason(), "suspended: 20 timeouts in a row");
  EXPECT_TRUE(info("wall").is_suspended());
  submit(post("r", "a"));
  EXPECT_EQ(verdicts("a"), "wall=ERROR/SUSPENDED");
}

TEST_F(PolicyServerTest, AnAnswerInBetweenStartsTheCountAnew) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 19; ++i) {
      submit(post("r" + std::to_string(i), std::to_string(round * 100 + i)));
    }
    advance(18s, {wall.get()});
    wall->questions();
    submit(post("r", "ok" + std::to_string(round)));
    EXPECT_EQ(wall->pass_all(), 1u);
  }
  EXPECT_FALSE(info("wall").is_suspended());
}

TEST_F(PolicyServerTest, ASuspendedPluginIsProbedWithWhatItDidNotAnswerAndResumes) {
  options_.times.suspend_after = 2;
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  submit(post("s", "b"));
  advance(18s, {wall.get()});
  wall->questions();
  ASSERT_TRUE(info("wall").is_suspended());
  advance(4s, {wall.get()});
  EXPECT_TRUE(wall->questions().empty());
  advance(1s, {wall.get()});
  const auto probe = wall->question();
  EXPECT_EQ(probe.event().id(), "b");
  wall->answer(probe.question(), kPass);
  EXPECT_FALSE(info("wall").is_suspended());
  EXPECT_TRUE(lates_.empty());
  submit(post("r", "c"));
  EXPECT_EQ(wall->pass_all(), 1u);
}

TEST_F(PolicyServerTest, AnAnsweredProbeIsNeededAndALateOneDoesNotCount) {
  options_.times.suspend_after = 1;
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  advance(18s, {wall.get()});
  wall->questions();
  advance(5s, {wall.get()});
  const auto probe = wall->question();
  advance(19s, {wall.get()});
  wall->answer(probe.question(), kPass);
  EXPECT_TRUE(info("wall").is_suspended());
  wall->answer(wall->question().question(), kPass);
  EXPECT_FALSE(info("wall").is_suspended());
}

// It hung and came back without what it had been asked.
TEST_F(PolicyServerTest, AServerThatDiscardedItsBacklogHasItsWholeCreditAgain) {
  options_.times.suspend_after = 2;
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.credit = 2});
  submit(post("r", "a"));
  submit(post("s", "b"));
  const auto backlog = wall->questions();
  ASSERT_EQ(backlog.size(), 2u);
  advance(23s, {wall.get()});
  ASSERT_TRUE(info("wall").is_suspended());
  wall->answer(wall->question().question(), kPass);
  ASSERT_FALSE(info("wall").is_suspended());
  submit(post("r", "c"));
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(verdicts("c"), "wall=PASS");
  // It is told all the same, should an answer come.
  wall->answer(backlog[0].question(), kPass);
  ASSERT_EQ(lates_.size(), 1u);
  EXPECT_EQ(lates_[0].event_id, "a");
}

TEST_F(PolicyServerTest, WhatIsNeverAnsweredCostsCreditForABoundedTime) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.credit = 1});
  submit(post("r", "a"));
  wall->questions();
  advance(18s, {wall.get()});
  submit(post("s", "b"));
  EXPECT_TRUE(wall->questions().empty());
  advance(17s, {wall.get()});
  EXPECT_TRUE(wall->questions().empty());
  submit(post("t", "c"));
  advance(1s, {wall.get()});
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(verdicts("c"), "wall=PASS");
}

TEST_F(PolicyServerTest, ASlowPluginThatAnswersIsNotSuspendedForWhatStoodInTheLine) {
  options_.times.suspend_after = 5;
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.credit = 1});
  for (int i = 0; i < 50; ++i) submit(post("r" + std::to_string(i), std::to_string(i)));
  for (int i = 0; i < 17; ++i) {
    advance(1s, {wall.get()});
    wall->answer(wall->question().question(), kPass);
  }
  advance(2s, {wall.get()});
  EXPECT_EQ(outcomes_.size(), 50u);
  EXPECT_FALSE(info("wall").is_suspended());
}

TEST_F(PolicyServerTest, AnotherInstanceEndsTheSuspension) {
  options_.times.suspend_after = 1;
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  advance(18s, {wall.get()});
  ASSERT_TRUE(info("wall").is_suspended());
  const auto standby = plugin("wall", {.instance = "two"});
  EXPECT_FALSE(info("wall").is_suspended());
  EXPECT_EQ(info("wall").instance(), "two");
}

TEST_F(PolicyServerTest, AnInstanceThatStandsByTakesOverFromASilentOne) {
  options_.times.suspend_after = 2;
  start_one({"onBeforeSend"}, {"wall"});
  const auto silent = plugin("wall");
  const auto standby = plugin("wall", {.instance = "two"});
  submit(post("r", "a"));
  submit(post("s", "b"));
  advance(1s, {silent.get(), standby.get()});
  submit(post("t", "c"));
  advance(17s, {silent.get(), standby.get()});
  EXPECT_EQ(verdicts("b"), "wall=ERROR/TIMEOUT");
  EXPECT_TRUE(silent->session().is_closed());
  EXPECT_EQ(silent->session().close_reason().message(),
            "2 timeouts in a row: another instance takes over");
  EXPECT_FALSE(info("wall").is_suspended());
  // What the silent one still had is asked again.
  EXPECT_EQ(standby->pass_all(), 1u);
  EXPECT_EQ(verdicts("c"), "wall=PASS");
  EXPECT_EQ(info("wall").instance(), "two");
}

TEST_F(PolicyServerTest, WhereAllInstancesAreSilentTheServerIsSuspended) {
  options_.times.suspend_after = 1;
  start_one({"onBeforeSend"}, {"wall"});
  const auto one = plugin("wall");
  const auto two = plugin("wall", {.instance = "two"});
  submit(post("r", "a"));
  advance(18s, {one.get(), two.get()});
  // It dials again, as ever.
  const auto again = plugin("wall");
  submit(post("r", "b"));
  advance(18s, {two.get(), again.get()});
  EXPECT_TRUE(info("wall").is_suspended());
  submit(post("r", "c"));
  EXPECT_EQ(verdicts("c"), "wall=ERROR/SUSPENDED");
}

// --- Instances

TEST_F(PolicyServerTest, OneInstanceIsActiveAndTheNextTakesOverWithWhatIsOpen) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  const auto standby = plugin("wall", {.instance = "two"});
  EXPECT_TRUE(wall->is_active());
  EXPECT_FALSE(standby->is_active());
  EXPECT_EQ(info("wall").standby_count(), 1);
  submit(post("r", "a"));
  EXPECT_TRUE(standby->questions().empty());
  wall->detach(false);
  EXPECT_TRUE(standby->is_active());
  EXPECT_EQ(standby->pass_all(), 1u);
  EXPECT_EQ(outcomes_.at("a").event.verdicts(0).instance(), "two");
}

// A server that we dial may still have its answers in a queue.
TEST_F(PolicyServerTest, AnswersToWhatWasAskedBeforeTheRedialAreLateAndEndNothing) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto before = plugin("wall");
  submit(post("r", "a"));
  submit(post("r", "b"));
  const uint64_t first = before->question().question();
  advance(18s, {before.get()});
  submit(post("s", "c"));
  const auto asked = before->questions();
  ASSERT_FALSE(asked.empty());
  before->detach(false);
  const auto again = plugin("wall");
  again->answer(first, kPass);
  again->answer(asked.back().question(), v1::DECISION_HANDLE);
  EXPECT_FALSE(again->session().is_closed());
  EXPECT_EQ(info("wall").late_count(), 2);
  ASSERT_EQ(lates_.size(), 2u);
  EXPECT_EQ(lates_[0].event_id, "a");
  EXPECT_EQ(lates_[1].event_id, "c");
  EXPECT_FALSE(is_done("c"));
  EXPECT_EQ(again->pass_all(), 1u);
  EXPECT_EQ(verdicts("c"), "wall=PASS");
  again->answer(first, kPass);
  EXPECT_FALSE(again->session().is_closed());
}

TEST_F(PolicyServerTest, AnAnswerOfAStandbyEndsItsStream) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  const auto standby = plugin("wall", {.instance = "two"});
  submit(post("r", "a"));
  standby->answer(wall->question().question(), kPass);
  EXPECT_TRUE(standby->session().is_closed());
  EXPECT_FALSE(is_done("a"));
}

TEST_F(PolicyServerTest, OnlyARegisteredPluginMayAttach) {
  start_one({"onBeforeSend"}, {"wall"});
  HandPlugin stranger(*chain_);
  EXPECT_EQ(stranger.attach("stranger").code(), StatusCode::kNotFound);
  EXPECT_EQ(stranger.attach("").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(stranger.attach("wall", {.instance = ""}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(stranger.attach("wall").ok());
  EXPECT_EQ(stranger.welcome().collector(), "collector");
  ASSERT_EQ(stranger.welcome().profiles_size(), 1);
  EXPECT_EQ(stranger.welcome().profiles(0), "p");
}

TEST_F(PolicyServerTest, AServerThatIsDeletedLosesItsPlugin_C092) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  compliance_.state().clear_assignments();
  compliance_.state().clear_servers();
  compliance_.publish();
  chain_->tick();
  EXPECT_TRUE(wall->session().is_closed());
  EXPECT_EQ(wall->session().close_reason().code(), StatusCode::kNotFound);
  EXPECT_FALSE(chain_->concerns(post("r", "a"), ""));
}

TEST_F(PolicyServerTest, ARowForEachAssignmentAndForAServerWithoutOne_C090) {
  compliance_.add_event("p", "onBeforeSend");
  compliance_.add_event("q", "onBeforeJoin");
  compliance_.assign("wall", "p");
  compliance_.assign("wall", "q");
  compliance_.add_server("idle");
  start();
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  EXPECT_EQ(wall->pass_all(), 1u);
  const auto rows = chain_->servers();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].profile(), "p");
  EXPECT_EQ(rows[0].component(), "op-wall");
  EXPECT_EQ(rows[1].profile(), "q");
  EXPECT_EQ(rows[1].pass_count(), 1);
  EXPECT_EQ(rows[2].server(), "idle");
  EXPECT_EQ(rows[2].state(), v1::SourceInfo::LINK_STATE_GONE);
  EXPECT_EQ(rows[2].reason(), "it has not attached yet");
}

}  // namespace
}  // namespace verbatim::collector
