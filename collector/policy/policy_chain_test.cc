#include "collector/policy/policy_chain.h"

#include <gtest/gtest.h>

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
constexpr auto kChanged = v1::DECISION_PASS_CHANGED;
constexpr auto kHandle = v1::DECISION_HANDLE;
constexpr auto kError = v1::DECISION_ERROR;

v1::PolicyVerdict verdict_of(uint64_t question, v1::Decision decision) {
  v1::PolicyVerdict verdict;
  verdict.set_question(question);
  verdict.set_decision(decision);
  return verdict;
}

// --- The chain

TEST_F(PolicyChainTest, AnEventPassesWhenItsPolicyPasses_C035) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  EXPECT_FALSE(is_done("a"));
  wall->answer(wall->question().question(), kPass);
  EXPECT_EQ(decision("a"), kPass);
  EXPECT_EQ(verdicts("a"), "wall=PASS");
}

TEST_F(PolicyChainTest, HandleEndsTheChainAndNoFurtherProfileSeesTheEvent_C036_C068) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kHandle);
  verdict.set_text_for_sender("not to them");
  wall->answer(verdict);
  EXPECT_EQ(decision("a"), kHandle);
  EXPECT_EQ(outcomes_.at("a").text_for_sender, "not to them");
  EXPECT_EQ(verdicts("a"), "wall=HANDLE");
  EXPECT_TRUE(dlp->questions().empty());
}

TEST_F(PolicyChainTest, TheNextProfileIsAskedOnlyAfterPass_C067) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  EXPECT_TRUE(dlp->questions().empty());
  wall->answer(wall->question().question(), kPass);
  const auto question = dlp->question();
  ASSERT_EQ(question.event().verdicts_size(), 1);
  EXPECT_EQ(question.event().verdicts(0).policy(), "wall");
  dlp->answer(question.question(), kPass);
  EXPECT_EQ(verdicts("a"), "wall=PASS dlp=PASS");
}

TEST_F(PolicyChainTest, AChangedStanzaIsSeenByTheNextAndBothTextsAreKept_C037_C072) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  auto question = wall->question();
  EXPECT_EQ(question.event().raw(), "<xdb>a</xdb>");
  v1::PolicyVerdict verdict = verdict_of(question.question(), kChanged);
  verdict.set_changed_raw("softer");
  wall->answer(verdict);
  question = dlp->question();
  EXPECT_EQ(question.event().raw(), "softer");
  EXPECT_EQ(question.event().final_text().plain(), "softer");
  dlp->answer(question.question(), kPass);
  const auto& outcome = outcomes_.at("a");
  EXPECT_EQ(outcome.verdict.decision(), kChanged);
  EXPECT_EQ(outcome.changed_raw, "softer");
  EXPECT_EQ(outcome.event.original_text().plain(), "a");
  EXPECT_EQ(outcome.event.final_text().plain(), "softer");
  EXPECT_EQ(outcome.event.raw(), "<xdb>a</xdb>");
  EXPECT_EQ(verdicts("a"), "wall=PASS_CHANGED dlp=PASS");
}

TEST_F(PolicyChainTest, AStoppedEventIsNotAnsweredWithTheChangeMadeBefore) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kChanged);
  verdict.set_changed_raw("softer");
  wall->answer(verdict);
  dlp->answer(dlp->question().question(), kHandle);
  EXPECT_EQ(decision("a"), kHandle);
  EXPECT_EQ(outcomes_.at("a").changed_raw, "");
}

// A policy cannot see who speaks with whom in it, so a wall would let it through.
TEST_F(PolicyChainTest, WhatIsNotUnderstoodIsStoppedWhereAPolicyWouldDecide_C101) {
  start_one({"onBeforeSend", "e_SESSION"}, {"wall"});
  const auto wall = plugin("wall");
  const auto submit_raw = [this](const std::string& id, const std::string& name) {
    Event event = base_event(name, "source", v1::CONVERSATION_KIND_SOURCE);
    event.set_id(id);
    event.mutable_other()->set_name("undecodable");
    auto one = request(event);
    one.is_understood = false;
    const bool is_concerned = chain_->concerns(event, "", false);
    if (is_concerned) chain_->submit(std::move(one));
    return is_concerned;
  };
  EXPECT_TRUE(submit_raw("known", "onBeforeSend"));
  EXPECT_EQ(decision("known"), kError);
  EXPECT_EQ(verdicts("known"), "=ERROR");
  EXPECT_NE(outcomes_.at("known").text_for_sender, "");
  EXPECT_TRUE(submit_raw("unknown", "onSomethingNew"));
  EXPECT_EQ(decision("unknown"), kError);
  EXPECT_TRUE(wall->questions().empty());
  // Another event of the guide, in no profile: nobody decides about it.
  EXPECT_FALSE(submit_raw("other", "onBeforeJoin"));
  // A login is never blocked for what the node writes.
  EXPECT_TRUE(submit_raw("login", "e_SESSION"));
  wall->answer(wall->question().question(), kPass);
  EXPECT_EQ(decision("login"), kPass);
}

TEST_F(PolicyChainTest, WhatIsNotUnderstoodPassesWherePoliciesAreOnlyTold_C101) {
  auto& entry = compliance_.add_event("p", "onBeforeSend");
  entry.set_fire_and_forget(true);
  entry.set_handling(v1::ComplianceProfile::HANDLING_PASS);
  compliance_.assign("wall", "p");
  start();
  Event event = base_event("onSomethingNew", "source", v1::CONVERSATION_KIND_SOURCE);
  EXPECT_FALSE(chain_->concerns(event, "", false));
  auto one = request(post("r", "a"));
  one.is_understood = false;
  chain_->submit(std::move(one));
  EXPECT_EQ(decision("a"), kPass);
}

TEST_F(PolicyChainTest, AnErrorIsBouncedWithItsText_C038) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kError);
  verdict.set_text_for_sender("try later");
  wall->answer(verdict);
  EXPECT_EQ(decision("a"), kError);
  EXPECT_EQ(outcomes_.at("a").text_for_sender, "try later");
  EXPECT_TRUE(dlp->questions().empty());
}

TEST_F(PolicyChainTest, AnErrorIsDiscardedWhereTheHandlingIsPass_C039) {
  compliance_.add_event("first", "onBeforeSend").set_handling(v1::ComplianceProfile::HANDLING_PASS);
  compliance_.add_event("second", "onBeforeSend");
  compliance_.assign("wall", "first");
  compliance_.assign("dlp", "second");
  start();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  wall->answer(wall->question().question(), kError);
  dlp->answer(dlp->question().question(), kPass);
  EXPECT_EQ(decision("a"), kPass);
  EXPECT_EQ(verdicts("a"), "wall=ERROR =PASS dlp=PASS");
}

TEST_F(PolicyChainTest, FireAndForgetIsToldAndNotWaitedFor_C040_C042) {
  auto& entry = compliance_.add_event("p", "onBeforeSend");
  entry.set_fire_and_forget(true);
  entry.set_handling(v1::ComplianceProfile::HANDLING_PASS);
  compliance_.assign("wall", "p");
  start();
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  EXPECT_EQ(decision("a"), kPass);
  EXPECT_EQ(verdicts("a"), "=PASS");
  const auto notices = wall->notices();
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].event().id(), "a");
  EXPECT_TRUE(wall->questions().empty());
}

TEST_F(PolicyChainTest, WithBounceAFireAndForgottenEventIsDiscarded_C041) {
  compliance_.add_event("first", "onBeforeSend").set_fire_and_forget(true);
  compliance_.add_event("second", "onBeforeSend");
  compliance_.assign("wall", "first");
  compliance_.assign("dlp", "second");
  start();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  EXPECT_EQ(decision("a"), kHandle);
  EXPECT_EQ(verdicts("a"), "=HANDLE");
  EXPECT_EQ(outcomes_.at("a").verdict.reason(),
            "discarded: profile first says bounce and fire-and-forget");
  EXPECT_EQ(wall->notices().size(), 1u);
  EXPECT_TRUE(dlp->questions().empty());
}

// A node that does so by itself only notifies; what a producer reports has been delivered.
TEST_F(PolicyChainTest, WhatTheNodeDiscardedByItselfIsRecordedSo_C041) {
  compliance_.add_event("p", "es_OUT", "message").set_fire_and_forget(true);
  compliance_.assign("wall", "p");
  start();
  const auto wall = plugin("wall");
  for (const char* const id : {"notice", "report"}) {
    auto one = request(post("a@x b@x", id, "es_OUT"));
    one.event.set_phase(id == std::string("notice") ? v1::PHASE_NOTICE : v1::PHASE_CONFIRMED);
    one.packet_type = "message";
    one.is_awaited = false;
    chain_->submit(std::move(one));
  }
  EXPECT_EQ(verdicts("notice"), "=HANDLE");
  EXPECT_EQ(verdicts("report"), "");
  EXPECT_EQ(wall->notices().size(), 2u);
}

TEST_F(PolicyChainTest, WhatIsNeverBlockedIsNotDiscardedEither_C041) {
  for (const char* const event : {"e_SESSION", "onHistory"}) {
    compliance_.add_event("p", event).set_fire_and_forget(true);
  }
  compliance_.assign("wall", "p");
  start();
  const auto wall = plugin("wall");
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  submit_pass_only(base_event("onHistory", "r"));
  EXPECT_EQ(decision("e_SESSION"), kPass);
  EXPECT_EQ(decision("onHistory"), kPass);
}

TEST_F(PolicyChainTest, ANotificationOfTheNodeIsOnlyTold_C047) {
  start_one({"onServiceReconfig"}, {"wall"});
  const auto wall = plugin("wall");
  auto one = request(base_event("onServiceReconfig", "chat", v1::CONVERSATION_KIND_SOURCE));
  one.is_awaited = false;
  chain_->submit(std::move(one));
  EXPECT_TRUE(is_done("onServiceReconfig"));
  EXPECT_EQ(outcomes_.at("onServiceReconfig").event.verdicts_size(), 0);
  EXPECT_EQ(wall->notices().size(), 1u);
}

TEST_F(PolicyChainTest, WhereOnlyPassIsTakenNothingElseIsAllowed_C044_C045_C046) {
  start_one({"onLeave"}, {"wall"});
  const auto wall = plugin("wall");
  submit_pass_only(post("r", "a", "onLeave"));
  auto question = wall->question();
  ASSERT_EQ(question.allowed_size(), 1);
  EXPECT_EQ(question.allowed(0), kPass);
  wall->answer(question.question(), kHandle);
  EXPECT_EQ(decision("a"), kPass);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/INVALID_REPLY =PASS");
  EXPECT_EQ(info("wall").invalid_count(), 1);
}

TEST_F(PolicyChainTest, OneProfileAloneIsNotTouchedByTheOrderOfTheOthers_C069) {
  compliance_.add_event("first", "onBeforeJoin");
  compliance_.add_event("second", "onBeforeSend");
  compliance_.assign("wall", "first");
  compliance_.assign("dlp", "second");
  start();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  EXPECT_TRUE(wall->questions().empty());
  EXPECT_EQ(dlp->pass_all(), 1u);
  EXPECT_EQ(decision("a"), kPass);
}

TEST_F(PolicyChainTest, AnEventOutsideTheSecondProfileNeverReachesIt_C071) {
  compliance_.add_event("first", "e_SESSION");
  compliance_.add_event("second", "es_OUT", "message");
  compliance_.assign("wall", "first");
  compliance_.assign("dlp", "second");
  start();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(decision("e_SESSION"), kPass);
  EXPECT_TRUE(dlp->questions().empty());
}

TEST_F(PolicyChainTest, AnotherOrderOfPrioritiesSwapsTheOrderOfAsking_C073) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  compliance_.state().mutable_profiles()->SwapElements(0, 1);
  compliance_.publish();
  submit(post("r", "a"));
  EXPECT_TRUE(wall->questions().empty());
  EXPECT_EQ(dlp->pass_all(), 1u);
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "dlp=PASS wall=PASS");
}

TEST_F(PolicyChainTest, AnEventUnderWayFinishesByTheTableItBeganWith) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  compliance_.state().mutable_assignments()->DeleteSubrange(1, 1);
  compliance_.publish();
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(dlp->pass_all(), 1u);
  EXPECT_EQ(verdicts("a"), "wall=PASS dlp=PASS");
}

// --- Invalid replies

TEST_F(PolicyChainTest, AnAnswerWithoutADecisionIsAnInvalidReply) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  wall->answer(wall->question().question(), v1::DECISION_UNSPECIFIED);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/INVALID_REPLY");
  EXPECT_EQ(decision("a"), kError);
}

TEST_F(PolicyChainTest, AChangeThatCannotBeAppliedIsAnInvalidReply) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kChanged);
  verdict.set_changed_raw("bad");
  wall->answer(verdict);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/INVALID_REPLY");
  EXPECT_EQ(outcomes_.at("a").changed_raw, "");
  EXPECT_EQ(info("wall").invalid_count(), 1);
  EXPECT_EQ(info("wall").changed_count(), 0);
}

TEST_F(PolicyChainTest, AStanzaLargerThanServersTakeIsAnInvalidReply_C102) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kChanged);
  verdict.set_changed_raw(std::string(512 * 1024, 'x'));
  wall->answer(verdict);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/INVALID_REPLY");
}

TEST_F(PolicyChainTest, ASecondAnswerHasNoEffectAndIsTold_C102) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  const uint64_t question = wall->question().question();
  wall->answer(question, kPass);
  wall->answer(question, kHandle);
  EXPECT_EQ(decision("a"), kPass);
  ASSERT_EQ(lates_.size(), 1u);
  EXPECT_EQ(lates_[0].event_id, "a");
  EXPECT_EQ(info("wall").invalid_count(), 1);
}

TEST_F(PolicyChainTest, ALateAnswerHasNoEffectAndIsTold_C102) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  const uint64_t question = wall->question().question();
  advance(18s, {wall.get()});
  EXPECT_EQ(verdicts("a"), "wall=ERROR/TIMEOUT");
  wall->answer(question, kPass);
  EXPECT_EQ(decision("a"), kError);
  ASSERT_EQ(lates_.size(), 1u);
  EXPECT_EQ(lates_[0].about.conversation().key(), "r");
  EXPECT_EQ(info("wall").late_count(), 1);
}

TEST_F(PolicyChainTest, AnAnswerToWhatWasNeverAskedEndsTheStream) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  wall->answer(7, kPass);
  EXPECT_TRUE(wall->session().is_closed());
  EXPECT_EQ(wall->session().close_reason().code(), StatusCode::kInvalidArgument);
}

TEST_F(PolicyChainTest, TextsBeyondTheirLimitsAreCutBetweenCharacters) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  v1::PolicyVerdict verdict = verdict_of(wall->question().question(), kPass);
  std::string rule(255, 'r');
  verdict.set_rule(rule + "\xC3\xA9");
  wall->answer(verdict);
  EXPECT_EQ(outcomes_.at("a").event.verdicts(0).rule(), rule);
}

TEST_F(PolicyChainTest, AVerdictCarriesInstanceRuleSetProfileAndLatency) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.rule_set_sha256 = std::string(32, 'd')});
  submit(post("r", "a"));
  clock_.advance(5ms);
  v1::PolicyVerdict answer = verdict_of(wall->question().question(), kPass);
  answer.set_rule("10");
  answer.set_reason("nothing matched");
  answer.set_dry_run_decision(kHandle);
  answer.set_is_flagged(true);
  wall->answer(answer);
  const v1::Verdict verdict = outcomes_.at("a").event.verdicts(0);
  EXPECT_EQ(verdict.instance(), "one");
  EXPECT_EQ(verdict.rule(), "10");
  EXPECT_EQ(verdict.rule_set_sha256(), std::string(32, 'd'));
  EXPECT_EQ(verdict.profile(), "p");
  EXPECT_EQ(verdict.latency_us(), 5'000);
  EXPECT_EQ(verdict.cause(), v1::Verdict::CAUSE_ANSWERED);
  EXPECT_EQ(verdict.dry_run_decision(), kHandle);
  EXPECT_TRUE(verdict.is_flagged());
}

// --- Order

TEST_F(PolicyChainTest, EventsOfOneConversationAreEvaluatedOneAfterAnother) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  submit(post("r", "b"));
  submit(post("other", "c"));
  auto questions = wall->questions();
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].event().id(), "a");
  EXPECT_EQ(questions[1].event().id(), "c");
  wall->answer(questions[1].question(), kPass);
  wall->answer(questions[0].question(), kPass);
  EXPECT_EQ(wall->question().event().id(), "b");
}

TEST_F(PolicyChainTest, AnOrderFreePluginIsAskedAtOnceAndAnswersLeaveInOrderOfArrival) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.is_order_free = true});
  for (const char* const id : {"a", "b", "c"}) submit(post("r", id));
  const auto questions = wall->questions();
  ASSERT_EQ(questions.size(), 3u);
  wall->answer(questions[2].question(), kPass);
  wall->answer(questions[1].question(), kHandle);
  EXPECT_TRUE(order_.empty());
  wall->answer(questions[0].question(), kPass);
  EXPECT_EQ(order_, (Strings{"a", "b", "c"}));
  EXPECT_EQ(decision("b"), kHandle);
}

TEST_F(PolicyChainTest, WhatNoPolicyIsAskedAboutWaitsBehindWhatIsUnderWay) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  const Event leave = post("r", "b", "onLeave");
  EXPECT_TRUE(chain_->concerns(leave, ""));
  submit(leave);
  EXPECT_TRUE(order_.empty());
  EXPECT_EQ(wall->pass_all(), 1u);
  EXPECT_EQ(order_, (Strings{"a", "b"}));
  EXPECT_FALSE(chain_->concerns(leave, ""));
}

TEST_F(PolicyChainTest, AThousandEventsOfOneRoomAreDecidedInOrder) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  Strings submitted;
  for (int i = 0; i < 1'000; ++i) {
    submitted.push_back(std::to_string(i));
    submit(post("r", submitted.back(), i % 3 == 0 ? "onLeave" : "onBeforeSend"));
  }
  while (wall->pass_all() + dlp->pass_all() > 0) continue;
  EXPECT_EQ(order_, submitted);
  EXPECT_EQ(chain_->waiting().count, 0);
  EXPECT_EQ(chain_->waiting().bytes, 0);
}

// --- The deadline

TEST_F(PolicyChainTest, APolicyIsGivenWhatIsLeftOfTheEventsDeadlineLessThePut_C050) {
  start_two();
  const auto wall = plugin("wall");
  const auto dlp = plugin("dlp");
  submit(post("r", "a"));
  auto question = wall->question();
  EXPECT_EQ(question.deadline_ms(), 18'000);
  advance(3s);
  wall->answer(question.question(), kPass);
  EXPECT_EQ(dlp->question().deadline_ms(), 15'000);
}

TEST_F(PolicyChainTest, ASilentPolicyCostsAMessageItsTimeAndThenItIsRefused_C011_C050_C093) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  advance(17s, {wall.get()});
  EXPECT_FALSE(is_done("a"));
  advance(1s, {wall.get()});
  EXPECT_EQ(decision("a"), kError);
  EXPECT_EQ(verdicts("a"), "wall=ERROR/TIMEOUT");
  EXPECT_EQ(info("wall").timeout_count(), 1);
}

TEST_F(PolicyChainTest, WhatWaitedBehindASilentOneIsRefusedAtItsOwnTime) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  advance(1s, {wall.get()});
  submit(post("r", "b"));
  advance(17s, {wall.get()});
  EXPECT_TRUE(is_done("a"));
  EXPECT_FALSE(is_done("b"));
  advance(1s, {wall.get()});
  EXPECT_EQ(verdicts("b"), "wall=ERROR/TIMEOUT");
}

TEST_F(PolicyChainTest, LoginsLogoutsAndPresenceAreNeverBlockedAndTheReasonIsRecorded_C050_C055) {
  start_one({"e_SESSION", "es_OUT"}, {"wall"});
  const auto wall = plugin("wall");
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  Event presence = base_event("es_OUT", "b@x");
  presence.mutable_presence_changed();
  submit(std::move(presence));
  advance(18s, {wall.get()});
  EXPECT_EQ(verdicts("e_SESSION"), "wall=ERROR/TIMEOUT =PASS");
  EXPECT_EQ(verdicts("es_OUT"), "wall=ERROR/TIMEOUT =PASS");
  EXPECT_EQ(decision("e_SESSION"), kPass);
  EXPECT_EQ(outcomes_.at("e_SESSION").event.verdicts(1).reason(),
            "an event of this kind is never blocked");
}

TEST_F(PolicyChainTest, APolicyMayStillRefuseALoginItself) {
  start_one({"e_SESSION"}, {"wall"});
  const auto wall = plugin("wall");
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  submit(std::move(login));
  wall->answer(wall->question().question(), kHandle);
  EXPECT_EQ(decision("e_SESSION"), kHandle);
}

// Nobody could undo it, and the roster follows what happened.
TEST_F(PolicyChainTest, NoAnswerStopsWhatHasHappened) {
  start_one({"es_END", "onClose"}, {"wall"});
  const auto wall = plugin("wall");
  Event logout = base_event("es_END", "a@x");
  logout.mutable_logout();
  submit(logout);
  const auto question = wall->question();
  EXPECT_EQ(question.allowed_size(), 1);
  wall->answer(question.question(), kHandle);
  EXPECT_EQ(verdicts("es_END"), "wall=ERROR/INVALID_REPLY =PASS");
  Event closed = base_event("onClose", "r", v1::CONVERSATION_KIND_ROOM);
  closed.mutable_room_destroyed();
  auto one = request(closed);
  one.has_happened = true;
  chain_->submit(std::move(one));
  wall->answer(wall->question().question(), kError);
  EXPECT_EQ(verdicts("onClose"), "wall=ERROR =PASS");
  EXPECT_EQ(outcomes_.at("onClose").verdict.reason(), "it has happened already");
}

TEST_F(PolicyChainTest, MessagesRoomsAndInvitesFailClosedWhateverTheHandling_C056_C059) {
  for (const char* const event : {"onBeforeSend", "onBeforeRoomCreate", "onBeforeInvite"}) {
    compliance_.add_event("p", event).set_handling(v1::ComplianceProfile::HANDLING_PASS);
  }
  compliance_.assign("wall", "p");
  start();
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  Event room = base_event("onBeforeRoomCreate", "s", v1::CONVERSATION_KIND_ROOM);
  room.mutable_room_created();
  submit(std::move(room));
  Event invite = base_event("onBeforeInvite", "t", v1::CONVERSATION_KIND_ROOM);
  invite.mutable_invited();
  submit(std::move(invite));
  advance(18s, {wall.get()});
  EXPECT_EQ(decision("a"), kError);
  EXPECT_EQ(decision("onBeforeRoomCreate"), kError);
  EXPECT_EQ(decision("onBeforeInvite"), kError);
}

TEST_F(PolicyChainTest, TimesThatDoNotFitTheDeadlineAreRefused) {
  v1::Collector config;
  config.set_event_deadline_ms(20'000);
  config.mutable_policies()->set_put_reserve_ms(2'000);
  config.mutable_policies()->set_outage_wait_ms(18'000);
  EXPECT_TRUE(policy_options(config).has_value());
  config.mutable_policies()->set_outage_wait_ms(18'001);
  EXPECT_EQ(policy_options(config).error().code(), StatusCode::kInvalidArgument);
  config.mutable_policies()->set_outage_wait_ms(0);
  config.mutable_policies()->set_put_reserve_ms(20'000);
  EXPECT_EQ(policy_options(config).error().code(), StatusCode::kInvalidArgument);
}

// --- Credit and room

TEST_F(PolicyChainTest, NoMoreQuestionsAreOpenThanTheCreditAllows) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.credit = 1});
  for (int i = 0; i < 5; ++i) submit(post("r" + std::to_string(i), std::to_string(i)));
  auto questions = wall->questions();
  ASSERT_EQ(questions.size(), 1u);
  wall->answer(questions[0].question(), kPass);
  EXPECT_EQ(wall->questions().size(), 1u);
  wall->give_credit(3);
  EXPECT_EQ(wall->questions().size(), 2u);
}

TEST_F(PolicyChainTest, QuestionsGivenUpStillCountAgainstTheCredit) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall", {.credit = 1});
  submit(post("r", "a"));
  const uint64_t question = wall->question().question();
  advance(18s, {wall.get()});
  submit(post("r", "b"));
  EXPECT_TRUE(wall->questions().empty());
  wall->answer(question, kPass);
  EXPECT_EQ(wall->question().event().id(), "b");
}

TEST_F(PolicyChainTest, BeyondTheBoundOfWaitingBytesAMessageIsRefusedAndALoginPasses) {
  options_.waiting_max_bytes = 20'000;
  start_one({"onBeforeSend", "e_SESSION"}, {"wall"});
  const auto wall = plugin("wall");
  for (int i = 0; i < 30; ++i) {
    Event event = post("r" + std::to_string(i), std::to_string(i));
    event.set_raw(std::string(1'000, 'x'));
    submit(std::move(event));
  }
  EXPECT_LE(chain_->waiting().bytes, 20'000);
  ASSERT_TRUE(is_done("29"));
  EXPECT_EQ(outcomes_.at("29").kind, PolicyOutcome::Kind::kFull);
  Event login = base_event("e_SESSION", "a@x");
  login.mutable_login();
  login.set_raw(std::string(2'000, 'x'));
  submit(std::move(login));
  EXPECT_EQ(decision("e_SESSION"), kPass);
  EXPECT_GT(wall->pass_all(), 10u);
  EXPECT_EQ(chain_->waiting().bytes, 0);
}

TEST_F(PolicyChainTest, ADialledServerWithoutAnAssignmentIsNotDialledAndSaysSo_C034) {
  start_one({"onBeforeSend"}, {"wall"});
  compliance_.add_server("legacy");
  v1::ComplianceServer& legacy = *compliance_.state().mutable_servers(1);
  legacy.set_kind(v1::ComplianceServer::KIND_LINK);
  legacy.set_host("cs1.example.com");
  legacy.set_port(7999);
  legacy.set_secret_file("/etc/verbatim/legacy.secret");
  compliance_.publish();
  chain_->tick();
  EXPECT_EQ(info("legacy").reason(), "not dialled: it has no assignment");
  EXPECT_EQ(info("legacy").state(), v1::SourceInfo::LINK_STATE_GONE);
}

TEST_F(PolicyChainTest, StoppingAnswersEverythingThatWaits_C094) {
  start_one({"onBeforeSend"}, {"wall"});
  const auto wall = plugin("wall");
  submit(post("r", "a"));
  submit(post("r", "b"));
  chain_->stop();
  EXPECT_EQ(order_, (Strings{"a", "b"}));
  EXPECT_EQ(outcomes_.at("b").kind, PolicyOutcome::Kind::kStopped);
  EXPECT_TRUE(wall->session().is_closed());
  submit(post("r", "c"));
  EXPECT_EQ(outcomes_.at("c").kind, PolicyOutcome::Kind::kStopped);
}

}  // namespace
}  // namespace verbatim::collector
