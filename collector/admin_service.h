// CollectorAdmin: what verbatimctl asks the collector. Threads: gRPC's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector/broker/queue_broker.h"
#include "collector/fetch/file_fetcher.h"
#include "collector/sources/source.h"

namespace grpc {
class Service;
}

namespace verbatim::collector {

// Gives the service; broker, sources and fetcher must outlive it.
std::shared_ptr<grpc::Service> create_admin_service(const QueueBroker& broker,
                                                    const std::vector<const Source*>& sources,
                                                    const FileFetcher& fetcher);

}  // namespace verbatim::collector
