#include "adapters/sdk/policy_verdict.h"

#include <algorithm>

#include "base/sha256.h"

namespace verbatim::adapters {
namespace {

// Limits of policy.proto.
constexpr size_t kTextMaxBytes = 1'024;
constexpr size_t kRuleMaxBytes = 256;
constexpr size_t kReasonMaxBytes = 1'024;

std::string cut(std::string text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text;
}

bool is_allowed(const v1::PolicyQuestion& question, v1::Decision decision) {
  if (decision == v1::DECISION_ERROR || question.allowed().empty()) return true;
  return std::find(question.allowed().begin(), question.allowed().end(), decision) !=
         question.allowed().end();
}

PolicyAnswer error_answer(std::string reason) {
  PolicyAnswer answer = PolicyAnswer::error();
  answer.reason = std::move(reason);
  return answer;
}

// What the event allows of it.
PolicyAnswer fitted(const v1::PolicyQuestion& question, PolicyAnswer answer) {
  if (answer.decision == v1::DECISION_PASS_CHANGED && answer.changed_raw.empty()) {
    return error_answer("the policy gave no changed stanza");
  }
  if (is_allowed(question, answer.decision)) return answer;
  // Unchanged it would take along what the policy has taken out.
  if (answer.decision == v1::DECISION_PASS_CHANGED && is_allowed(question, v1::DECISION_HANDLE)) {
    answer.decision = v1::DECISION_HANDLE;
    answer.reason = "cannot be changed at this point" +
                    (answer.reason.empty() ? std::string() : ": " + answer.reason);
    return answer;
  }
  if (!is_allowed(question, v1::DECISION_PASS)) {
    return error_answer("the policy's decision is not allowed here");
  }
  answer = std::move(answer).as_dry_run();
  answer.is_flagged = true;
  answer.reason = "cannot be refused at this point" +
                  (answer.reason.empty() ? std::string() : ": " + answer.reason);
  return answer;
}

}  // namespace

v1::PolicyVerdict to_verdict(const v1::PolicyQuestion& question,
                             const Result<PolicyAnswer>& result) {
  const PolicyAnswer answer =
      fitted(question, result ? *result : error_answer(result.error().to_string()));
  const bool is_refusal =
      answer.decision == v1::DECISION_HANDLE || answer.decision == v1::DECISION_ERROR;
  v1::PolicyVerdict verdict;
  verdict.set_question(question.question());
  verdict.set_decision(answer.decision);
  if (answer.decision == v1::DECISION_PASS_CHANGED) verdict.set_changed_raw(answer.changed_raw);
  if (is_refusal) verdict.set_text_for_sender(cut(answer.text_for_sender, kTextMaxBytes));
  verdict.set_rule(cut(answer.rule, kRuleMaxBytes));
  verdict.set_reason(cut(answer.reason, kReasonMaxBytes));
  CHECK(answer.rule_set_sha256.empty() || answer.rule_set_sha256.size() == base::kSha256Size,
        "a policy's digest is no SHA-256");
  verdict.set_rule_set_sha256(answer.rule_set_sha256);
  verdict.set_dry_run_decision(answer.dry_run_decision);
  verdict.set_is_flagged(answer.is_flagged);
  return verdict;
}

v1::PolicyVerdict too_late_verdict(const v1::PolicyQuestion& question) {
  return to_verdict(question, error_answer("its deadline was over before its turn came"));
}

}  // namespace verbatim::adapters
