// The checks: each plays one scene of the contract and judges what the plugin did.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "adapters/check/bench.h"

namespace verbatim::adapters::check {

// What a check has found; a Status tells failure (Bench::broken).
struct Finding {
  bool is_skipped = false;
  std::string what;
};

struct Check {
  std::string_view name;
  std::string_view purpose;
  Result<Finding> (*run)(Bench& bench);
};

// In the order in which they are to run: the first one starts the plugin.
std::span<const Check> all_checks();

}  // namespace verbatim::adapters::check
