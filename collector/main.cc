// verbatim-collector: takes events from the sources, makes them durable in the queue, and answers.
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/allocator.h"
#include "base/config.h"
#include "base/content_store.h"
#include "base/grpc_server.h"
#include "base/log.h"
#include "base/service.h"
#include "collector/admin_service.h"
#include "collector/broker/queue_broker.h"
#include "collector/compliance/compliance_store.h"
#include "collector/directory/directory.h"
#include "collector/fetch/file_fetcher.h"
#include "collector/ops/collector_operations.h"
#include "collector/policy/link/link_servers.h"
#include "collector/policy/policy_service.h"
#include "collector/sources/grpc/file_uploads.h"
#include "collector/sources/grpc/grpc_source.h"
#include "collector/sources/zmq/zmq_source.h"
#include "queue/client/queue_access.h"
#include "queue/client/zmq_queue_client.h"

#if defined(VERBATIM_HAS_XCP_SOURCE)
#include "collector/sources/xcp/xcp_source.h"
#endif

namespace verbatim::collector {
namespace {

constexpr std::string_view kService = "verbatim-collector";
// Beyond an event's own deadline nothing is left to wait for.
constexpr std::chrono::milliseconds kStopMargin{500};

using Sources = std::vector<std::unique_ptr<Source>>;

Sources create_sources(const v1::Collector& config, Broker& broker, FileUploads& uploads) {
  Sources sources;
  const std::chrono::milliseconds deadline(config.event_deadline_ms());
  if (config.grpc().enabled()) {
    GrpcSourceOptions options;
    options.listen = config.grpc().listen();
    options.credit_events = config.grpc().credit_events();
    options.event_deadline = deadline;
    options.further_services = {uploads.service()};
    options.further_memory_bytes = kUploadsMemoryBytes;
    sources.push_back(std::make_unique<GrpcSource>(std::move(options), broker));
  }
  if (config.zmq().enabled()) {
    ZmqSourceOptions options;
    options.listen = config.zmq().listen();
    options.credit_events = config.zmq().credit_events();
    options.event_deadline = deadline;
    sources.push_back(std::make_unique<ZmqSource>(std::move(options), broker));
  }
#if defined(VERBATIM_HAS_XCP_SOURCE)
  for (const v1::XcpSource& xcp : config.xcp()) {
    sources.push_back(std::make_unique<XcpSource>(xcp, broker));
  }
#endif
  return sources;
}

// Whatever was answered is on disk or in the queue; going on could answer for what is not.
void end_process(const Status& status) {
  LOG_ERROR("the collector ends: {}", status.to_string());
  _exit(1);
}

Result<std::unique_ptr<base::ContentStore>> open_files(const v1::FileStore& config) {
  base::ContentStoreOptions options;
  options.directory = config.data_dir();
  options.is_writer = true;
  options.file_max_bytes = static_cast<uint64_t>(config.file_max_bytes());
  options.free_disk_min_bytes = static_cast<uint64_t>(config.free_disk_min_bytes());
  options.on_failed_sync = end_process;
  return base::ContentStore::open(base::posix_file_system(), std::move(options));
}

FileUploadsOptions uploads_options(const v1::FileStore& config, const QueueBroker& broker) {
  FileUploadsOptions options;
  options.named_within = std::chrono::milliseconds(config.named_within_ms());
  options.is_settled = [&broker] { return broker.is_outbox_settled(); };
  options.kept = std::chrono::milliseconds(config.upload_kept_ms());
  options.silence_max = std::chrono::milliseconds(config.upload_silence_max_ms());
  return options;
}

Result<std::unique_ptr<FileFetcher>> create_fetcher(const v1::Config& config,
                                                    base::ContentStore& files) {
  const v1::Collector& collector = config.collector();
  ASSIGN_OR_RETURN(FetchRules rules,
                   FetchRules::create(collector.fetch(), config.files().file_max_bytes()));
  FileFetcherOptions options;
  options.directory = base::join_path(collector.data_dir(), "fetches");
  options.collector_name = collector.name();
  return FileFetcher::create(base::posix_file_system(), files, std::move(rules),
                             std::move(options));
}

QueueBrokerOptions broker_options(const v1::Config& config, Profile profile,
                                  base::ContentStore& files, FileFetcher& fetcher,
                                  Directory& directory) {
  const v1::Collector& collector = config.collector();
  QueueBrokerOptions options;
  options.completer.resolve = [&directory](v1::Event& event) { directory.resolve(event); };
  options.profile = std::move(profile);
  options.collector_name = collector.name();
  options.data_dir = collector.data_dir();
  options.completer.internal_domains = {collector.internal_domains().begin(),
                                        collector.internal_domains().end()};
  options.completer.message_max_bytes = config.queue().message_max_bytes();
  options.event_deadline = std::chrono::milliseconds(collector.event_deadline_ms());
  options.unconfirmed_after = std::chrono::milliseconds(collector.unconfirmed_after_ms());
  options.outbox_max_bytes = static_cast<uint64_t>(collector.outbox_max_bytes());
  if (collector.grpc().enabled()) options.sources.emplace_back("grpc", "grpc");
  if (collector.zmq().enabled()) options.sources.emplace_back("zmq", "zmq");
  for (const auto& xcp : collector.xcp()) options.sources.emplace_back(xcp.name(), "xcp");
  options.completer.has_file = [&files](std::string_view sha256) { return files.has(sha256); };
  options.use_files = [&files](std::vector<std::string> sha256s) {
    return files.use(std::move(sha256s));
  };
  options.note_links = [&fetcher](const v1::Event& event) { return fetcher.note(event); };
  options.on_fatal = end_process;
  return options;
}

Result<std::unique_ptr<ComplianceStore>> open_compliance(base::FileSystem& file_system,
                                                         const std::string& data_dir) {
  ComplianceStoreOptions options;
  // Made by every collector at its first start, also by those that knew no profiles yet.
  options.is_upgrade = file_system.exists(base::join_path(data_dir, "alive"));
  return ComplianceStore::open(file_system, base::join_path(data_dir, "compliance"), options);
}

// Where policies attach, and the link to those that we dial, from start to stop.
class PolicyEntrance {
 public:
  PolicyEntrance(PolicyChain& chain, const ComplianceSource& compliance, const v1::Policies& config)
      : chain_(chain),
        service_(chain),
        links_(chain, compliance, std::chrono::milliseconds(config.heartbeat_ms())) {}

  Status start(const std::string& listen, std::map<std::string, std::string>& endpoints) {
    ASSIGN_OR_RETURN(server_, base::GrpcServer::start(listen, {service_.service()}));
    endpoints["policies_listen"] = server_->bound_address();
    links_.start();
    return {};
  }
  // Answers what waits; then no plugin is heard any more.
  void stop() {
    chain_.stop();
    links_.stop();
    if (server_) server_->stop();
  }

 private:
  PolicyChain& chain_;
  PolicyService service_;
  LinkServers links_;
  std::unique_ptr<base::GrpcServer> server_;
};

Result<std::unique_ptr<queue::QueueClient>> create_client(const v1::Config& config) {
  const v1::Collector& collector = config.collector();
  queue::ZmqQueueClientOptions options;
  ASSIGN_OR_RETURN(options.address, base::resolve_address(base::posix_file_system(), config,
                                                          collector.queue_address(), "listen"));
  ASSIGN_OR_RETURN(options.curve, queue::read_queue_access(collector.queue_security()));
  options.client_name = "collector." + collector.name();
  options.producer = collector.name();
  options.queue = collector.queue();
  return queue::create_zmq_queue_client(options);
}

// Reads no more, answers what is under way, and leaves everything synced.
void stop_all(Sources& sources, FileUploads& uploads, FileFetcher& fetcher,
              PolicyEntrance& policies, queue::QueueClient& client, QueueBroker& broker,
              std::chrono::milliseconds patience) {
  // All at once: while one waits for its answers, the others must not go on reading.
  std::vector<std::thread> stoppers;
  for (auto& source : sources) {
    stoppers.emplace_back([&source, patience] { source->stop(patience); });
  }
  for (std::thread& stopper : stoppers) stopper.join();
  uploads.stop();
  fetcher.stop();
  policies.stop();
  client.stop();
  broker.stop();
}

Status start_sources(Sources& sources, std::map<std::string, std::string>& endpoints) {
  for (auto& source : sources) {
    RETURN_IF_ERROR(source->start());
    endpoints[source->name() + "_listen"] = source->bound_address();
    LOG_INFO("source listens name={} protocol={} address={}", source->name(), source->protocol(),
             source->bound_address());
  }
  return {};
}

Status run(const v1::Config& config) {
  const v1::Collector& collector = config.collector();
  base::FileSystem& file_system = base::posix_file_system();
  RETURN_IF_ERROR(base::check_data_dir(file_system, collector.data_dir()));
  ASSIGN_OR_RETURN(Profile profile, Profile::create(collector.profile()));
  ASSIGN_OR_RETURN(const PolicyChainOptions policy_settings, policy_options(collector));
  ASSIGN_OR_RETURN(const auto compliance, open_compliance(file_system, collector.data_dir()));
  ASSIGN_OR_RETURN(const auto operations,
                   CollectorOperations::create(file_system, base::system_clock(), collector));
  PolicyChain policies(policy_settings, *compliance);
  ASSIGN_OR_RETURN(const auto files, open_files(config.files()));
  ASSIGN_OR_RETURN(const auto fetcher, create_fetcher(config, *files));
  ASSIGN_OR_RETURN(const auto client, create_client(config));
  ASSIGN_OR_RETURN(const auto directory,
                   Directory::create(file_system, collector.directory(),
                                     std::chrono::milliseconds(collector.event_deadline_ms())));
  QueueBrokerOptions settings =
      broker_options(config, std::move(profile), *files, *fetcher, *directory);
  settings.policies = &policies;
  ASSIGN_OR_RETURN(const auto broker,
                   QueueBroker::create(file_system, *client, std::move(settings)));
  PolicyEntrance entrance(policies, *compliance, collector.policies());
  broker->start();
  fetcher->start(*broker);
  FileUploads uploads(*files, *broker, uploads_options(config.files(), *broker));
  Sources sources = create_sources(collector, *broker, uploads);
  const std::chrono::milliseconds patience =
      std::chrono::milliseconds(collector.event_deadline_ms()) + kStopMargin;
  std::vector<const Source*> rows;
  for (const auto& source : sources) rows.push_back(source.get());
  const auto admin = create_admin_service(*operations);
  std::map<std::string, std::string> endpoints;
  Status status = entrance.start(collector.policies().listen(), endpoints);
  if (status.ok()) status = start_sources(sources, endpoints);
  if (status.ok()) {
    status = operations->start({.broker = *broker,
                                .sources = rows,
                                .fetcher = *fetcher,
                                .directory = *directory,
                                .compliance = *compliance,
                                .servers = policies});
  }
  if (status.ok()) {
    auto server = base::GrpcServer::start(collector.admin_listen(), {admin.get()});
    if (server.has_value()) {
      endpoints["admin_listen"] = (*server)->bound_address();
      endpoints["metrics_listen"] = operations->metrics_address();
      auto ready =
          base::ReadyFile::write(file_system, collector.data_dir(), "collector", endpoints);
      status = ready.error();
      if (status.ok()) {
        LOG_INFO("ready admin_listen={}", (*server)->bound_address());
        const int signal = base::wait_for_stop_signal();
        LOG_INFO("stopping signal={}", signal);
      }
      operations->stop();
      stop_all(sources, uploads, *fetcher, entrance, *client, *broker, patience);
    } else {
      status = server.error();
    }
  }
  operations->stop();
  stop_all(sources, uploads, *fetcher, entrance, *client, *broker, std::chrono::milliseconds(0));
  return status;
}

constexpr const char* kHelp =
    R"(Takes events from chat servers and programs, asks policies, makes them durable in the queue,
and only then answers (table [collector]). Operated with verbatimctl sources, profiles, servers,
assignments, priority, doctor. Runbook: docs/operations.md.)";

}  // namespace
}  // namespace verbatim::collector

int main(int argc, char** argv) {
  verbatim::base::install_signal_handlers();
  const auto start = verbatim::base::start_service(std::string(verbatim::collector::kService), argc,
                                                   argv, verbatim::collector::kHelp);
  if (!start.arguments) return start.exit_code;
  const verbatim::base::AllocatorCare allocator;
  const verbatim::Status status = verbatim::collector::run(start.arguments->config);
  if (!status.ok()) {
    LOG_ERROR("{}", status.to_string());
    return 1;
  }
  LOG_INFO("stopped");
  return 0;
}
