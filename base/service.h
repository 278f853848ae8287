// What the main function of every service has in common: flags, signals, the ready file.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::base {

// The version of this build, such as "0.1.0".
std::string_view version();

// Blocks SIGTERM and SIGINT for this thread and all that it starts later, and ignores SIGPIPE. Call
// it first in main, before any thread exists.
void install_signal_handlers();
// Blocks until SIGTERM or SIGINT; gives its number. A second signal after that ends the process at
// once.
int wait_for_stop_signal();
// As above, but gives up after the time with 0.
int wait_for_stop_signal(std::chrono::milliseconds timeout);

struct ServiceFlags {
  std::string config_path;             // --config FILE
  std::vector<std::string> overrides;  // --set key=value, repeatable
  std::string log_level = "info";      // --log-level debug|info|warn|error
};

struct StartArguments {
  ServiceFlags flags;
  v1::Config config;
};

// Reads the flags (--config, --set, --log-level, --version, --help), sets up the log and loads the
// configuration. Gives an exit code instead where the program should end at once: 0 after --help
// and
// --version, 2 after a wrong flag or configuration; what is to say has been printed.
struct StartResult {
  std::optional<StartArguments> arguments;
  int exit_code = 0;
};
StartResult start_service(const std::string& service_name, int argc, const char* const* argv);

// "<data_dir>/<name>.ready": written once a service answers, with key=value lines (pid=, and each
// bound endpoint), removed on a clean stop. Tests and tools find ports in it where the
// configuration says 0. It promises nothing after a crash: compare the pid.
class ReadyFile {
 public:
  // Durable: the file. `endpoints`: key, such as "admin_address", to the bound address.
  static Result<ReadyFile> write(FileSystem& file_system, const std::string& data_dir,
                                 const std::string& name,
                                 const std::map<std::string, std::string>& endpoints);
  ~ReadyFile();
  ReadyFile(ReadyFile&&) noexcept;
  ReadyFile& operator=(ReadyFile&&) noexcept;

 private:
  ReadyFile(FileSystem& file_system, std::string path);
  FileSystem* file_system_;
  std::string path_;
};

std::string ready_file_path(const std::string& data_dir, const std::string& name);
// Errors: kNotFound, kInvalidArgument (a line without "=").
Result<std::map<std::string, std::string>> read_ready_file(FileSystem& file_system,
                                                           const std::string& data_dir,
                                                           const std::string& name);

// The address to dial for a configured one: "@queue", "@collector" or "@processor" means what that
// service wrote into its ready file under `key` ("listen", "admin_listen", "hub_listen"); every
// other text is given back as it is. Errors: those of read_ready_file; kInvalidArgument (no such
// service); kNotFound (no such key).
Result<std::string> resolve_address(FileSystem& file_system, const v1::Config& config,
                                    const std::string& address, const std::string& key);

}  // namespace verbatim::base
