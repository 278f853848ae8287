#include "processor/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/grpc_status.h"
#include "base/service.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::processor {
namespace {

constexpr int kTailBacklogMaxCount = 10'000;
constexpr int kTailChunkCount = 256;

}  // namespace

class AdminService::Implementation final : public v1::ProcessorAdmin::Service {
 public:
  Implementation(Staging& staging, Hub& hub, std::function<std::vector<std::string>()> notices)
      : staging_(staging),
        hub_(hub),
        notices_(std::move(notices)),
        started_unix_ns_(base::system_clock().unix_now_ns()) {}

  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*,
                       v1::GetInfoResponse* response) override {
    v1::ServiceInfo& info = *response->mutable_info();
    info.set_service("verbatim-processor");
    info.set_version(std::string(base::version()));
    info.set_started_unix_ns(started_unix_ns_);
    info.set_pid(getpid());
    for (const std::string& notice : notices_()) info.add_notices(notice);
    return grpc::Status::OK;
  }

  grpc::Status GetAccounting(grpc::ServerContext*, const v1::GetAccountingRequest* request,
                             v1::GetAccountingResponse* response) override {
    auto accounting = staging_.accounting(request->recount());
    if (!accounting) return base::to_grpc(accounting.error());
    *response = *std::move(accounting);
    return grpc::Status::OK;
  }

  grpc::Status ListAdapters(grpc::ServerContext*, const v1::ListAdaptersRequest*,
                            v1::ListAdaptersResponse* response) override {
    for (auto& info : hub_.adapters()) *response->add_adapters() = std::move(info);
    response->set_store_epoch(staging_.epoch());
    return grpc::Status::OK;
  }

  grpc::Status UpdateAdapter(grpc::ServerContext* context, const v1::UpdateAdapterRequest* request,
                             v1::UpdateAdapterResponse*) override {
    const AdapterChannel* channel = hub_.find(request->adapter());
    if (request->action() == v1::UpdateAdapterRequest::ACTION_REMOVE && channel != nullptr &&
        channel->status().session_count > 0) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              "the adapter is attached: stop it before it is removed"};
    }
    const Status status = staging_.update_adapter(*request, context->peer());
    if (status.ok()) {
      // The archive's front may have moved.
      const Status deleted = staging_.delete_archived();
      if (!deleted.ok()) return base::to_grpc(deleted);
    }
    hub_.poke();
    return base::to_grpc(status);
  }

  grpc::Status TailEvents(grpc::ServerContext* context, const v1::TailEventsRequest* request,
                          grpc::ServerWriter<v1::TailEventsResponse>* writer) override {
    const int backlog = std::clamp(request->backlog(), 0, kTailBacklogMaxCount);
    uint64_t last = staging_.last_sequence();
    auto events = staging_.newest_events(backlog);
    while (true) {
      if (!events) return base::to_grpc(events.error());
      if (!events->empty()) last = std::max(last, events->back().sequence());
      if (!write(*events, *writer)) return grpc::Status::OK;
      if (!request->follow()) return grpc::Status::OK;
      staging_.wait_for_events(last, std::chrono::milliseconds(500));
      if (context->IsCancelled() || is_stopping_) return grpc::Status::OK;
      events = staging_.events_above(last, kTailChunkCount);
    }
  }

  grpc::Status ListQuarantine(grpc::ServerContext*, const v1::ListQuarantineRequest* request,
                              v1::ListQuarantineResponse* response) override {
    auto events = staging_.quarantined(request->adapter());
    if (!events) return base::to_grpc(events.error());
    for (auto& event : *events) *response->add_events() = std::move(event);
    return grpc::Status::OK;
  }

  grpc::Status ReleaseQuarantine(grpc::ServerContext* context,
                                 const v1::ReleaseQuarantineRequest* request,
                                 v1::ReleaseQuarantineResponse* response) override {
    const auto count = staging_.release(*request, context->peer());
    if (!count) return base::to_grpc(count.error());
    response->set_released_count(static_cast<int64_t>(*count));
    hub_.poke();
    return grpc::Status::OK;
  }

  void stop() {
    is_stopping_ = true;
    staging_.wake();
  }

 private:
  static bool write(const std::vector<v1::EventInfo>& events,
                    grpc::ServerWriter<v1::TailEventsResponse>& writer) {
    v1::TailEventsResponse response;
    for (const auto& event : events) {
      *response.add_events() = event;
      if (response.events_size() < kTailChunkCount) continue;
      if (!writer.Write(response)) return false;
      response.clear_events();
    }
    return response.events_size() == 0 || writer.Write(response);
  }

  Staging& staging_;
  Hub& hub_;
  const std::function<std::vector<std::string>()> notices_;
  const int64_t started_unix_ns_;
  std::atomic<bool> is_stopping_{false};
};

AdminService::AdminService(Staging& staging, Hub& hub,
                           std::function<std::vector<std::string>()> notices)
    : implementation_(std::make_unique<Implementation>(staging, hub, std::move(notices))) {}
AdminService::~AdminService() = default;
grpc::Service* AdminService::service() { return implementation_.get(); }
void AdminService::stop() { implementation_->stop(); }

}  // namespace verbatim::processor
