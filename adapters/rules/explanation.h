// Texts for people with placeholders: "Not delivered to {recipient} ({rule})." Pure functions.
#pragma once

#include <map>
#include <string>

#include "base/status.h"

namespace verbatim::rules {

using Placeholders = std::map<std::string, std::string, std::less<>>;

// Errors: kInvalidArgument with the first placeholder that is not in `known`; a brace that opens
// nothing stays as it is.
Status check_explanation(const std::string& text, const Placeholders& known);

// Placeholders by their values, which are not looked into again.
std::string fill_explanation(const std::string& text, const Placeholders& values);

}  // namespace verbatim::rules
