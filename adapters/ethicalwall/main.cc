// verbatim-policy-ethicalwall: who may communicate with whom (docs/policy-rules.md).
//
//   verbatim-policy-ethicalwall --config FILE                   attaches to the collector and
//   decides verbatim-policy-ethicalwall --check FILE                    says what is wrong with a
//   rule file verbatim-policy-ethicalwall --explain FROM TO KIND [...]    says which rule decides
#include <cstdio>
#include <string_view>

#include "adapters/ethicalwall/commands.h"
#include "adapters/ethicalwall/ethical_wall.h"
#include "adapters/sdk/run_policy.h"
#include "base/log.h"
#include "base/service.h"

namespace {

constexpr const char* kName = "verbatim-policy-ethicalwall";

constexpr const char* kHelp =
    R"(A policy that decides who may communicate with whom (table [policy_ethicalwall]). It dials the
collector, which asks it once `verbatimctl servers` and `assignments` know its name. Rules:
docs/policy-rules.md.

  --check FILE                says what is wrong with a rule file, or its digest
  --explain FROM TO KIND      says which rule decides; more: --explain --help

SIGHUP reads the rules again at once.)";

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && verbatim::wall::is_command(argv[1])) {
    return verbatim::wall::run_command(kName, argc, argv);
  }
  verbatim::base::install_signal_handlers();
  verbatim::base::install_reload_signal();
  const auto start = verbatim::base::start_service(kName, argc, argv, kHelp);
  if (!start.arguments) return start.exit_code;
  const auto& settings = start.arguments->config.policy_ethicalwall();
  verbatim::wall::EthicalWall policy(verbatim::base::posix_file_system(), settings.rules_file(),
                                     settings.dry_run());
  // Without rules everything would pass: no start.
  if (const auto status = policy.load(); !status.ok()) {
    std::fprintf(stderr, "%s: %s\n", kName, status.message().c_str());
    return 2;
  }
  if (settings.dry_run()) LOG_WARN("dry run: everything passes");
  return verbatim::adapters::run_policy(
      policy, start.arguments->config,
      {settings.name(), settings.collector_address(), settings.data_dir(), kName,
       static_cast<int>(settings.credit()), true});
}
