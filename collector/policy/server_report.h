// ServerReport: the compliance servers as they stand now, for the admin service, the alarms and the
// metrics.
//
// One row for each assignment of the routing table in force (server, profile, node, component), and
// one without a profile for a server that has no assignment. Counts are since the start of the
// service and are those of the server: rows of one server repeat them.
// Threads: any; never blocks on a plugin.
#pragma once

#include <cstdint>
#include <vector>

#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

class ServerReport {
 public:
  // Events that wait for policies now.
  struct Waiting {
    int64_t count = 0;
    int64_t bytes = 0;
  };

  virtual ~ServerReport() = default;

  // In the order of the routing table's assignments, then the servers without one.
  virtual std::vector<v1::ServerInfo> servers() const = 0;
  virtual Waiting waiting() const = 0;
};

}  // namespace verbatim::collector
