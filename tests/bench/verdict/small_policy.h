// The smallest policy that there can be: it passes what it is asked, or says nothing at all.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbatim::bench {

struct SmallPolicyOptions {
  std::string address;
  std::string name;
  bool is_silent = false;
  int credit = 1'024;
};

// Runs until its stream ends; prints "active" when it is asked.
Status run_small_policy(const SmallPolicyOptions& options);

// The floor of asking: round trips a second over such a stream, one at a time, between two threads.
// Gives each one's microseconds.
std::vector<double> measure_round_trips(size_t count, size_t bytes);

}  // namespace verbatim::bench
