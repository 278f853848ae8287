// verbatim-policy-contentfilter: what may be said (docs/policy-rules.md).
//
//   verbatim-policy-contentfilter --config FILE     attaches to the collector and decides
//   verbatim-policy-contentfilter --check FILE      says what is wrong with a rule file
#include <cstdio>
#include <string_view>

#include "adapters/contentfilter/content_filter.h"
#include "adapters/sdk/run_policy.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/service.h"
#include "base/sha256.h"

namespace {

using verbatim::content::CompiledContent;
using verbatim::content::ContentFilter;

constexpr const char* kName = "verbatim-policy-contentfilter";

int refuse(const verbatim::Status& status) {
  std::fprintf(stderr, "%s: %s\n", kName, status.message().c_str());
  return 2;
}

int check(const std::string& path) {
  const auto text = verbatim::base::posix_file_system().read_file(path);
  if (!text) return refuse(text.error());
  const auto content = CompiledContent::create(*text, path);
  if (!content) return refuse(content.error());
  std::printf("%s: rules=%zu disclaimers=%zu sha256=%s\n", path.c_str(), (*content)->rules().size(),
              (*content)->disclaimers().size(),
              verbatim::base::to_hex(verbatim::base::sha256(*text)).c_str());
  return 0;
}

constexpr const char* kHelp =
    R"(A policy that decides what may be said: blocks, redacts, notifies, adds disclaimers (table
[policy_contentfilter]). It dials the collector, which asks it once `verbatimctl servers` and
`assignments` know its name. Rules: docs/policy-rules.md.

  --check FILE                says what is wrong with a rule file, or its digest

SIGHUP reads the rules again at once.)";

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--check") return check(argv[2]);
  verbatim::base::install_signal_handlers();
  verbatim::base::install_reload_signal();
  const auto start = verbatim::base::start_service(kName, argc, argv, kHelp);
  if (!start.arguments) return start.exit_code;
  const auto& settings = start.arguments->config.policy_contentfilter();
  ContentFilter policy(verbatim::base::posix_file_system(),
                       {settings.rules_file(), settings.data_dir(), settings.dry_run()});
  // Without rules everything would pass: no start.
  if (const auto status = policy.load(); !status.ok()) return refuse(status);
  if (settings.dry_run()) LOG_WARN("dry run: everything passes");
  return verbatim::adapters::run_policy(
      policy, start.arguments->config,
      {settings.name(), settings.collector_address(), settings.data_dir(), kName,
       static_cast<int>(settings.credit()), false});
}
