#include "collector/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include "base/service.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::collector {
namespace {

class AdminService final : public v1::CollectorAdmin::Service {
 public:
  AdminService(const QueueBroker& broker, std::vector<const Source*> sources,
               const FileFetcher& fetcher)
      : broker_(broker),
        sources_(std::move(sources)),
        fetcher_(fetcher),
        started_unix_ns_(broker.clock().unix_now_ns()) {}

  ::grpc::Status GetInfo(::grpc::ServerContext* /*context*/, const v1::GetInfoRequest* /*request*/,
                         v1::GetInfoResponse* response) override {
    v1::ServiceInfo& info = *response->mutable_info();
    info.set_service("verbatim-collector");
    info.set_version(std::string(base::version()));
    info.set_started_unix_ns(started_unix_ns_);
    info.set_pid(getpid());
    if (!broker_.is_queue_connected()) info.add_notices("the queue does not answer");
    const v1::OutboxInfo outbox = broker_.outbox_info();
    if (outbox.event_count() > 0) {
      info.add_notices(std::to_string(outbox.event_count()) + " events wait in the outbox");
    }
    return ::grpc::Status::OK;
  }

  ::grpc::Status ListSources(::grpc::ServerContext* /*context*/,
                             const v1::ListSourcesRequest* /*request*/,
                             v1::ListSourcesResponse* response) override {
    for (const Source* source : sources_) {
      for (v1::SourceInfo& row : source->info()) *response->add_sources() = std::move(row);
    }
    *response->mutable_outbox() = broker_.outbox_info();
    response->set_in_flight_count(broker_.in_flight_count());
    response->set_is_queue_connected(broker_.is_queue_connected());
    response->set_profile(broker_.profile().name());
    *response->mutable_fetch() = fetcher_.info();
    return ::grpc::Status::OK;
  }

 private:
  const QueueBroker& broker_;
  const std::vector<const Source*> sources_;
  const FileFetcher& fetcher_;
  const int64_t started_unix_ns_;
};

}  // namespace

std::shared_ptr<grpc::Service> create_admin_service(const QueueBroker& broker,
                                                    const std::vector<const Source*>& sources,
                                                    const FileFetcher& fetcher) {
  return std::make_shared<AdminService>(broker, sources, fetcher);
}

}  // namespace verbatim::collector
