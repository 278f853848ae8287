#include "collector/ops/collector_operations.h"

#include <utility>

#include "base/service.h"
#include "collector/ops/conditions.h"

namespace verbatim::collector {
namespace {

constexpr std::chrono::milliseconds kLookInterval{1'000};
// Longer than the grace of links, so that a restart of the collector ends no alarm about one.
constexpr std::chrono::milliseconds kClearAfter{2 * kLinkGraceMs};

void add(std::vector<base::AlarmCondition>& to, std::vector<base::AlarmCondition> more) {
  for (auto& condition : more) to.push_back(std::move(condition));
}

}  // namespace

CollectorOperations::CollectorOperations(base::Clock& clock, const v1::Collector& config)
    : clock_(clock),
      config_(config),
      started_unix_ns_(clock.unix_now_ns()),
      queue_seen_(clock.monotonic()) {}

Result<std::unique_ptr<CollectorOperations>> CollectorOperations::create(
    base::FileSystem& file_system, base::Clock& clock, const v1::Collector& config) {
  std::unique_ptr<CollectorOperations> all(new CollectorOperations(clock, config));
  ASSIGN_OR_RETURN(all->audit_, base::AuditLog::open(file_system, clock, config.data_dir(),
                                                     "verbatim-collector"));
  base::AlarmOptions alarms;
  alarms.clear_after = kClearAfter;
  ASSIGN_OR_RETURN(all->alarms_,
                   base::AlarmRegistry::open(file_system, clock,
                                             base::join_path(config.data_dir(), "alarms"), alarms));
  base::AlarmCommandOptions command;
  command.program = config.alarm_command();
  all->command_ = std::make_unique<base::AlarmCommand>(std::move(command));
  return all;
}

CollectorOperations::~CollectorOperations() { stop(); }

Status CollectorOperations::start(OperatedParts parts) {
  parts_.emplace(std::move(parts));
  thread_ = std::thread([this] { run(); });
  if (config_.metrics_listen().empty()) return {};
  ASSIGN_OR_RETURN(metrics_, base::MetricsServer::start(config_.metrics_listen(), [this] {
                     return metric_families(metrics_input());
                   }));
  return {};
}

void CollectorOperations::stop() {
  metrics_.reset();
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (command_ != nullptr) command_->stop();
}

void CollectorOperations::run() {
  bool is_stopping = false;
  while (!is_stopping) {
    look();
    base::MutexLock lock(mutex_);
    is_stopping = changed_.wait_for(mutex_, kLookInterval,
                                    [this]() REQUIRES(mutex_) { return is_stopping_; });
  }
}

void CollectorOperations::look() {
  if (parts_->broker.is_queue_connected()) {
    base::MutexLock lock(mutex_);
    queue_seen_ = clock_.monotonic();
  }
  std::vector<base::AlarmCondition> conditions = conditions_of(picture());
  add(conditions, audit_->alarm_conditions());
  add(conditions, parts_->compliance.alarm_conditions());
  if (const std::string error = command_->last_error(); !error.empty()) {
    conditions.push_back({"alarm-command", "collector.alarm_command", error});
  }
  for (const v1::Alarm& alarm : alarms_->update(conditions)) command_->tell(alarm);
}

v1::ListSourcesResponse CollectorOperations::list_sources() const {
  v1::ListSourcesResponse answer;
  for (const Source* source : parts_->sources) {
    for (v1::SourceInfo& row : source->info()) *answer.add_sources() = std::move(row);
  }
  *answer.mutable_outbox() = parts_->broker.outbox_info();
  answer.set_in_flight_count(parts_->broker.in_flight_count());
  answer.set_is_queue_connected(parts_->broker.is_queue_connected());
  answer.set_profile(parts_->broker.profile().name());
  *answer.mutable_fetch() = parts_->fetcher.info();
  *answer.mutable_directory() = parts_->directory.info();
  answer.set_open_attempt_count(parts_->broker.open_attempt_count());
  answer.set_unconfirmed_count(parts_->broker.unconfirmed_count());
  return answer;
}

v1::ListServersResponse CollectorOperations::list_servers() const {
  v1::ListServersResponse answer;
  for (v1::ServerInfo& row : parts_->servers.servers()) *answer.add_servers() = std::move(row);
  const ServerReport::Waiting waiting = parts_->servers.waiting();
  answer.set_waiting_count(waiting.count);
  answer.set_waiting_bytes(waiting.bytes);
  return answer;
}

std::vector<std::string> CollectorOperations::notices() const {
  std::vector<std::string> notices;
  if (!parts_->broker.is_queue_connected()) notices.push_back("the queue does not answer");
  const v1::OutboxInfo outbox = parts_->broker.outbox_info();
  if (outbox.event_count() > 0) {
    notices.push_back(std::to_string(outbox.event_count()) + " events wait in the outbox");
  }
  const v1::DirectoryInfo directory = parts_->directory.info();
  if (!directory.problem().empty()) notices.push_back("directory: " + directory.problem());
  for (const v1::Alarm& alarm : alarms_->list(false)) {
    notices.push_back("alarm " + alarm.name() + " " + alarm.subject() + ": " + alarm.text());
  }
  return notices;
}

std::string CollectorOperations::metrics_address() const {
  return metrics_ == nullptr ? "" : metrics_->bound_address();
}

CollectorPicture CollectorOperations::picture() const {
  CollectorPicture picture;
  picture.now_unix_ns = clock_.unix_now_ns();
  picture.sources = list_sources();
  picture.servers = list_servers();
  picture.outbox_max_bytes = config_.outbox_max_bytes();
  picture.waiting_max_bytes = config_.policies().waiting_max_bytes();
  picture.routing = parts_->compliance.routing();
  base::MutexLock lock(mutex_);
  picture.queue_gone_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - queue_seen_)
          .count();
  return picture;
}

MetricsInput CollectorOperations::metrics_input() const {
  MetricsInput input;
  input.version = std::string(base::version());
  input.started_unix_ns = started_unix_ns_;
  input.picture = picture();
  input.alarms = alarms_->list(true);
  input.alarm_command_run_count = command_->run_count();
  input.alarm_command_failure_count = command_->failure_count();
  input.audit_last_number = audit_->last_number();
  return input;
}

}  // namespace verbatim::collector
