// verbatim-queue: durable queues for collector and processor.
// Exit codes: 0 stopped, 1 could not start, 2 wrong flags or configuration, 3 the log is damaged,
// 4 the log failed while running.
#include <chrono>
#include <memory>
#include <string>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/file_system.h"
#include "base/grpc_server.h"
#include "base/log.h"
#include "base/service.h"
#include "queue/client/zmq_queue_client.h"
#include "queue/ops/queue_operations.h"
#include "queue/queue_security.h"
#include "queue/queue_service.h"

namespace verbatim::queue {
namespace {

constexpr int kExitCannotStart = 1;
constexpr int kExitDamaged = 3;
constexpr int kExitLogFailed = 4;
constexpr std::chrono::milliseconds kWatchInterval{100};
constexpr size_t kThreadCachesMaxBytes = 4 << 20;

QueueServiceOptions options_of(const v1::Queue& config) {
  using std::chrono::milliseconds;
  QueueServiceOptions options;
  options.listen = config.listen();
  options.core.log.directory = config.data_dir();
  options.core.log.segment_bytes =
      align_up(static_cast<uint64_t>(config.segment_bytes()), kBlockSize);
  options.core.log.background_spares = true;
  options.core.log.spare_count = static_cast<size_t>(config.spare_segments());
  options.core.log.cache_bytes = static_cast<uint64_t>(config.cache_bytes());
  options.core.queues = {config.queues().begin(), config.queues().end()};
  if (config.probe_interval_ms() > 0) options.core.queues.emplace_back(kProbeQueue);
  options.core.message_max_bytes = config.message_max_bytes();
  options.core.source_key_window = milliseconds(config.source_key_window_ms());
  options.core.lease_max = milliseconds(config.lease_max_ms());
  options.core.consumer_silence_max = milliseconds(config.consumer_silence_max_ms());
  options.core.client_credit_bytes = config.client_credit_bytes();
  options.core.client_credit_count = config.client_credit_count();
  options.core.quota_bytes = config.quota_bytes();
  options.core.quota_messages = config.quota_messages();
  options.core.low_mark_percent = static_cast<int>(config.low_mark_percent());
  options.core.free_disk_min_bytes = config.free_disk_min_bytes();
  options.core.copy_bytes_per_second = config.copy_bytes_per_second();
  options.core.alarm_age = milliseconds(config.alarm_age_ms());
  options.core.alarm_dead_letters = config.alarm_dead_letters();
  return options;
}

// The probe comes in as every client does, through the socket.
Result<std::unique_ptr<QueueClient>> connect_probe(const std::string& endpoint,
                                                   const std::optional<base::ZmqCurve>& curve) {
  ZmqQueueClientOptions options;
  options.curve = curve;
  options.address = endpoint;
  options.client_name = kProbeQueue;
  options.producer = kProbeQueue;
  options.queue = kProbeQueue;
  return create_zmq_queue_client(options);
}

int report(const Status& error) {
  LOG_ERROR("verbatim-queue cannot start: {}", error.to_string());
  return error.code() == StatusCode::kDataLoss ? kExitDamaged : kExitCannotStart;
}

int run(const v1::Queue& config) {
  base::FileSystem& files = base::posix_file_system();
  base::Clock& clock = base::system_clock();
  if (const Status status = base::check_data_dir(files, config.data_dir()); !status.ok()) {
    return report(status);
  }
  QueueServiceOptions options = options_of(config);
  auto probe_key = apply_security(config.security(), options);
  if (!probe_key) return report(probe_key.error());
  // Opened once the log is, whose lock keeps a second service out of the folder.
  std::unique_ptr<base::AuditLog> audit;
  const auto open_audit = [&]() -> Status {
    if (audit != nullptr) return {};
    ASSIGN_OR_RETURN(audit,
                     base::AuditLog::open(files, clock, config.data_dir(), "verbatim-queue"));
    return {};
  };
  options.core.before_queue_made = [&](const std::string& name) -> Status {
    RETURN_IF_ERROR(open_audit());
    v1::AuditEntry entry;
    entry.set_action("queues create");
    entry.set_subject(name);
    entry.set_reason("queue.queues of the configuration");
    return audit->append(std::move(entry)).error();
  };
  auto service = QueueService::start(files, clock, options);
  if (!service) return report(service.error());
  if (const Status status = open_audit(); !status.ok()) return report(status);
  auto operations =
      QueueOperations::start(files, clock, config, std::move(audit), **service,
                             [endpoint = (*service)->bound_endpoint(), curve = *probe_key] {
                               return connect_probe(endpoint, curve);
                             });
  if (!operations) return report(operations.error());
  auto grpc = base::GrpcServer::start(config.admin_listen(), {&(*operations)->admin()});
  if (!grpc) return report(grpc.error());
  auto ready = base::ReadyFile::write(files, config.data_dir(), "queue",
                                      {{"listen", (*service)->bound_endpoint()},
                                       {"admin_listen", (*grpc)->bound_address()},
                                       {"metrics_listen", (*operations)->metrics_address()}});
  if (!ready && ready.error().code() == StatusCode::kResourceExhausted) {
    // A full disk is drained by this very service.
    LOG_ERROR("the disk is full, so there is no ready file: {}", ready.error().to_string());
  } else if (!ready) {
    return report(ready.error());
  }
  LOG_INFO("verbatim-queue is ready listen={} admin_listen={} metrics_listen={}",
           (*service)->bound_endpoint(), (*grpc)->bound_address(),
           (*operations)->metrics_address());
  while (base::wait_for_stop_signal(kWatchInterval) == 0) {
    if (!(*service)->failure().ok()) return kExitLogFailed;
  }
  LOG_INFO("verbatim-queue is stopping");
  // First of all, so that clients hear at once that the service stops.
  (*service)->stop();
  (*grpc)->stop();
  (*operations)->stop();
  return (*service)->failure().ok() ? 0 : kExitLogFailed;
}

constexpr const char* kHelp =
    R"(Keeps messages on disk between the services that put them and those that take them (table
[queue]). Operated with verbatimctl queues, dead-letters, alarms. Runbook: docs/operations.md.
Exit codes of its own: 3 damaged log, 4 the disk failed.)";

}  // namespace
}  // namespace verbatim::queue

int main(int argc, char** argv) {
  verbatim::base::install_signal_handlers();
  const auto start =
      verbatim::base::start_service("verbatim-queue", argc, argv, verbatim::queue::kHelp);
  if (!start.arguments) return start.exit_code;
  const verbatim::base::AllocatorCare allocator(verbatim::queue::kThreadCachesMaxBytes);
  return verbatim::queue::run(start.arguments->config.queue());
}
