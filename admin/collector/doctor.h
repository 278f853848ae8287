// The judgement behind `verbatimctl doctor`: of each service, link, server and assignment what is
// wrong and what to do. Pure function over what the services said.
#pragma once

#include <optional>
#include <vector>

#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/report.pb.h"

namespace verbatim::admin {

struct DoctorInput {
  // Name, address, and the error of those that do not answer.
  std::vector<v1::ServiceState> services;
  // What the collector said; nothing where it does not answer.
  std::optional<v1::ListSourcesResponse> sources;
  std::optional<v1::ListServersResponse> servers;
  std::optional<v1::ComplianceState> compliance;
  // Raised ones, of all services; Alarm.service is set.
  std::vector<v1::Alarm> alarms;
};

// The findings, what is wrong first. Exit code 3 where a service does not answer, else 1 where
// something is wrong.
v1::DoctorReport diagnose(const DoctorInput& input);

}  // namespace verbatim::admin
