// Alarms: named, persistent states that need a person (design, "When it is full").
#pragma once

#include <compare>
#include <string>

namespace verbatim::base {

// Something that is an alarm now.
struct AlarmCondition {
  std::string name;     // "queue-full"
  std::string subject;  // "events"
  std::string text;     // why, and what to do; never chat text or secrets
};

}  // namespace verbatim::base
