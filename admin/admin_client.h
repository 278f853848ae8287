// AdminClient: the admin calls of the three services over gRPC, each with a deadline.
// The only part of this folder that knows gRPC. Threads: one. Errors of every call: kUnavailable
// (the service does not answer; the message says which, where and what to do), else the service's
// own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

enum class ServiceKind { kQueue, kCollector, kProcessor };

// "queue", "collector", "processor".
std::string_view service_word(ServiceKind kind);

struct AdminAddresses {
  std::string queue;
  std::string collector;
  std::string processor;
};

class AdminClient {
 public:
  // `timeout` bounds each call but recounts, tails, and those that look through the whole store.
  AdminClient(AdminAddresses addresses, std::chrono::milliseconds timeout);
  ~AdminClient();
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  const std::string& address(ServiceKind kind) const;

  Result<v1::GetInfoResponse> get_info(ServiceKind kind);
  Result<v1::ListQueuesResponse> list_queues(const v1::ListQueuesRequest& request = {});
  Result<v1::PeekResponse> peek(const v1::PeekRequest& request);
  Result<v1::CreateQueueResponse> create_queue(const v1::CreateQueueRequest& request);
  Result<v1::ConfigureQueueResponse> configure_queue(const v1::ConfigureQueueRequest& request);
  Result<v1::SwitchQueueResponse> switch_queue(const v1::SwitchQueueRequest& request);
  Result<v1::DestroyDeadLettersResponse> destroy_dead_letters(
      const v1::DestroyDeadLettersRequest& request);
  Result<v1::TrimJournalResponse> trim_journal(const v1::TrimJournalRequest& request);
  Result<v1::ListAlarmsResponse> list_alarms(ServiceKind kind,
                                             const v1::ListAlarmsRequest& request);
  Result<v1::ListAuditResponse> list_audit(ServiceKind kind, const v1::ListAuditRequest& request);
  // Hand over each progress as it comes and give the last one. Without a deadline once the service
  // has been reached; a caller that ends meanwhile ends the transfer.
  using OnProgress = std::function<void(const v1::TransferProgress&)>;
  Result<v1::TransferProgress> delete_queue(const v1::DeleteQueueRequest& request,
                                            const OnProgress& on_progress);
  Result<v1::TransferProgress> transfer(const v1::TransferRequest& request,
                                        const OnProgress& on_progress);
  Result<v1::ListSourcesResponse> list_sources();
  Result<v1::GetComplianceResponse> get_compliance();
  Result<v1::ChangeComplianceResponse> change_compliance(
      const v1::ChangeComplianceRequest& request);
  Result<v1::ListServersResponse> list_servers();
  // A recount reads every stored row: bounded by ten minutes.
  Result<v1::GetAccountingResponse> get_accounting(bool recount);
  Result<v1::ListAdaptersResponse> list_adapters();
  Result<v1::UpdateAdapterResponse> update_adapter(const v1::UpdateAdapterRequest& request);
  Result<v1::ListQuarantineResponse> list_quarantine(const v1::ListQuarantineRequest& request);
  Result<v1::ReleaseQuarantineResponse> release_quarantine(
      const v1::ReleaseQuarantineRequest& request);
  Result<v1::AddHoldResponse> add_hold(const v1::AddHoldRequest& request);
  Result<v1::ListHoldsResponse> list_holds(const v1::ListHoldsRequest& request = {});
  Result<v1::ReleaseHoldResponse> release_hold(const v1::ReleaseHoldRequest& request);
  Result<v1::ListStagedResponse> list_staged(const v1::ListStagedRequest& request);
  Result<v1::ShowEventResponse> show_event(const v1::ShowEventRequest& request);
  Result<v1::TraceMessageResponse> trace_message(const v1::TraceMessageRequest& request);
  Result<v1::ListBatchesResponse> list_batches(const v1::ListBatchesRequest& request);
  Result<v1::ListFilesResponse> list_files(const v1::ListFilesRequest& request);
  Result<v1::ReplayAdapterResponse> replay_adapter(const v1::ReplayAdapterRequest& request);
  Result<v1::DrainResponse> drain(const v1::DrainRequest& request);
  // Hands over each response as it comes; ends when the stream ends or `on_response` gives false.
  // With `follow` there is no deadline once the service has been reached.
  Status tail_events(const v1::TailEventsRequest& request,
                     const std::function<bool(const v1::TailEventsResponse&)>& on_response);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace verbatim::admin
