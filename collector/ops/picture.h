// What operators see of the collector at one moment: the input of its alarms and metrics.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "collector/compliance/routing_table.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct CollectorPicture {
  int64_t now_unix_ns = 0;
  v1::ListSourcesResponse sources;
  v1::ListServersResponse servers;
  // Limits; 0: none.
  int64_t outbox_max_bytes = 0;
  int64_t waiting_max_bytes = 0;
  // How long the queue has not answered; 0 while it does.
  int64_t queue_gone_ms = 0;
  // Never null.
  std::shared_ptr<const RoutingTable> routing;
};

}  // namespace verbatim::collector
