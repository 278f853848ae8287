#include "collector/policy/policy_question.h"

#include <algorithm>
#include <utility>

#include "base/sha256.h"

namespace verbatim::collector {
namespace {

constexpr size_t kRuleMaxBytes = 256;
constexpr size_t kTextMaxBytes = 1'024;
// The limit of common servers for one stanza (Prosody, ejabberd: 512 KiB), so that what a policy
// makes of a stanza can be delivered.
constexpr size_t kChangedMaxBytes = 512 * 1'024 - 1;

// At most so many bytes, never half a character.
std::string cut(const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t size = max_bytes;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  return text.substr(0, size);
}

// Why the answer is none; empty for a proper one.
std::string fault_of(const PolicySubject& subject, const v1::PolicyVerdict& answer) {
  const auto& allowed = subject.allowed;
  const v1::Decision decision = answer.decision();
  const bool is_allowed = decision == v1::DECISION_ERROR ||
                          std::find(allowed.begin(), allowed.end(), decision) != allowed.end();
  if (!v1::Decision_IsValid(decision) || decision == v1::DECISION_UNSPECIFIED) {
    return "an answer without a decision";
  }
  if (!is_allowed) return v1::Decision_Name(decision) + " is not allowed for this event";
  const bool has_stanza = !answer.changed_raw().empty();
  if (decision == v1::DECISION_PASS_CHANGED && !has_stanza) return "a change without a stanza";
  if (decision != v1::DECISION_PASS_CHANGED && has_stanza) return "a stanza without a change";
  if (answer.changed_raw().size() > kChangedMaxBytes) return "the changed stanza is too large";
  return {};
}

}  // namespace

v1::Event PolicySubject::shown() const {
  v1::Event copy = *event;
  for (const v1::Verdict& verdict : verdicts) *copy.add_verdicts() = verdict;
  if (!changed_raw.empty()) {
    copy.set_raw(changed_raw);
  } else if (stanza_of != nullptr) {
    copy.set_raw(std::string(stanza_of(event->raw())));
  }
  return copy;
}

PolicyReply no_reply(v1::Verdict::Cause cause, const std::string& server, std::string reason) {
  PolicyReply reply;
  reply.verdict.set_policy(server);
  reply.verdict.set_decision(v1::DECISION_ERROR);
  reply.verdict.set_cause(cause);
  reply.verdict.set_reason(std::move(reason));
  return reply;
}

PolicyReply read_reply(const PolicySubject& subject, const std::string& server,
                       const v1::PolicyVerdict& answer) {
  if (std::string fault = fault_of(subject, answer); !fault.empty()) {
    return no_reply(v1::Verdict::CAUSE_INVALID_REPLY, server, std::move(fault));
  }
  PolicyReply reply;
  v1::Verdict& verdict = reply.verdict;
  verdict.set_policy(server);
  verdict.set_decision(answer.decision());
  verdict.set_cause(v1::Verdict::CAUSE_ANSWERED);
  verdict.set_rule(cut(answer.rule(), kRuleMaxBytes));
  verdict.set_reason(cut(answer.reason(), kTextMaxBytes));
  verdict.set_is_flagged(answer.is_flagged());
  if (v1::Decision_IsValid(answer.dry_run_decision())) {
    verdict.set_dry_run_decision(answer.dry_run_decision());
  }
  if (answer.rule_set_sha256().size() == base::kSha256Size) {
    verdict.set_rule_set_sha256(answer.rule_set_sha256());
  }
  reply.changed_raw = answer.changed_raw();
  if (answer.decision() == v1::DECISION_HANDLE || answer.decision() == v1::DECISION_ERROR) {
    reply.text_for_sender = cut(answer.text_for_sender(), kTextMaxBytes);
  }
  return reply;
}

LateReply about_late(const v1::Event& event, std::string detail) {
  LateReply late;
  late.event_id = event.id();
  *late.about.mutable_source() = event.source();
  *late.about.mutable_conversation() = event.conversation();
  *late.about.mutable_actor() = event.actor();
  *late.about.mutable_others() = event.others();
  late.detail = std::move(detail);
  return late;
}

}  // namespace verbatim::collector
