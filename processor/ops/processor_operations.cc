#include "processor/ops/processor_operations.h"

#include <map>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/ready_file.h"
#include "base/service.h"
#include "processor/ops/queue_flag.h"
#include "processor/ops/queue_look.h"

namespace verbatim::processor {
namespace {

// Empty where the queue has no admin calls.
std::function<Result<std::string>()> admin_address(base::FileSystem& file_system,
                                                   const v1::Config& config,
                                                   const v1::InputQueue& input) {
  if (input.admin_address().empty()) return {};
  return [&file_system, config, address = input.admin_address()] {
    return base::resolve_address(file_system, config, address, "admin_listen");
  };
}

std::vector<QueueFlag> queue_flags(base::FileSystem& file_system, const v1::Config& config) {
  std::vector<QueueFlag> flags;
  for (const auto& input : config.processor().queues()) {
    if (input.admin_address().empty()) continue;
    flags.push_back(make_queue_flag(input.name(), admin_address(file_system, config, input)));
  }
  return flags;
}

Status no_room() { return resource_exhausted("the disk of the staging store is full"); }

FileCollectorOptions collector_options(base::FileSystem& file_system, const v1::Config& config,
                                       Staging& staging, StagingMarks& marks) {
  FileCollectorOptions options;
  options.interval = std::chrono::milliseconds(config.processor().collect_interval_ms());
  for (const auto& input : config.processor().queues()) {
    options.queues.push_back(
        make_queue_look(input.name(), admin_address(file_system, config, input)));
  }
  options.unnamed =
      [&staging, &marks](const std::vector<std::string>& digests) -> Result<std::set<std::string>> {
    if (!marks.has_room()) return no_room();
    return staging.unnamed_files(digests);
  };
  return options;
}

uint64_t least_free_bytes(const v1::Processor& config) {
  return StagingMarks::least_free_bytes(static_cast<uint64_t>(config.queues_size()),
                                        static_cast<uint64_t>(config.receive_max_bytes()));
}

StagingMarksOptions mark_options(base::FileSystem& file_system, const v1::Processor& config) {
  StagingMarksOptions options;
  options.high_bytes = static_cast<uint64_t>(config.staging_high_bytes());
  options.low_bytes = static_cast<uint64_t>(config.staging_low_bytes());
  options.free_disk_min_bytes = config.free_disk_min_bytes() == 0
                                    ? least_free_bytes(config)
                                    : static_cast<uint64_t>(config.free_disk_min_bytes());
  options.free_disk = [&file_system, path = config.data_dir()] {
    return file_system.free_bytes(path);
  };
  return options;
}

WatchOptions watch_options(const v1::Processor& config) {
  WatchOptions options;
  options.age_max = std::chrono::milliseconds(config.alarm_age_ms());
  std::map<std::string, std::chrono::milliseconds> intervals;
  for (const auto& adapter : config.adapters()) {
    intervals[adapter.name()] = own_interval(adapter);
  }
  options.interval_of = [intervals](const std::string& adapter) {
    const auto found = intervals.find(adapter);
    return found == intervals.end() ? std::chrono::milliseconds(0) : found->second;
  };
  return options;
}

}  // namespace

Result<std::unique_ptr<ProcessorOperations>> ProcessorOperations::create(
    base::FileSystem& file_system, const v1::Config& config, Staging& staging) {
  const v1::Processor& own = config.processor();
  std::unique_ptr<ProcessorOperations> all(new ProcessorOperations(config, staging));
  all->started_unix_ns_ = base::system_clock().unix_now_ns();
  ASSIGN_OR_RETURN(all->alarms_,
                   base::AlarmRegistry::open(file_system, base::system_clock(),
                                             base::join_path(own.data_dir(), "alarms")));
  base::AlarmCommandOptions command;
  command.program = own.alarm_command();
  all->command_ = std::make_unique<base::AlarmCommand>(std::move(command));
  all->marks_ = std::make_unique<StagingMarks>(staging, mark_options(file_system, own));
  HoldKeeperOptions holds;
  holds.has_room = [&marks = *all->marks_] { return marks.has_room(); };
  all->holds_ = std::make_unique<HoldKeeper>(staging, queue_flags(file_system, config), holds);
  all->files_ = std::make_unique<FileCollector>(
      base::ContentRemoval(file_system, config.files().data_dir()),
      collector_options(file_system, config, staging, *all->marks_));
  return all;
}

ProcessorOperations::~ProcessorOperations() { stop(); }

Status ProcessorOperations::start(Hub& hub) {
  hub_ = &hub;
  const v1::Processor& own = config_.processor();
  holds_->start();
  files_->start();
  watch_ = std::make_unique<ProcessorWatch>(WatchParts{.staging = staging_,
                                                       .hub = hub,
                                                       .marks = *marks_,
                                                       .holds = *holds_,
                                                       .alarms = *alarms_,
                                                       .command = *command_,
                                                       .is_draining =
                                                           [this] {
                                                             base::MutexLock lock(mutex_);
                                                             return draining_since_ != 0;
                                                           }},
                                            watch_options(own));
  watch_->start();
  if (own.metrics_listen().empty()) return {};
  ASSIGN_OR_RETURN(metrics_, base::MetricsServer::start(own.metrics_listen(), [this] {
                     return metric_families(metrics_input());
                   }));
  return {};
}

void ProcessorOperations::stop() {
  metrics_.reset();
  if (watch_ != nullptr) watch_->stop();
  files_->stop();
  holds_->stop();
  command_->stop();
}

std::string ProcessorOperations::metrics_address() const {
  return metrics_ == nullptr ? "" : metrics_->bound_address();
}

Status ProcessorOperations::drain(const v1::DrainRequest& request, const base::Caller& caller) {
  const bool is_begun = request.action() == v1::DrainRequest::ACTION_BEGIN;
  if (!is_begun && request.action() != v1::DrainRequest::ACTION_END) {
    return invalid_argument("no such action of drain mode");
  }
  if (request.reason().empty()) return invalid_argument("drain mode needs a reason");
  v1::AuditRow row;
  row.set_action(is_begun ? "drain" : "drain ended");
  row.set_reason(request.reason());
  row.set_peer(caller.peer);
  row.set_user(caller.user);
  RETURN_IF_ERROR(staging_.note_command(std::move(row)));
  {
    base::MutexLock lock(mutex_);
    const bool was_begun = draining_since_ != 0;
    if (!is_begun) draining_since_ = 0;
    if (is_begun && !was_begun) draining_since_ = base::system_clock().unix_now_ns();
  }
  hub_->set_draining(is_begun);
  LOG_INFO("drain mode {}", is_begun ? "begins" : "ends");
  return {};
}

v1::DrainResponse ProcessorOperations::drain_state() const {
  v1::DrainResponse response;
  {
    base::MutexLock lock(mutex_);
    response.set_is_draining(draining_since_ != 0);
    response.set_since_unix_ns(draining_since_);
  }
  for (const auto& input : config_.processor().queues()) response.add_queues(input.name());
  const StagingCounts counts = staging_.counts();
  response.set_staged_count(static_cast<int64_t>(counts.staged_count));
  response.set_staged_bytes(static_cast<int64_t>(counts.staged_bytes));
  response.set_kept_count(static_cast<int64_t>(counts.kept_count));
  response.set_quarantined_count(static_cast<int64_t>(counts.quarantined_count));
  response.set_has_required_adapter(counts.has_required_adapter);
  for (auto& info : hub_->adapters()) *response.add_adapters() = std::move(info);
  return response;
}

MetricsInput ProcessorOperations::metrics_input() const {
  MetricsInput input;
  input.version = std::string(base::version());
  input.started_unix_ns = started_unix_ns_;
  input.counts = staging_.counts();
  input.store_epoch = staging_.epoch();
  input.takes = marks_->look() == StagingMarks::State::kTakes;
  input.high_bytes = marks_->options().high_bytes;
  input.free_disk_bytes = marks_->free_disk_bytes();
  input.free_disk_min_bytes = marks_->options().free_disk_min_bytes;
  input.adapters = hub_->adapters();
  input.queue_holds = holds_->queues();
  input.files = files_->state();
  input.alarms = alarms_->list(true);
  input.alarm_command_run_count = command_->run_count();
  input.alarm_command_failure_count = command_->failure_count();
  base::MutexLock lock(mutex_);
  input.is_draining = draining_since_ != 0;
  return input;
}

}  // namespace verbatim::processor
