#include "processor/processor.h"

#include "base/config.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/service.h"
#include "queue/client/queue_access.h"
#include "queue/client/zmq_queue_client.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;

ChannelOptions channel_options(const v1::Processor& config, const v1::AdapterSettings& adapter) {
  ChannelOptions options;
  options.adapter = adapter.name();
  options.settings = {adapter.settings().begin(), adapter.settings().end()};
  options.batch_events_max_count = static_cast<uint64_t>(adapter.batch_max_events());
  options.batch_max_bytes = static_cast<uint64_t>(adapter.batch_max_bytes());
  options.interval = milliseconds(adapter.interval_ms());
  if (adapter.mode() == "interval") {
    options.run_interval = std::chrono::minutes(adapter.run_interval_minutes());
  }
  options.heartbeat = milliseconds(config.adapter_heartbeat_ms());
  options.silence_max = milliseconds(config.adapter_silence_max_ms());
  options.retry_max = milliseconds(config.adapter_retry_max_ms());
  return options;
}

StagingOptions staging_options(const v1::Processor& config) {
  StagingOptions options;
  options.path = base::join_path(config.data_dir(), "staging");
  options.source_key_window = milliseconds(config.source_key_window_ms());
  options.optional_lag_max_bytes = static_cast<uint64_t>(config.optional_lag_max_bytes());
  options.rejects_max_count = static_cast<uint64_t>(config.adapter_rejects_max_count());
  return options;
}

// A mark that the store itself would pass is refused, and so is a disk on which it may not even
// open.
Status check_disk(const v1::Processor& config) {
  const auto queue_count = static_cast<uint64_t>(config.queues_size());
  const auto receive_max_bytes = static_cast<uint64_t>(config.receive_max_bytes());
  const uint64_t least = StagingMarks::least_free_bytes(queue_count, receive_max_bytes);
  if (config.free_disk_min_bytes() != 0 &&
      static_cast<uint64_t>(config.free_disk_min_bytes()) < least) {
    return invalid_argument(fmt::format(
        "processor.free_disk_min_bytes={} does not keep the disk of {} from becoming full: beside "
        "what is staged the store needs up to {} bytes ({} for writes, {} ahead of its files, and "
        "twice processor.receive_max_bytes={} for each of {} queues); set it to {} or more, or to "
        "0 "
        "for just that, or lower processor.receive_max_bytes",
        config.free_disk_min_bytes(), config.data_dir(), least, StagingMarks::kWriteRoomBytes,
        Staging::kDiskAheadBytes, receive_max_bytes, queue_count, least));
  }
  ASSIGN_OR_RETURN(const uint64_t free, base::posix_file_system().free_bytes(config.data_dir()));
  if (free >= StagingMarks::kWriteRoomBytes) return {};
  return resource_exhausted(fmt::format(
      "the disk of {} has {} bytes free, and the staging store needs {} to open: make room there "
      "and start again; what was acknowledged is kept",
      config.data_dir(), free, StagingMarks::kWriteRoomBytes));
}

IntakeOptions intake_options(const v1::Processor& config, const std::string& queue) {
  IntakeOptions options;
  options.queue = queue;
  options.receive.max_count = config.receive_max_count();
  options.receive.max_bytes = config.receive_max_bytes();
  options.receive.lease = milliseconds(config.lease_ms());
  return options;
}

}  // namespace

Result<std::unique_ptr<Processor>> Processor::create(const v1::Config& config) {
  const v1::Processor& own = config.processor();
  if (own.staging_low_bytes() > own.staging_high_bytes()) {
    return invalid_argument("processor.staging_low_bytes is above processor.staging_high_bytes");
  }
  RETURN_IF_ERROR(base::check_data_dir(base::posix_file_system(), own.data_dir()));
  RETURN_IF_ERROR(check_disk(own));
  // The collector writes it; before its first start it is made here.
  ASSIGN_OR_RETURN(auto files, base::ContentStore::open(base::posix_file_system(),
                                                        {.directory = config.files().data_dir()}));
  ASSIGN_OR_RETURN(auto staging, Staging::open(staging_options(own)));
  ASSIGN_OR_RETURN(auto notices,
                   staging->reconcile({own.adapters().begin(), own.adapters().end()}));
  ASSIGN_OR_RETURN(auto operations,
                   ProcessorOperations::create(base::posix_file_system(), config, *staging));
  return std::unique_ptr<Processor>(new Processor(config, std::move(files), std::move(staging),
                                                  std::move(operations), std::move(notices)));
}

Processor::Processor(v1::Config config, std::unique_ptr<base::ContentStore> files,
                     std::unique_ptr<Staging> staging,
                     std::unique_ptr<ProcessorOperations> operations,
                     std::vector<std::string> configuration_notices)
    : config_(std::move(config)),
      files_(std::move(files)),
      staging_(std::move(staging)),
      operations_(std::move(operations)),
      configuration_notices_(std::move(configuration_notices)) {
  std::vector<ChannelOptions> adapters;
  for (const auto& adapter : config_.processor().adapters()) {
    adapters.push_back(channel_options(config_.processor(), adapter));
    adapters.back().has_room = [this] { return operations_->marks().has_room(); };
  }
  hub_ = std::make_unique<Hub>(*staging_, adapters, base::system_clock());
  hub_service_ = std::make_unique<HubService>(*staging_, *hub_, *files_);
  admin_service_ =
      std::make_unique<AdminService>(AdminService::Parts{.staging = *staging_,
                                                         .hub = *hub_,
                                                         .operations = *operations_,
                                                         .files = *files_,
                                                         .notices = [this] { return notices(); }});
  for (const auto& input : config_.processor().queues()) add_intake(input);
}

Processor::~Processor() { stop(); }

void Processor::add_intake(const v1::InputQueue& input) {
  QueueDoor door;
  door.address = [this, address = input.address()] {
    return base::resolve_address(base::posix_file_system(), config_, address, "listen");
  };
  door.connect =
      [input](const std::string& address) -> Result<std::unique_ptr<queue::QueueClient>> {
    queue::ZmqQueueClientOptions options;
    options.address = address;
    ASSIGN_OR_RETURN(options.curve, queue::read_queue_access(input.security()));
    options.client_name = "processor";
    options.queue = input.name();
    return queue::create_zmq_queue_client(options);
  };
  intakes_.push_back(std::make_unique<IntakeWorker>(
      *staging_, operations_->marks(), intake_options(config_.processor(), input.name()),
      std::move(door), [this] { hub_->poke(); }));
}

Status Processor::start() {
  const v1::Processor& own = config_.processor();
  hub_->start();
  RETURN_IF_ERROR(operations_->start(*hub_));
  base::GrpcServerOptions hub_options;
  // Answers of adapters are small; one chunk may hold one large event, a begin a large roster.
  hub_options.message_size_max_bytes = 8 << 20;
  hub_options.send_size_max_bytes = 128 << 20;
  ASSIGN_OR_RETURN(hub_server_, base::GrpcServer::start(own.hub_listen(), {hub_service_->service()},
                                                        hub_options));
  base::GrpcServerOptions admin_options;
  admin_options.message_size_max_bytes = 1 << 20;
  admin_options.send_size_max_bytes = 64 << 20;
  ASSIGN_OR_RETURN(
      admin_server_,
      base::GrpcServer::start(own.admin_listen(), {admin_service_->service()}, admin_options));
  for (auto& intake : intakes_) intake->start();
  return {};
}

void Processor::stop() {
  for (auto& intake : intakes_) intake->stop();
  admin_service_->stop();
  operations_->stop();
  hub_->stop();
  if (hub_server_ != nullptr) hub_server_->stop();
  if (admin_server_ != nullptr) admin_server_->stop();
}

std::vector<std::string> Processor::notices() const {
  std::vector<std::string> sentences = configuration_notices_;
  const auto add = [&sentences](const std::vector<std::string>& more) {
    sentences.insert(sentences.end(), more.begin(), more.end());
  };
  add(staging_->notices());
  add(hub_->notices());
  for (const auto& intake : intakes_) {
    if (std::string notice = intake->notice(); !notice.empty()) add({std::move(notice)});
  }
  return sentences;
}

}  // namespace verbatim::processor
