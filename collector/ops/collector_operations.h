// CollectorOperations: everything by which operators run the collector, put together for main:
// audit log, alarms with their program, metrics, admin calls.
//
// Looks at the service once a second and gives all conditions to the alarms. A scrape or a call
// never waits for that.
//
// Life cycle: create() → start() → stop(). Threads: one of its own; the calls from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/audit_log.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/metrics_server.h"
#include "base/mutex.h"
#include "collector/broker/queue_broker.h"
#include "collector/compliance/compliance_store.h"
#include "collector/directory/directory.h"
#include "collector/fetch/file_fetcher.h"
#include "collector/ops/metrics.h"
#include "collector/ops/picture.h"
#include "collector/policy/server_report.h"
#include "collector/sources/source.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::collector {

// What is operated; all outlive this.
struct OperatedParts {
  const QueueBroker& broker;
  std::vector<const Source*> sources;
  const FileFetcher& fetcher;
  const Directory& directory;
  ComplianceStore& compliance;
  const ServerReport& servers;
};

class CollectorOperations {
 public:
  // Opens audit log and alarms in collector.data_dir. Errors: those of the disk.
  static Result<std::unique_ptr<CollectorOperations>> create(base::FileSystem& file_system,
                                                             base::Clock& clock,
                                                             const v1::Collector& config);
  // Stops.
  ~CollectorOperations();

  // Once. Errors: those of base::MetricsServer::start.
  Status start(OperatedParts parts);
  // Safe twice and before start.
  void stop();

  // --- for the admin calls, after start ---
  base::AuditLog& audit() { return *audit_; }
  const base::AlarmRegistry& alarms() const { return *alarms_; }
  ComplianceStore& compliance() { return parts_->compliance; }
  v1::ListSourcesResponse list_sources() const;
  v1::ListServersResponse list_servers() const;
  // One short sentence for each thing that needs a person now.
  std::vector<std::string> notices() const;

  // Empty where metrics are off.
  std::string metrics_address() const;

 private:
  CollectorOperations(base::Clock& clock, const v1::Collector& config);
  void run();
  void look();
  CollectorPicture picture() const;
  MetricsInput metrics_input() const;

  base::Clock& clock_;
  const v1::Collector config_;
  std::optional<OperatedParts> parts_;
  const int64_t started_unix_ns_;
  std::unique_ptr<base::AuditLog> audit_;
  std::unique_ptr<base::AlarmRegistry> alarms_;
  std::unique_ptr<base::AlarmCommand> command_;
  std::unique_ptr<base::MetricsServer> metrics_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  // When the queue last answered, on the monotonic clock.
  std::chrono::nanoseconds queue_seen_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::collector
