#include "queue/ops/queue_operations.h"

#include <chrono>
#include <utility>

#include "base/service.h"

namespace verbatim::queue {

Result<std::unique_ptr<QueueOperations>> QueueOperations::start(
    base::FileSystem& file_system, base::Clock& clock, const v1::Queue& config,
    std::unique_ptr<base::AuditLog> audit, QueueService& service,
    std::function<Result<std::unique_ptr<QueueClient>>()> connect) {
  std::unique_ptr<QueueOperations> all(new QueueOperations(clock, service));
  all->started_unix_ns_ = clock.unix_now_ns();
  all->audit_ = std::move(audit);
  ASSIGN_OR_RETURN(
      all->alarms_,
      base::AlarmRegistry::open(file_system, clock, base::join_path(config.data_dir(), "alarms")));
  base::AlarmCommandOptions command;
  command.program = config.alarm_command();
  all->command_ = std::make_unique<base::AlarmCommand>(std::move(command));
  all->admin_ = std::make_unique<QueueAdminService>(service, *all->audit_, *all->alarms_, clock);
  ProbeOptions probe;
  probe.interval = std::chrono::milliseconds(config.probe_interval_ms());
  probe.connect = std::move(connect);
  all->probe_ = Probe::start(clock, std::move(probe));
  all->watch_ = QueueWatch::start(clock, {.service = service,
                                          .audit = *all->audit_,
                                          .alarms = *all->alarms_,
                                          .command = *all->command_,
                                          .probe = *all->probe_});
  if (config.metrics_listen().empty()) return all;
  const QueueOperations* self = all.get();
  ASSIGN_OR_RETURN(all->metrics_, base::MetricsServer::start(config.metrics_listen(), [self] {
                     return metric_families(self->metrics_input());
                   }));
  return all;
}

QueueOperations::~QueueOperations() { stop(); }

void QueueOperations::stop() {
  metrics_.reset();
  if (watch_ != nullptr) watch_->stop();
  if (probe_ != nullptr) probe_->stop();
  if (command_ != nullptr) command_->stop();
}

std::string QueueOperations::metrics_address() const {
  return metrics_ == nullptr ? "" : metrics_->bound_address();
}

MetricsInput QueueOperations::metrics_input() const {
  MetricsInput input;
  input.version = std::string(base::version());
  input.started_unix_ns = started_unix_ns_;
  input.snapshot = watch_->snapshot();
  if (input.snapshot != nullptr) input.snapshot_age = clock_.monotonic() - input.snapshot->taken;
  input.dropped_answer_count = service_.dropped_count();
  input.refused_connections = service_.refused_connections();
  input.alarms = alarms_->list(true);
  input.alarm_command_run_count = command_->run_count();
  input.alarm_command_failure_count = command_->failure_count();
  input.audit_last_number = audit_->last_number();
  input.probe = probe_->state();
  return input;
}

}  // namespace verbatim::queue
