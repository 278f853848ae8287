// One change by an operator: from a whole ComplianceState and a request to the next whole state.
// Pure functions; compliance_store.h makes them durable.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct ComplianceChange {
  // Whole, valid, with the next revision.
  v1::ComplianceState state;
  // What the operator should know though it is done, one sentence each.
  std::vector<std::string> warnings;
};

// Errors, all of which leave everything as it is: kInvalidArgument (a name or entry that the rules
// forbid, or not exactly one change), kNotFound, kAlreadyExists, kFailedPrecondition (in use,
// immutable, or not in this mode), kAborted (the expected revision is not the one in force).
Result<ComplianceChange> apply_change(const v1::ComplianceState& state,
                                      const v1::ChangeComplianceRequest& request);

// What the audit log says of a request on a state: "profiles create", the profile's name, its
// events.
struct ChangeDescription {
  std::string action;
  std::string subject;
  std::string detail;
};
ChangeDescription describe_change(const v1::ComplianceState& state,
                                  const v1::ChangeComplianceRequest& request);

}  // namespace verbatim::collector
