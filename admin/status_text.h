// The picture that `verbatimctl status` gives to people. Pure.
#pragma once

#include <chrono>
#include <string>

#include "verbatim/v1/report.pb.h"

namespace verbatim::admin {

// `now` as Unix time, for the ages. The report has been judged (status_report.h).
std::string status_text(const v1::StatusReport& report, bool has_colour,
                        std::chrono::nanoseconds now);

}  // namespace verbatim::admin
