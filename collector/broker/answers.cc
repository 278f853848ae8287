#include "collector/broker/answers.h"

#include <utility>

namespace verbatim::collector {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{500};

}  // namespace

Answer error_answer(Answer::Cause cause, std::string reason) {
  Answer answer;
  answer.kind = Answer::Kind::kError;
  answer.cause = cause;
  answer.reason = std::move(reason);
  if (cause != Answer::Cause::kDeadline) answer.retry_after = kRetryAfter;
  return answer;
}

Answer refused_answer(const Status& status) {
  Answer answer;
  answer.kind = Answer::Kind::kRefused;
  if (status.code() == StatusCode::kResourceExhausted) answer.cause = Answer::Cause::kTooLarge;
  answer.reason = status.message();
  return answer;
}

Answer accepted_answer(const std::string& event_id) {
  Answer answer;
  answer.kind = Answer::Kind::kAccepted;
  answer.verdict.set_decision(v1::DECISION_PASS);
  answer.event_id = event_id;
  return answer;
}

}  // namespace verbatim::collector
