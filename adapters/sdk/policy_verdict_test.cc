#include "adapters/sdk/policy_verdict.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace verbatim::adapters {
namespace {

v1::PolicyQuestion question(const std::vector<v1::Decision>& allowed = {}) {
  v1::PolicyQuestion asked;
  asked.set_question(7);
  for (const v1::Decision decision : allowed) asked.add_allowed(decision);
  return asked;
}

TEST(PolicyVerdictTest, AnAnswerTravelsAsItIs) {
  PolicyAnswer answer = PolicyAnswer::handle("no");
  answer.rule = "wall";
  answer.reason = "because";
  answer.rule_set_sha256 = std::string(32, 'd');
  answer.is_flagged = true;
  const v1::PolicyVerdict verdict = to_verdict(question(), answer);
  EXPECT_EQ(verdict.question(), 7U);
  EXPECT_EQ(verdict.decision(), v1::DECISION_HANDLE);
  EXPECT_EQ(verdict.text_for_sender(), "no");
  EXPECT_EQ(verdict.rule(), "wall");
  EXPECT_EQ(verdict.reason(), "because");
  EXPECT_EQ(verdict.rule_set_sha256(), std::string(32, 'd'));
  EXPECT_TRUE(verdict.is_flagged());
}

// What has happened cannot be stopped, and the broker would count HANDLE as an invalid reply.
TEST(PolicyVerdictTest, WhatTheEventDoesNotAllowBecomesAFlaggedPass) {
  const v1::PolicyVerdict verdict =
      to_verdict(question({v1::DECISION_PASS}), PolicyAnswer::handle("no"));
  EXPECT_EQ(verdict.decision(), v1::DECISION_PASS);
  EXPECT_EQ(verdict.dry_run_decision(), v1::DECISION_HANDLE);
  EXPECT_TRUE(verdict.is_flagged());
  EXPECT_TRUE(verdict.text_for_sender().empty());
  EXPECT_EQ(
      to_verdict(question({v1::DECISION_PASS}), PolicyAnswer::pass_changed("<m/>")).decision(),
      v1::DECISION_PASS);
  EXPECT_EQ(to_verdict(question({v1::DECISION_PASS}), PolicyAnswer::error("no")).decision(),
            v1::DECISION_ERROR);
}

TEST(PolicyVerdictTest, AChangeThatTheEventCannotTakeIsStoppedWhereItCanBe) {
  const v1::PolicyVerdict verdict = to_verdict(question({v1::DECISION_PASS, v1::DECISION_HANDLE}),
                                               PolicyAnswer::pass_changed("<m/>"));
  EXPECT_EQ(verdict.decision(), v1::DECISION_HANDLE);
  EXPECT_TRUE(verdict.changed_raw().empty());
  EXPECT_EQ(verdict.reason(), "cannot be changed at this point");
}

TEST(PolicyVerdictTest, AnErrorIsAnsweredAsOne) {
  const v1::PolicyVerdict verdict = to_verdict(question(), unavailable("the store is gone"));
  EXPECT_EQ(verdict.decision(), v1::DECISION_ERROR);
  EXPECT_EQ(verdict.reason(), "UNAVAILABLE: the store is gone");
  EXPECT_TRUE(verdict.text_for_sender().empty());
}

TEST(PolicyVerdictTest, AChangedStanzaThatIsEmptyIsAnError) {
  EXPECT_EQ(to_verdict(question(), PolicyAnswer::pass_changed("")).decision(), v1::DECISION_ERROR);
}

TEST(PolicyVerdictTest, ADryRunPassesAndSaysWhatItWouldHaveDone) {
  const v1::PolicyVerdict verdict =
      to_verdict(question(), PolicyAnswer::pass_changed("<m/>").as_dry_run());
  EXPECT_EQ(verdict.decision(), v1::DECISION_PASS);
  EXPECT_EQ(verdict.dry_run_decision(), v1::DECISION_PASS_CHANGED);
  EXPECT_TRUE(verdict.changed_raw().empty());
}

TEST(PolicyVerdictTest, LongTextsAreCutAtTheEndOfACharacter) {
  std::string text = "x";
  for (int i = 0; i < 1'000; ++i) text += "\xE2\x82\xAC";
  PolicyAnswer answer = PolicyAnswer::handle(text);
  answer.rule = answer.reason = text;
  const v1::PolicyVerdict verdict = to_verdict(question(), answer);
  EXPECT_EQ(verdict.text_for_sender().size(), 1'024U);
  EXPECT_EQ(verdict.rule().size(), 256U);
  EXPECT_LE(verdict.reason().size(), 1'024U);
  EXPECT_TRUE(base::is_utf8(verdict.text_for_sender()));
  EXPECT_TRUE(base::is_utf8(verdict.rule()));
}

TEST(PolicyVerdictTest, AQuestionWhoseTimeIsOverIsAnsweredWithAnError) {
  EXPECT_EQ(too_late_verdict(question()).decision(), v1::DECISION_ERROR);
  EXPECT_NE(too_late_verdict(question()).reason().find("deadline"), std::string::npos);
}

}  // namespace
}  // namespace verbatim::adapters
