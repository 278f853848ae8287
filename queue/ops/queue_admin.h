// QueueAdminService: the gRPC calls of verbatimctl. Metadata only, never chat text.
//
// I1 Every change has its audit entry on the disk before it takes effect; without one it is
//    refused. How it ended, or that it was refused, is an entry of its own.
#pragma once

#include <grpcpp/server_context.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/alarms.h"
#include "base/audit_log.h"
#include "base/audited_change.h"
#include "base/clock.h"
#include "queue/queue_service.h"
#include "verbatim/v1/admin.grpc.pb.h"

namespace verbatim::queue {

// Threads: gRPC's own; each call runs on the core's thread and waits.
class QueueAdminService final : public v1::QueueAdmin::Service {
 public:
  // All outlive this.
  QueueAdminService(QueueService& service, base::AuditLog& audit, base::AlarmRegistry& alarms,
                    const base::Clock& clock);

  grpc::Status GetInfo(grpc::ServerContext* context, const v1::GetInfoRequest* request,
                       v1::GetInfoResponse* response) override;
  grpc::Status ListQueues(grpc::ServerContext* context, const v1::ListQueuesRequest* request,
                          v1::ListQueuesResponse* response) override;
  grpc::Status Peek(grpc::ServerContext* context, const v1::PeekRequest* request,
                    v1::PeekResponse* response) override;
  grpc::Status CreateQueue(grpc::ServerContext* context, const v1::CreateQueueRequest* request,
                           v1::CreateQueueResponse* response) override;
  grpc::Status ConfigureQueue(grpc::ServerContext* context,
                              const v1::ConfigureQueueRequest* request,
                              v1::ConfigureQueueResponse* response) override;
  grpc::Status SwitchQueue(grpc::ServerContext* context, const v1::SwitchQueueRequest* request,
                           v1::SwitchQueueResponse* response) override;
  grpc::Status DeleteQueue(grpc::ServerContext* context, const v1::DeleteQueueRequest* request,
                           grpc::ServerWriter<v1::TransferProgress>* writer) override;
  grpc::Status Transfer(grpc::ServerContext* context, const v1::TransferRequest* request,
                        grpc::ServerWriter<v1::TransferProgress>* writer) override;
  grpc::Status DestroyDeadLetters(grpc::ServerContext* context,
                                  const v1::DestroyDeadLettersRequest* request,
                                  v1::DestroyDeadLettersResponse* response) override;
  grpc::Status TrimJournal(grpc::ServerContext* context, const v1::TrimJournalRequest* request,
                           v1::TrimJournalResponse* response) override;
  grpc::Status ListAlarms(grpc::ServerContext* context, const v1::ListAlarmsRequest* request,
                          v1::ListAlarmsResponse* response) override;
  grpc::Status ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;

 private:
  using Work = std::function<Status(QueueCore&)>;
  // On the core's thread; `change` waits until it is durable.
  Status read(const Work& work);
  Status change(const Work& work);
  // Audit, change, and the refusal if there is one.
  grpc::Status make_change(const grpc::ServerContext& context, base::ChangeRequest request,
                           const Work& work);
  // Audit, start, and progress until the transfer has ended or the caller is gone.
  grpc::Status run_transfer(grpc::ServerContext& context, base::ChangeRequest request,
                            const std::function<Result<uint64_t>(QueueCore&)>& start,
                            grpc::ServerWriter<v1::TransferProgress>& writer);
  Result<v1::TransferProgress> follow(grpc::ServerContext& context, uint64_t transfer_id,
                                      grpc::ServerWriter<v1::TransferProgress>& writer);

  QueueService& service_;
  base::AuditLog& audit_;
  base::AlarmRegistry& alarms_;
  const int64_t started_unix_ns_;
};

}  // namespace verbatim::queue
