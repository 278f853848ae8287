#include "collector/broker/first_verdict.h"

#include <utility>

#include "base/log.h"
#include "base/sha256.h"
#include "verbatim/v1/first_verdict.pb.h"

namespace verbatim::collector {
namespace {

constexpr size_t kMaxBytes = 4'096;  // PutMessage.verdict

}  // namespace

std::string first_verdict_bytes(const v1::Verdict& verdict, const std::string& changed_raw,
                                const std::string& text_for_sender) {
  v1::FirstVerdict first;
  if (!changed_raw.empty()) first.set_changed_sha256(base::sha256(changed_raw));
  first.set_text_for_sender(text_for_sender);
  const std::string bytes = verdict.SerializeAsString();
  std::string without_stanza = bytes + first.SerializeAsString();
  first.set_changed_raw(changed_raw);
  std::string whole = bytes + first.SerializeAsString();
  return whole.size() <= kMaxBytes ? whole : without_stanza;
}

void answer_as_first(const std::string& bytes, Answer& answer) {
  v1::FirstVerdict first;
  std::string made_now = std::exchange(answer.changed_raw, {});
  answer.text_for_sender.clear();
  answer.verdict.Clear();
  if (!answer.verdict.ParseFromString(bytes) || !first.ParseFromString(bytes)) {
    LOG_ERROR("a first verdict does not parse event_id={}", answer.event_id);
    answer.verdict.set_decision(v1::DECISION_ERROR);
    return;
  }
  answer.text_for_sender = first.text_for_sender();
  if (answer.verdict.decision() != v1::DECISION_PASS_CHANGED) return;
  if (!first.changed_raw().empty()) {
    answer.changed_raw = first.changed_raw();
  } else if (base::sha256(made_now) == first.changed_sha256()) {
    answer.changed_raw = std::move(made_now);
  } else {
    LOG_WARN("a repeat cannot be answered as the first time event_id={}", answer.event_id);
    answer.verdict.set_decision(v1::DECISION_ERROR);
    answer.verdict.set_reason("the policies do not change the stanza as the first time");
  }
}

}  // namespace verbatim::collector
