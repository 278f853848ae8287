// The first verdict of an event as the queue keeps it, so that a repeat is answered as the first
// time: a Verdict and a FirstVerdict (first_verdict.proto) in one.
//
// A changed stanza is kept where it fits into the queue's 4 KiB; of a larger one its digest is
// kept, and the stanza that the policies make when they are asked again has to be the same.
#pragma once

#include <string>

#include "collector/broker/pending_event.h"

namespace verbatim::collector {

std::string first_verdict_bytes(const v1::Verdict& verdict, const std::string& changed_raw,
                                const std::string& text_for_sender);

// Gives `answer`, which is that of the repeat as decided now, the decision, stanza and text of the
// first. Where the first stanza is not known any more, the decision is an error.
void answer_as_first(const std::string& first, Answer& answer);

}  // namespace verbatim::collector
