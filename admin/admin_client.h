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
  // `timeout` bounds each call but recounts and tails.
  AdminClient(AdminAddresses addresses, std::chrono::milliseconds timeout);
  ~AdminClient();
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  const std::string& address(ServiceKind kind) const;

  Result<v1::GetInfoResponse> get_info(ServiceKind kind);
  Result<v1::ListQueuesResponse> list_queues();
  Result<v1::PeekResponse> peek(const v1::PeekRequest& request);
  Result<v1::ListSourcesResponse> list_sources();
  // A recount reads every stored row: bounded by ten minutes.
  Result<v1::GetAccountingResponse> get_accounting(bool recount);
  Result<v1::ListAdaptersResponse> list_adapters();
  Result<v1::UpdateAdapterResponse> update_adapter(const v1::UpdateAdapterRequest& request);
  Result<v1::ListQuarantineResponse> list_quarantine(const v1::ListQuarantineRequest& request);
  // Hands over each response as it comes; ends when the stream ends or `on_response` gives false.
  // With `follow` there is no deadline once the service has been reached.
  Status tail_events(const v1::TailEventsRequest& request,
                     const std::function<bool(const v1::TailEventsResponse&)>& on_response);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace verbatim::admin
