#include "adapters/sdk/run_policy.h"

#include <thread>

#include "adapters/sdk/policy_client.h"
#include "base/allocator.h"
#include "base/config.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/ready_file.h"
#include "base/service.h"
#include "base/signals.h"

namespace verbatim::adapters {
namespace {

// How often it looks for signals and lets the policy look at its files.
constexpr std::chrono::milliseconds kPoll{200};

PolicyClientOptions client_options(const v1::Config& config, const PolicyProgram& program) {
  PolicyClientOptions options;
  options.policy = program.policy;
  options.software = program.service_name + " " + std::string(base::version());
  options.credit = program.credit;
  options.is_order_free = program.is_order_free;
  options.address = [&config, address = program.collector_address] {
    return base::resolve_address(base::posix_file_system(), config, address, "policies_listen");
  };
  return options;
}

}  // namespace

int run_policy(Policy& policy, const v1::Config& config, const PolicyProgram& program) {
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
  PolicyClient client(policy, client_options(config, program));
  std::thread runner([&client] { client.run(); });
  while (base::wait_for_stop_signal(kPoll) == 0) policy.maintain(base::take_reload_signal());
  client.stop();
  runner.join();
  return 0;
}

}  // namespace verbatim::adapters
