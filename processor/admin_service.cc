#include "processor/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "base/caller.h"
#include "base/grpc_status.h"
#include "base/hex.h"
#include "base/service.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::processor {
namespace {

constexpr int kTailBacklogMaxCount = 10'000;
constexpr int kTailChunkCount = 256;
constexpr int kFilesMaxCount = 10'000;
// A queue that is away is pending, and told by ListHolds.
constexpr std::chrono::seconds kQueueFlagWait{2};

Status no_reason(const std::string& what) {
  return invalid_argument(what + " needs a reason: it goes into the audit log");
}

}  // namespace

class AdminService::Implementation final : public v1::ProcessorAdmin::Service {
 public:
  explicit Implementation(Parts parts)
      : staging_(parts.staging),
        hub_(parts.hub),
        operations_(parts.operations),
        files_(parts.files),
        notices_(std::move(parts.notices)),
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
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    if (request->reason().empty()) return base::to_grpc(no_reason("a change of an adapter"));
    const AdapterChannel* channel = hub_.find(request->adapter());
    if (request->action() == v1::UpdateAdapterRequest::ACTION_REMOVE && channel != nullptr &&
        channel->status().session_count > 0) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              "the adapter is attached: stop it before it is removed"};
    }
    const Status status = staging_.update_adapter(*request, base::caller_of(*context));
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
    // What a removed adapter had rejected is still shown under its name.
    if (events->empty() && !request->adapter().empty()) {
      const auto known = staging_.last_acked(request->adapter());
      if (!known) return base::to_grpc(known.error());
    }
    for (auto& event : *events) *response->add_events() = std::move(event);
    return grpc::Status::OK;
  }

  grpc::Status ReleaseQuarantine(grpc::ServerContext* context,
                                 const v1::ReleaseQuarantineRequest* request,
                                 v1::ReleaseQuarantineResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    if (request->reason().empty()) return base::to_grpc(no_reason("a release from quarantine"));
    const auto count = staging_.release(*request, base::caller_of(*context));
    if (!count) return base::to_grpc(count.error());
    response->set_released_count(static_cast<int64_t>(*count));
    hub_.poke();
    return grpc::Status::OK;
  }

  grpc::Status AddHold(grpc::ServerContext* context, const v1::AddHoldRequest* request,
                       v1::AddHoldResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    auto hold = staging_.add_hold(*request, base::caller_of(*context));
    if (!hold) return base::to_grpc(hold.error());
    *response->mutable_hold() = *std::move(hold);
    operations_.holds().look_now(kQueueFlagWait);
    return grpc::Status::OK;
  }

  grpc::Status ListHolds(grpc::ServerContext*, const v1::ListHoldsRequest*,
                         v1::ListHoldsResponse* response) override {
    const grpc::Status status = answer(staging_.holds(), response);
    for (auto& queue : operations_.holds().queues()) *response->add_queues() = std::move(queue);
    return status;
  }

  grpc::Status ReleaseHold(grpc::ServerContext* context, const v1::ReleaseHoldRequest* request,
                           v1::ReleaseHoldResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    auto released = staging_.release_hold(*request, base::caller_of(*context));
    if (released) operations_.holds().look_now(kQueueFlagWait);
    return answer(std::move(released), response);
  }

  grpc::Status ListStaged(grpc::ServerContext*, const v1::ListStagedRequest* request,
                          v1::ListStagedResponse* response) override {
    return answer(staging_.list_staged(*request), response);
  }

  grpc::Status ShowEvent(grpc::ServerContext* context, const v1::ShowEventRequest* request,
                         v1::ShowEventResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    return answer(staging_.show_event(*request, base::caller_of(*context)), response);
  }

  grpc::Status TraceMessage(grpc::ServerContext* context, const v1::TraceMessageRequest* request,
                            v1::TraceMessageResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    return answer(staging_.trace_message(*request, base::caller_of(*context)), response);
  }

  grpc::Status ListBatches(grpc::ServerContext*, const v1::ListBatchesRequest* request,
                           v1::ListBatchesResponse* response) override {
    return answer(staging_.batches(*request), response);
  }

  grpc::Status ListFiles(grpc::ServerContext*, const v1::ListFilesRequest* request,
                         v1::ListFilesResponse* response) override {
    *response->mutable_collection() = operations_.files().state();
    if (request->only_unnamed()) return list_unnamed(*request, *response);
    const auto listed = staging_.list_files(*request);
    if (!listed) return base::to_grpc(listed.error());
    response->set_next_sequence(listed->next_sequence());
    for (v1::NamedFile file : listed->files()) {
      const auto size = file_size(file.sha256());
      if (request->only_missing() && size) continue;
      file.set_is_stored(size.has_value());
      if (size) file.set_size_bytes(static_cast<int64_t>(*size));
      *response->add_files() = std::move(file);
    }
    return grpc::Status::OK;
  }

  grpc::Status ReplayAdapter(grpc::ServerContext* context, const v1::ReplayAdapterRequest* request,
                             v1::ReplayAdapterResponse* response) override {
    if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
    auto replay = staging_.replay(*request, base::caller_of(*context));
    hub_.poke();
    return answer(std::move(replay), response);
  }

  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override {
    if (request->action() != v1::DrainRequest::ACTION_UNSPECIFIED) {
      if (const Status full = check_room(); !full.ok()) return base::to_grpc(full);
      const Status status = operations_.drain(*request, base::caller_of(*context));
      if (!status.ok()) return base::to_grpc(status);
    }
    *response = operations_.drain_state();
    return grpc::Status::OK;
  }

  grpc::Status ListAlarms(grpc::ServerContext*, const v1::ListAlarmsRequest* request,
                          v1::ListAlarmsResponse* response) override {
    for (auto& alarm : operations_.alarms().list(request->with_cleared())) {
      *response->add_alarms() = std::move(alarm);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListAudit(grpc::ServerContext*, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override {
    return answer(staging_.audit(*request), response);
  }

  void stop() {
    is_stopping_ = true;
    staging_.wake();
  }

 private:
  template <class Response>
  static grpc::Status answer(Result<Response> result, Response* response) {
    if (!result) return base::to_grpc(result.error());
    *response = *std::move(result);
    return grpc::Status::OK;
  }

  // Every change, and every look at content, writes its audit row first.
  Status check_room() {
    if (operations_.marks().has_room()) return {};
    return resource_exhausted("the disk of the staging store is full: nothing can be audited");
  }

  grpc::Status list_unnamed(const v1::ListFilesRequest& request, v1::ListFilesResponse& response) {
    auto files = operations_.files().unnamed(
        static_cast<size_t>(std::clamp(request.max_count(), 1, kFilesMaxCount)));
    if (!files) return base::to_grpc(files.error());
    for (v1::NamedFile& file : *files) {
      const auto size = file_size(file.sha256());
      if (!size) continue;
      file.set_is_stored(true);
      file.set_size_bytes(static_cast<int64_t>(*size));
      *response.add_files() = std::move(file);
    }
    return grpc::Status::OK;
  }

  // Nothing where the content is not there.
  std::optional<uint64_t> file_size(const std::string& hex) const {
    const auto digest = base::from_hex(hex);
    if (!digest) return std::nullopt;
    const auto size = files_.size(*digest);
    return size ? std::optional<uint64_t>(*size) : std::nullopt;
  }

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
  ProcessorOperations& operations_;
  const base::ContentStore& files_;
  const std::function<std::vector<std::string>()> notices_;
  const int64_t started_unix_ns_;
  std::atomic<bool> is_stopping_{false};
};

AdminService::AdminService(Parts parts)
    : implementation_(std::make_unique<Implementation>(std::move(parts))) {}
AdminService::~AdminService() = default;
grpc::Service* AdminService::service() { return implementation_.get(); }
void AdminService::stop() { implementation_->stop(); }

}  // namespace verbatim::processor
