#include "base/service.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/config.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

// The tables whose folders a service uses: "adapter_xml" of "verbatim-adapter-xml".
std::vector<std::string> tables_of(std::string service_name) {
  if (service_name.starts_with("verbatim-")) service_name.erase(0, std::strlen("verbatim-"));
  std::replace(service_name.begin(), service_name.end(), '-', '_');
  if (service_name == "collector" || service_name == "processor") return {service_name, "files"};
  return {service_name};
}

Result<v1::Config> configure(const std::string& service_name, const ServiceFlags& flags) {
  ConfigOrigin origin;
  ASSIGN_OR_RETURN(v1::Config config, load_config(flags.config_path, &origin));
  for (const std::string& assignment : flags.overrides) {
    RETURN_IF_ERROR(apply_override(config, assignment, &origin));
  }
  RETURN_IF_ERROR(check_config(config, origin));
  for (const std::string& table : tables_of(service_name)) {
    RETURN_IF_ERROR(check_own_folders(posix_file_system(), config, table, origin));
  }
  return config;
}

StartResult refuse(const std::string& service_name, const Status& status) {
  std::fprintf(stderr, "%s: %s\n", service_name.c_str(), status.message().c_str());
  return {std::nullopt, 2};
}

// Idle connections of strangers must not leave a service without descriptors at the system's modest
// default of 1,024; what is allowed is taken.
void raise_descriptor_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LOG_WARN("the limit of open files stays at {}", limit.rlim_cur);
  }
}

constexpr const char* kCommonHelp = R"(

Settings with their defaults and limits: deploy/verbatim.toml. Ends on SIGTERM and SIGINT, once
everything is on disk. Exit codes: 0 ended when it was told to; 1 failed, the last line of the log
says why; 2 wrong flags or configuration.)";

}  // namespace

std::string_view version() { return VERBATIM_VERSION; }

StartResult start_service(const std::string& service_name, int argc, const char* const* argv,
                          const std::string& help) {
  StartArguments arguments;
  ServiceFlags& flags = arguments.flags;
  CLI::App app{service_name + " " + std::string(version()), service_name};
  app.set_version_flag("--version", service_name + " " + std::string(version()));
  app.footer(help + kCommonHelp);
  app.add_option("--config", flags.config_path,
                 "configuration file (TOML); built-in defaults without")
      ->type_name("FILE");
  app.add_option("--set", flags.overrides, "override one setting, as in queue.data_dir=/srv/queue")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--log-level", flags.log_level, "debug, info, warn or error")->type_name("LEVEL");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : 2};
  }
  Result<v1::Config> config = configure(service_name, flags);
  if (!config) return refuse(service_name, config.error());
  arguments.config = *std::move(config);
  const std::string& level =
      flags.log_level.empty() ? arguments.config.log().level() : flags.log_level;
  const Status status = init_log(service_name, level);
  if (!status.ok()) return refuse(service_name, status);
  raise_descriptor_limit();
  return {std::move(arguments), 0};
}

}  // namespace verbatim::base
