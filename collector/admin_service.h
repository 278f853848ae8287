// CollectorAdmin: what verbatimctl asks the collector. Threads: gRPC's.
//
// I1 Every change has its audit entry on the disk before it takes effect; without one it is
//    refused. How it ended, or that it was refused, is an entry of its own.
#pragma once

#include <memory>

#include "collector/ops/collector_operations.h"

namespace grpc {
class Service;
}

namespace verbatim::collector {

// Gives the service; the operations must outlive it.
std::shared_ptr<grpc::Service> create_admin_service(CollectorOperations& operations);

}  // namespace verbatim::collector
