// PeopleTable: the people of one CSV file (RFC 4180), by normalised bare address.
//
// The first line names the columns: address, and any of name, email, department, groups (separated
// by ";"), in any order. Empty lines count for nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "collector/directory/person.h"

namespace verbatim::collector {

using PeopleTable = std::unordered_map<std::string, Person>;

// A file is taken as a whole or not at all. Errors: kInvalidArgument names each bad line and why,
// the first ten of them, and nothing of what stands there: "line 3: 4 fields, not 5; line 9: …".
Result<PeopleTable> parse_people(std::string_view csv, size_t people_max_count);

}  // namespace verbatim::collector
