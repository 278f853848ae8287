// How answers are made.
#pragma once

#include <string>

#include "base/status.h"
#include "collector/broker/pending_event.h"

namespace verbatim::collector {

// "Not durable": the sender may try again later, but for kDeadline.
Answer error_answer(Answer::Cause cause, std::string reason);
// "Wrong": kResourceExhausted means too large.
Answer refused_answer(const Status& status);
// "Durable", with the decision PASS.
Answer accepted_answer(const std::string& event_id);

}  // namespace verbatim::collector
