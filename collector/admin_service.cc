#include "collector/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/audited_change.h"
#include "base/clock.h"
#include "base/grpc_status.h"
#include "base/service.h"
#include "collector/compliance/changes.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::collector {
namespace {

constexpr int kAuditMaxCount = 10'000;
constexpr size_t kAnswerMaxBytes = 3 * 1024 * 1024;

class AdminService final : public v1::CollectorAdmin::Service {
 public:
  explicit AdminService(CollectorOperations& operations)
      : operations_(operations), started_unix_ns_(base::system_clock().unix_now_ns()) {}

  ::grpc::Status GetInfo(::grpc::ServerContext* /*context*/, const v1::GetInfoRequest* /*request*/,
                         v1::GetInfoResponse* response) override {
    v1::ServiceInfo& info = *response->mutable_info();
    info.set_service("verbatim-collector");
    info.set_version(std::string(base::version()));
    info.set_started_unix_ns(started_unix_ns_);
    info.set_pid(getpid());
    for (std::string& notice : operations_.notices()) info.add_notices(std::move(notice));
    return ::grpc::Status::OK;
  }

  ::grpc::Status ListSources(::grpc::ServerContext* /*context*/,
                             const v1::ListSourcesRequest* /*request*/,
                             v1::ListSourcesResponse* response) override {
    *response = operations_.list_sources();
    return ::grpc::Status::OK;
  }

  ::grpc::Status GetCompliance(::grpc::ServerContext* /*context*/,
                               const v1::GetComplianceRequest* /*request*/,
                               v1::GetComplianceResponse* response) override {
    *response->mutable_state() = operations_.compliance().routing()->state();
    return ::grpc::Status::OK;
  }

  ::grpc::Status ChangeCompliance(::grpc::ServerContext* context,
                                  const v1::ChangeComplianceRequest* request,
                                  v1::ChangeComplianceResponse* response) override {
    ChangeDescription text = describe_change(operations_.compliance().routing()->state(), *request);
    auto audited = base::AuditedChange::begin(operations_.audit(), *context,
                                              {.action = std::move(text.action),
                                               .subject = std::move(text.subject),
                                               .detail = std::move(text.detail),
                                               .reason = request->reason()});
    if (!audited) return base::to_grpc(audited.error());
    auto change = operations_.compliance().change(*request);
    if (!change) {
      audited->refused(change.error());
      return base::to_grpc(change.error());
    }
    audited->ended("revision=" + std::to_string(change->state.revision()));
    *response->mutable_state() = std::move(change->state);
    for (std::string& warning : change->warnings) response->add_warnings(std::move(warning));
    if (request->has_assign()) warn_of_absent(request->assign(), *response);
    return ::grpc::Status::OK;
  }

  ::grpc::Status ListServers(::grpc::ServerContext* /*context*/,
                             const v1::ListServersRequest* /*request*/,
                             v1::ListServersResponse* response) override {
    *response = operations_.list_servers();
    return ::grpc::Status::OK;
  }

  ::grpc::Status ListAlarms(::grpc::ServerContext* /*context*/,
                            const v1::ListAlarmsRequest* request,
                            v1::ListAlarmsResponse* response) override {
    for (v1::Alarm& alarm : operations_.alarms().list(request->with_cleared())) {
      *response->add_alarms() = std::move(alarm);
    }
    return ::grpc::Status::OK;
  }

  ::grpc::Status ListAudit(::grpc::ServerContext* /*context*/, const v1::ListAuditRequest* request,
                           v1::ListAuditResponse* response) override {
    if (request->max_count() < 1 || request->max_count() > kAuditMaxCount) {
      return base::to_grpc(invalid_argument("max_count is 1 to 10,000"));
    }
    auto entries = operations_.audit().read(static_cast<size_t>(request->max_count()));
    if (!entries) return base::to_grpc(entries.error());
    // The newest that fit into an answer.
    size_t first = entries->size();
    for (size_t bytes = 0; first > 0; --first) {
      bytes += (*entries)[first - 1].ByteSizeLong();
      if (bytes > kAnswerMaxBytes) break;
    }
    for (; first < entries->size(); ++first) {
      *response->add_entries() = std::move((*entries)[first]);
    }
    return ::grpc::Status::OK;
  }

 private:
  void warn_of_absent(const v1::ComplianceAssignment& added,
                      v1::ChangeComplianceResponse& response) {
    const v1::ListServersResponse answer = operations_.list_servers();
    for (const v1::ServerInfo& row : answer.servers()) {
      if (row.server() == added.server() && row.state() == v1::SourceInfo::LINK_STATE_ACTIVE)
        return;
    }
    response.add_warnings("server " + added.server() +
                          " is not attached: until it is, messages, rooms and invitations that "
                          "profile " +
                          added.profile() + " has are answered with an error");
  }

  CollectorOperations& operations_;
  const int64_t started_unix_ns_;
};

}  // namespace

std::shared_ptr<grpc::Service> create_admin_service(CollectorOperations& operations) {
  return std::make_shared<AdminService>(operations);
}

}  // namespace verbatim::collector
