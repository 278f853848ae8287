// QueueOperations: everything by which operators run the queue, put together for main: audit log,
// alarms with their program, probe, metrics, admin calls.
//
// Life cycle: start() once the service runs → stop() before the service stops.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/audit_log.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/metrics_server.h"
#include "base/status.h"
#include "queue/client/queue_client.h"
#include "queue/ops/metrics.h"
#include "queue/ops/probe.h"
#include "queue/ops/queue_admin.h"
#include "queue/ops/queue_watch.h"
#include "queue/queue_service.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::queue {

class QueueOperations {
 public:
  // Opens the alarms and starts everything but the admin calls' server. `connect` makes the probe's
  // client. The service and the others outlive this. Errors: those of the disk and of
  // MetricsServer::start.
  static Result<std::unique_ptr<QueueOperations>> start(
      base::FileSystem& file_system, base::Clock& clock, const v1::Queue& config,
      std::unique_ptr<base::AuditLog> audit, QueueService& service,
      std::function<Result<std::unique_ptr<QueueClient>>()> connect);
  // Stops.
  ~QueueOperations();
  void stop();

  // For the gRPC server, which ends before stop().
  QueueAdminService& admin() { return *admin_; }
  // Empty where metrics are off.
  std::string metrics_address() const;

 private:
  QueueOperations(base::Clock& clock, QueueService& service) : clock_(clock), service_(service) {}
  MetricsInput metrics_input() const;

  base::Clock& clock_;
  QueueService& service_;
  int64_t started_unix_ns_ = 0;
  std::unique_ptr<base::AuditLog> audit_;
  std::unique_ptr<base::AlarmRegistry> alarms_;
  std::unique_ptr<base::AlarmCommand> command_;
  std::unique_ptr<QueueAdminService> admin_;
  std::unique_ptr<Probe> probe_;
  std::unique_ptr<QueueWatch> watch_;
  std::unique_ptr<base::MetricsServer> metrics_;
};

}  // namespace verbatim::queue
