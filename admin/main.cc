// verbatimctl: the command line of Verbatim.
#include <csignal>
#include <string>
#include <utility>

#include "admin/command_line.h"
#include "admin/status_report.h"
#include "base/config.h"
#include "base/net_address.h"
#include "base/service.h"

namespace verbatim::admin {
namespace {

// The address given, else the configured one; a configured port 0 is looked up in the ready file.
Result<std::string> address_of(const std::string& given, const v1::Config& config, ServiceKind kind,
                               const std::string& configured) {
  std::string address = given.empty() ? configured : given;
  ASSIGN_OR_RETURN(base::NetAddress parsed, base::parse_net_address(address));
  if (parsed.kind == base::NetAddress::Kind::kTcp && parsed.port == 0) {
    const std::string service = "@" + std::string(service_word(kind));
    const Result<std::string> bound =
        base::resolve_address(base::posix_file_system(), config, service, "admin_listen");
    if (!bound) {
      return unavailable(
          "the " + std::string(service_word(kind)) +
          " is not running: its port is free to choose and it has not written one (" +
          bound.error().message() + ")");
    }
    ASSIGN_OR_RETURN(parsed, base::parse_net_address(*bound));
  }
  return parsed.to_grpc();
}

Result<AdminAddresses> addresses_of(const CommandLine& line) {
  ASSIGN_OR_RETURN(const v1::Config config, base::load_config(line.config_path));
  AdminAddresses addresses;
  ASSIGN_OR_RETURN(addresses.queue, address_of(line.addresses.queue, config, ServiceKind::kQueue,
                                               config.queue().admin_listen()));
  ASSIGN_OR_RETURN(addresses.collector,
                   address_of(line.addresses.collector, config, ServiceKind::kCollector,
                              config.collector().admin_listen()));
  ASSIGN_OR_RETURN(addresses.processor,
                   address_of(line.addresses.processor, config, ServiceKind::kProcessor,
                              config.processor().admin_listen()));
  return addresses;
}

int run(int argc, const char* const* argv) {
  const ParsedCommandLine parsed = parse_command_line(argc, argv);
  if (!parsed.command_line) return parsed.exit_code;
  const CommandLine& line = *parsed.command_line;
  const OutputStyle style{line.is_json, line.has_colour && !line.is_json};
  if (line.local) return line.local(style);
  Result<AdminAddresses> addresses = addresses_of(line);
  if (!addresses) {
    const int code = report_error(addresses.error());
    return code == kExitServiceDown ? code : kExitUsage;
  }
  AdminClient client(*std::move(addresses), line.timeout);
  CommandContext context{client, style};
  return line.remote(context);
}

}  // namespace
}  // namespace verbatim::admin

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // `verbatimctl events tail | head` ends, it does not die
  return verbatim::admin::run(argc, argv);
}
