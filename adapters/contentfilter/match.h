// Where a rule matches in a folded text.
#pragma once

#include <cstdint>

#include "adapters/rules/text_fold.h"

namespace verbatim::content {

struct Match {
  uint32_t rule = 0;
  rules::TextSpan span;  // of the folded text; not empty

  bool operator==(const Match&) const = default;
};

}  // namespace verbatim::content
