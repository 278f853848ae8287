// TimeWindow: when a rule is in force (RuleWindow of policy_rules.proto). Civil time by Abseil's
// time zones, which read the system's zone files (Debian's tzdata): a window from 09:00 opens at
// 09:00 by the clock on the wall, before and after a change to summer time.
//
// Threads: any; a value that does not change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "verbatim/v1/policy_rules.pb.h"

namespace verbatim::rules {

// The civil date in a time zone, such as "2026-03-31".
class CivilDays {
 public:
  // Errors: kInvalidArgument for a zone that the system does not know.
  static Result<CivilDays> create(const std::string& time_zone);
  std::string day_of(int64_t unix_ns) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

class TimeWindow {
 public:
  // Errors: kInvalidArgument "field: reason".
  static Result<TimeWindow> create(const v1::RuleWindow& window,
                                   const std::string& default_time_zone);

  bool is_open(int64_t unix_ns) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace verbatim::rules
