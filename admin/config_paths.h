// The folders that a configuration names, tried without leaving a trace.
#pragma once

#include <string>
#include <vector>

#include "base/config_origin.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::admin {

// "file:line: key: reason" for each folder setting that is neither a writable folder nor can be
// made into one by this user. Creates nothing: the check may be run beside running services.
std::vector<std::string> unusable_paths(const v1::Config& config, const base::ConfigOrigin& origin);

}  // namespace verbatim::admin
