// verbatim-processor: takes events from the queues into staging and hands them to the adapters.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/allocator.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/service.h"
#include "processor/processor.h"

namespace verbatim::processor {
namespace {

constexpr const char* kName = "verbatim-processor";

// Beside 0 and 2 (base/service.h): what a supervisor may want to tell apart.
constexpr int kDamaged = 3;      // the store is damaged; a restart does not help
constexpr int kStoreFailed = 4;  // a write or sync failed; a restart reads what is there

// Until a signal asks for it, or staging has failed.
int wait_for_end(const Processor& service) {
  while (base::wait_for_stop_signal(std::chrono::milliseconds(200)) == 0) {
    if (!service.failure().ok()) return kStoreFailed;
  }
  return EXIT_SUCCESS;
}

Result<int> run(const v1::Config& config) {
  ASSIGN_OR_RETURN(auto service, Processor::create(config));
  RETURN_IF_ERROR(service->start());
  ASSIGN_OR_RETURN(
      const auto ready,
      base::ReadyFile::write(base::posix_file_system(), config.processor().data_dir(), "processor",
                             {{"admin_listen", service->admin_address()},
                              {"hub_listen", service->hub_address()},
                              {"metrics_listen", service->metrics_address()}}));
  LOG_INFO("ready admin={} hub={}", service->admin_address(), service->hub_address());
  const int exit_code = wait_for_end(*service);
  service->stop();
  LOG_INFO("stopped exit_code={}", exit_code);
  return exit_code;
}

constexpr const char* kHelp =
    R"(Takes events from the queue, stages them, and hands them in batches to the adapters; what all
required adapters have acknowledged is deleted (table [processor]). Operated with verbatimctl
adapters, staging, batches, files, holds, drain. Runbook: docs/operations.md.)";

}  // namespace
}  // namespace verbatim::processor

int main(int argc, char** argv) {
  namespace processor = verbatim::processor;
  verbatim::base::install_signal_handlers();
  const auto start = verbatim::base::start_service(processor::kName, argc, argv, processor::kHelp);
  if (!start.arguments) return start.exit_code;
  const verbatim::base::AllocatorCare allocator;
  const auto exit_code = processor::run(start.arguments->config);
  if (exit_code) return *exit_code;
  std::fprintf(stderr, "%s: %s\n", processor::kName, exit_code.error().message().c_str());
  const bool is_damage = exit_code.error().code() == verbatim::StatusCode::kDataLoss;
  return is_damage ? processor::kDamaged : EXIT_FAILURE;
}
