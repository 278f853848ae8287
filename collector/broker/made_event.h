// Events that the collector makes itself, and outlines of those that it was given.
#pragma once

#include <string>

#include "collector/broker/broker.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// A capture gap in the source's own conversation.
v1::Event make_gap_event(const GapReport& report);

// What became of the answer to `about`, in its conversation.
v1::Event make_outcome_event(const v1::Event& about, const std::string& event_id,
                             v1::VerdictOutcome::Outcome outcome, const std::string& detail);

// What roster, attempts and outcomes need of an event, without texts and raw bytes.
v1::Event outline_of(const v1::Event& event);

// True for what moves anyone in the roster.
bool concerns_roster(const v1::Event& event);

}  // namespace verbatim::collector
