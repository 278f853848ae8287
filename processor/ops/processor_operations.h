// ProcessorOperations: everything by which operators run the processor, put together: marks, hold
// flags of the queues, alarms with their program, metrics, drain mode.
//
// Life cycle: create → start → stop. Threads: the calls are for any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/file_system.h"
#include "base/metrics_server.h"
#include "base/mutex.h"
#include "processor/hub/hub.h"
#include "processor/ops/file_collector.h"
#include "processor/ops/hold_keeper.h"
#include "processor/ops/metrics.h"
#include "processor/ops/processor_watch.h"
#include "processor/staging_marks.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::processor {

class ProcessorOperations {
 public:
  // Reads the alarms of the data folder. Staging, hub and the others outlive this. Errors: those of
  // the disk.
  static Result<std::unique_ptr<ProcessorOperations>> create(base::FileSystem& file_system,
                                                             const v1::Config& config,
                                                             Staging& staging);
  ~ProcessorOperations();

  // Errors: those of base::MetricsServer::start.
  Status start(Hub& hub);
  // Safe twice and before start.
  void stop();

  StagingMarks& marks() { return *marks_; }
  HoldKeeper& holds() { return *holds_; }
  const FileCollector& files() const { return *files_; }
  const base::AlarmRegistry& alarms() const { return *alarms_; }
  // Empty where metrics are off.
  std::string metrics_address() const;

  // Drain mode, audited first. Lasts until it is ended or the service ends.
  Status drain(const v1::DrainRequest& request, const base::Caller& caller);
  v1::DrainResponse drain_state() const;

 private:
  ProcessorOperations(const v1::Config& config, Staging& staging)
      : config_(config), staging_(staging) {}
  MetricsInput metrics_input() const;

  const v1::Config config_;
  Staging& staging_;
  Hub* hub_ = nullptr;
  int64_t started_unix_ns_ = 0;
  std::unique_ptr<StagingMarks> marks_;
  std::unique_ptr<HoldKeeper> holds_;
  std::unique_ptr<FileCollector> files_;
  std::unique_ptr<base::AlarmRegistry> alarms_;
  std::unique_ptr<base::AlarmCommand> command_;
  std::unique_ptr<ProcessorWatch> watch_;
  std::unique_ptr<base::MetricsServer> metrics_;

  mutable base::Mutex mutex_;
  int64_t draining_since_ GUARDED_BY(mutex_) = 0;
};

}  // namespace verbatim::processor
