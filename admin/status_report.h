// The judgement behind `verbatimctl status`: what the services said, balanced and weighed.
// Pure functions over messages; the asking is in commands.cc.
#pragma once

#include "verbatim/v1/report.pb.h"

namespace verbatim::admin {

// Exit codes of verbatimctl; scripts rely on them.
enum ExitCode : int {
  kExitOk = 0,
  // A difference that is not 0, something that needs a person, or a refused request.
  kExitAttention = 1,
  // Wrong flags or arguments.
  kExitUsage = 2,
  // A service does not answer.
  kExitServiceDown = 3,
};

// Fills balance, difference_total, attention and exit_code from the rest of the report.
void judge(v1::StatusReport& report);

}  // namespace verbatim::admin
