#include "adapters/sdk/run_adapter.h"

#include <atomic>
#include <thread>

#include "adapters/sdk/hub_client.h"
#include "base/allocator.h"
#include "base/config.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/ready_file.h"
#include "base/service.h"
#include "base/signals.h"

namespace verbatim::adapters {
namespace {

constexpr std::chrono::milliseconds kSignalPoll{200};

HubClientOptions client_options(const v1::Config& config, const AdapterProgram& program) {
  HubClientOptions options;
  options.adapter = program.adapter;
  options.software = program.service_name + " " + std::string(base::version());
  options.address = [&config, address = program.hub_address] {
    return base::resolve_address(base::posix_file_system(), config, address, "hub_listen");
  };
  return options;
}

}  // namespace

int run_adapter(Adapter& adapter, const v1::Config& config, const AdapterProgram& program) {
  const base::AllocatorCare allocator;
  base::FileSystem& files = base::posix_file_system();
  if (const Status status = base::check_data_dir(files, program.data_dir); !status.ok()) {
    LOG_ERROR("cannot start: {}", status.message());
    return 1;
  }
  auto ready = base::ReadyFile::write(files, program.data_dir, program.service_name, {});
  if (!ready) {
    LOG_ERROR("cannot start: {}", ready.error().message());
    return 1;
  }
  HubClient client(adapter, client_options(config, program));
  Status status;
  std::atomic<bool> is_over = false;
  std::thread runner([&] {
    status = client.run();
    is_over = true;
  });
  while (!is_over && base::wait_for_stop_signal(kSignalPoll) == 0) {
  }
  client.stop();
  runner.join();
  if (status.ok()) return 0;
  LOG_ERROR("stopped, a person is needed: {}", status.message());
  return 1;
}

}  // namespace verbatim::adapters
