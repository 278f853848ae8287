// Processor: the service put together from its configuration.
// Life cycle: create → start → stop. Threads: one caller; failure() from any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/content_store.h"
#include "base/grpc_server.h"
#include "base/status.h"
#include "processor/admin_service.h"
#include "processor/hub/hub.h"
#include "processor/hub/hub_service.h"
#include "processor/intake_worker.h"
#include "processor/ops/processor_operations.h"
#include "processor/staging/staging.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::processor {

class Processor {
 public:
  // Opens the store and compares its adapters with the configuration. Errors: those of
  // Staging::open and Staging::reconcile; kFailedPrecondition (the folder).
  static Result<std::unique_ptr<Processor>> create(const v1::Config& config);
  ~Processor();

  // Listens and takes. Errors: those of base::GrpcServer::start and base::MetricsServer::start.
  Status start();
  // Safe twice. Everything taken is committed or comes again.
  void stop();

  // The error that must end the service; OK while all is well.
  Status failure() const { return staging_->fatal(); }
  std::string admin_address() const { return admin_server_->bound_address(); }
  std::string metrics_address() const { return operations_->metrics_address(); }
  std::string hub_address() const { return hub_server_->bound_address(); }

 private:
  Processor(v1::Config config, std::unique_ptr<base::ContentStore> files,
            std::unique_ptr<Staging> staging, std::unique_ptr<ProcessorOperations> operations,
            std::vector<std::string> configuration_notices);
  std::vector<std::string> notices() const;
  void add_intake(const v1::InputQueue& input);

  const v1::Config config_;
  const std::unique_ptr<base::ContentStore> files_;
  const std::unique_ptr<Staging> staging_;
  const std::unique_ptr<ProcessorOperations> operations_;
  const std::vector<std::string> configuration_notices_;
  std::unique_ptr<Hub> hub_;
  std::vector<std::unique_ptr<IntakeWorker>> intakes_;
  std::unique_ptr<HubService> hub_service_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<base::GrpcServer> hub_server_;
  std::unique_ptr<base::GrpcServer> admin_server_;
};

}  // namespace verbatim::processor
