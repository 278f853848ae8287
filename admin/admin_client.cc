#include "admin/admin_client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "base/grpc_status.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::admin {
namespace {

// Looks through the whole store, too.
constexpr std::chrono::minutes kScanTimeout{10};
constexpr std::chrono::minutes kRecountTimeout{10};
constexpr int kMessageMaxBytes = 64 << 20;
constexpr const char* kUserKey = "verbatim-user";
using OnProgress = AdminClient::OnProgress;

std::shared_ptr<grpc::Channel> open_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageMaxBytes);
  // An address that nobody listens on is told at once, not after the time for a far away network.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// As the user's own system calls it; with sudo also who asked it. Nothing proves it to the service.
std::string login_name() {
  const passwd* account = ::getpwuid(::geteuid());
  std::string name = account == nullptr ? std::to_string(::geteuid()) : account->pw_name;
  if (const char* sudo_user = std::getenv("SUDO_USER")) name += std::string(",sudo=") + sudo_user;
  // gRPC carries printable ASCII only.
  for (char& c : name) {
    if (c <= 0x20 || c >= 0x7f) c = '?';
  }
  return name;
}

// The cause at the end of gRPC's long sentence: "Connection refused".
std::string last_cause(const std::string& message) {
  const size_t colon = message.rfind(": ");
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

}  // namespace

std::string_view service_word(ServiceKind kind) {
  switch (kind) {
    case ServiceKind::kQueue:
      return "queue";
    case ServiceKind::kCollector:
      return "collector";
    case ServiceKind::kProcessor:
      break;
  }
  return "processor";
}

struct AdminClient::Stubs {
  AdminAddresses addresses;
  std::chrono::milliseconds timeout;
  std::unique_ptr<v1::QueueAdmin::Stub> queue;
  std::unique_ptr<v1::CollectorAdmin::Stub> collector;
  std::unique_ptr<v1::ProcessorAdmin::Stub> processor;

  const std::string& address(ServiceKind kind) const {
    if (kind == ServiceKind::kQueue) return addresses.queue;
    return kind == ServiceKind::kCollector ? addresses.collector : addresses.processor;
  }

  // Ours for gRPC's; a service that does not answer is named, with what to do about it.
  Status explain(ServiceKind kind, const grpc::Status& status) const {
    const std::string_view word = service_word(kind);
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      return unavailable(fmt::format(
          "the {0} does not answer at {1} ({2})\n"
          "  Not running? deploy/run starts all services, verbatim-{0} this one.\n"
          "  Listening elsewhere? Name its configuration with --config or its address with --{0}.",
          word, address(kind), last_cause(status.error_message())));
    }
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return unavailable(
          fmt::format("what answers at {} is not the {} ({}); check the address with --{}",
                      address(kind), word, last_cause(status.error_message()), word));
    }
    const Status ours = base::from_grpc(status);
    return {ours.code(), fmt::format("{}: {}", word, ours.message())};
  }

  // Who asks, for the audit log.
  std::string user = login_name();

  template <class Response, class Stub, class Request>
  Result<Response> call(ServiceKind kind, Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        const Request& request, std::chrono::milliseconds limit) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + limit);
    context.AddMetadata(kUserKey, user);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return explain(kind, status);
    return response;
  }

  template <class Response, class Request>
  Result<Response> ask_queue(grpc::Status (v1::QueueAdmin::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                             const Request& request) {
    return call(ServiceKind::kQueue, *queue, method, request, timeout);
  }

  template <class Request>
  Result<v1::TransferProgress> follow(std::unique_ptr<grpc::ClientReader<v1::TransferProgress>> (
                                          v1::QueueAdmin::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&),
                                      const Request& request, const OnProgress& on_progress) {
    grpc::ClientContext context;
    context.AddMetadata(kUserKey, user);
    const auto reader = (queue.get()->*method)(&context, request);
    v1::TransferProgress progress;
    while (reader->Read(&progress)) on_progress(progress);
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return explain(ServiceKind::kQueue, status);
    return progress;
  }
};

AdminClient::AdminClient(AdminAddresses addresses, std::chrono::milliseconds timeout)
    : stubs_(std::make_unique<Stubs>()) {
  stubs_->queue = v1::QueueAdmin::NewStub(open_channel(addresses.queue));
  stubs_->collector = v1::CollectorAdmin::NewStub(open_channel(addresses.collector));
  stubs_->processor = v1::ProcessorAdmin::NewStub(open_channel(addresses.processor));
  stubs_->addresses = std::move(addresses);
  stubs_->timeout = timeout;
}

AdminClient::~AdminClient() = default;

const std::string& AdminClient::address(ServiceKind kind) const { return stubs_->address(kind); }

Result<v1::GetInfoResponse> AdminClient::get_info(ServiceKind kind) {
  const v1::GetInfoRequest request;
  switch (kind) {
    case ServiceKind::kQueue:
      return stubs_->call(kind, *stubs_->queue, &v1::QueueAdmin::Stub::GetInfo, request,
                          stubs_->timeout);
    case ServiceKind::kCollector:
      return stubs_->call(kind, *stubs_->collector, &v1::CollectorAdmin::Stub::GetInfo, request,
                          stubs_->timeout);
    case ServiceKind::kProcessor:
      break;
  }
  return stubs_->call(kind, *stubs_->processor, &v1::ProcessorAdmin::Stub::GetInfo, request,
                      stubs_->timeout);
}

Result<v1::ListQueuesResponse> AdminClient::list_queues(const v1::ListQueuesRequest& request) {
  return stubs_->ask_queue<v1::ListQueuesResponse>(&v1::QueueAdmin::Stub::ListQueues, request);
}

Result<v1::PeekResponse> AdminClient::peek(const v1::PeekRequest& request) {
  return stubs_->ask_queue<v1::PeekResponse>(&v1::QueueAdmin::Stub::Peek, request);
}

Result<v1::CreateQueueResponse> AdminClient::create_queue(const v1::CreateQueueRequest& request) {
  return stubs_->ask_queue<v1::CreateQueueResponse>(&v1::QueueAdmin::Stub::CreateQueue, request);
}

Result<v1::ConfigureQueueResponse> AdminClient::configure_queue(
    const v1::ConfigureQueueRequest& request) {
  return stubs_->ask_queue<v1::ConfigureQueueResponse>(&v1::QueueAdmin::Stub::ConfigureQueue,
                                                       request);
}

Result<v1::SwitchQueueResponse> AdminClient::switch_queue(const v1::SwitchQueueRequest& request) {
  return stubs_->ask_queue<v1::SwitchQueueResponse>(&v1::QueueAdmin::Stub::SwitchQueue, request);
}

Result<v1::DestroyDeadLettersResponse> AdminClient::destroy_dead_letters(
    const v1::DestroyDeadLettersRequest& request) {
  return stubs_->ask_queue<v1::DestroyDeadLettersResponse>(
      &v1::QueueAdmin::Stub::DestroyDeadLetters, request);
}

Result<v1::TrimJournalResponse> AdminClient::trim_journal(const v1::TrimJournalRequest& request) {
  // One after the other, as much as was asked for.
  return stubs_->call(ServiceKind::kQueue, *stubs_->queue, &v1::QueueAdmin::Stub::TrimJournal,
                      request, kScanTimeout);
}

Result<v1::ListAlarmsResponse> AdminClient::list_alarms(ServiceKind kind,
                                                        const v1::ListAlarmsRequest& request) {
  if (kind == ServiceKind::kProcessor) {
    return stubs_->call(kind, *stubs_->processor, &v1::ProcessorAdmin::Stub::ListAlarms, request,
                        stubs_->timeout);
  }
  if (kind == ServiceKind::kCollector) {
    return stubs_->call(kind, *stubs_->collector, &v1::CollectorAdmin::Stub::ListAlarms, request,
                        stubs_->timeout);
  }
  return stubs_->ask_queue<v1::ListAlarmsResponse>(&v1::QueueAdmin::Stub::ListAlarms, request);
}

Result<v1::ListAuditResponse> AdminClient::list_audit(ServiceKind kind,
                                                      const v1::ListAuditRequest& request) {
  if (kind == ServiceKind::kProcessor) {
    return stubs_->call(kind, *stubs_->processor, &v1::ProcessorAdmin::Stub::ListAudit, request,
                        stubs_->timeout);
  }
  if (kind == ServiceKind::kCollector) {
    return stubs_->call(kind, *stubs_->collector, &v1::CollectorAdmin::Stub::ListAudit, request,
                        stubs_->timeout);
  }
  return stubs_->ask_queue<v1::ListAuditResponse>(&v1::QueueAdmin::Stub::ListAudit, request);
}

Result<v1::TransferProgress> AdminClient::delete_queue(const v1::DeleteQueueRequest& request,
                                                       const OnProgress& on_progress) {
  RETURN_IF_ERROR(get_info(ServiceKind::kQueue).error());
  return stubs_->follow(&v1::QueueAdmin::Stub::DeleteQueue, request, on_progress);
}

Result<v1::TransferProgress> AdminClient::transfer(const v1::TransferRequest& request,
                                                   const OnProgress& on_progress) {
  RETURN_IF_ERROR(get_info(ServiceKind::kQueue).error());
  return stubs_->follow(&v1::QueueAdmin::Stub::Transfer, request, on_progress);
}

Result<v1::ListSourcesResponse> AdminClient::list_sources() {
  return stubs_->call(ServiceKind::kCollector, *stubs_->collector,
                      &v1::CollectorAdmin::Stub::ListSources, v1::ListSourcesRequest(),
                      stubs_->timeout);
}
Result<v1::GetComplianceResponse> AdminClient::get_compliance() {
  return stubs_->call(ServiceKind::kCollector, *stubs_->collector,
                      &v1::CollectorAdmin::Stub::GetCompliance, v1::GetComplianceRequest(),
                      stubs_->timeout);
}
Result<v1::ChangeComplianceResponse> AdminClient::change_compliance(
    const v1::ChangeComplianceRequest& request) {
  return stubs_->call(ServiceKind::kCollector, *stubs_->collector,
                      &v1::CollectorAdmin::Stub::ChangeCompliance, request, stubs_->timeout);
}
Result<v1::ListServersResponse> AdminClient::list_servers() {
  return stubs_->call(ServiceKind::kCollector, *stubs_->collector,
                      &v1::CollectorAdmin::Stub::ListServers, v1::ListServersRequest(),
                      stubs_->timeout);
}

Result<v1::GetAccountingResponse> AdminClient::get_accounting(bool recount) {
  v1::GetAccountingRequest request;
  request.set_recount(recount);
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::GetAccounting, request,
                      recount ? kRecountTimeout : stubs_->timeout);
}

Result<v1::ListAdaptersResponse> AdminClient::list_adapters() {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListAdapters, v1::ListAdaptersRequest(),
                      stubs_->timeout);
}

Result<v1::UpdateAdapterResponse> AdminClient::update_adapter(
    const v1::UpdateAdapterRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::UpdateAdapter, request, stubs_->timeout);
}

Result<v1::ListQuarantineResponse> AdminClient::list_quarantine(
    const v1::ListQuarantineRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListQuarantine, request, stubs_->timeout);
}

Result<v1::ReleaseQuarantineResponse> AdminClient::release_quarantine(
    const v1::ReleaseQuarantineRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ReleaseQuarantine, request, stubs_->timeout);
}

Result<v1::AddHoldResponse> AdminClient::add_hold(const v1::AddHoldRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::AddHold, request, stubs_->timeout);
}

Result<v1::ListHoldsResponse> AdminClient::list_holds(const v1::ListHoldsRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListHolds, request, kScanTimeout);
}

Result<v1::ReleaseHoldResponse> AdminClient::release_hold(const v1::ReleaseHoldRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ReleaseHold, request, kScanTimeout);
}

Result<v1::ListStagedResponse> AdminClient::list_staged(const v1::ListStagedRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListStaged, request, kScanTimeout);
}

Result<v1::ShowEventResponse> AdminClient::show_event(const v1::ShowEventRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ShowEvent, request, stubs_->timeout);
}

Result<v1::TraceMessageResponse> AdminClient::trace_message(
    const v1::TraceMessageRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::TraceMessage, request, kScanTimeout);
}

Result<v1::ListBatchesResponse> AdminClient::list_batches(const v1::ListBatchesRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListBatches, request, stubs_->timeout);
}

Result<v1::ListFilesResponse> AdminClient::list_files(const v1::ListFilesRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ListFiles, request, kScanTimeout);
}

Result<v1::ReplayAdapterResponse> AdminClient::replay_adapter(
    const v1::ReplayAdapterRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor,
                      &v1::ProcessorAdmin::Stub::ReplayAdapter, request, kScanTimeout);
}

Result<v1::DrainResponse> AdminClient::drain(const v1::DrainRequest& request) {
  return stubs_->call(ServiceKind::kProcessor, *stubs_->processor, &v1::ProcessorAdmin::Stub::Drain,
                      request, stubs_->timeout);
}

Status AdminClient::tail_events(
    const v1::TailEventsRequest& request,
    const std::function<bool(const v1::TailEventsResponse&)>& on_response) {
  // A tail that follows has no deadline: first see that there is someone to follow.
  RETURN_IF_ERROR(get_info(ServiceKind::kProcessor).error());
  grpc::ClientContext context;
  if (!request.follow()) {
    context.set_deadline(std::chrono::system_clock::now() + stubs_->timeout);
  }
  const auto reader = stubs_->processor->TailEvents(&context, request);
  v1::TailEventsResponse response;
  bool is_stopped = false;
  while (!is_stopped && reader->Read(&response)) {
    is_stopped = !on_response(response);
  }
  if (is_stopped) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (status.ok() || is_stopped) return {};
  return stubs_->explain(ServiceKind::kProcessor, status);
}

}  // namespace verbatim::admin
