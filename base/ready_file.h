// "<data_dir>/<name>.ready": written once a service answers, with key=value lines (pid=, and each
// bound endpoint), removed on a clean stop. Tests and tools find ports in it where the
// configuration says 0. It promises nothing after a crash: compare the pid.
#pragma once

#include <map>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::base {

// Owns the file: the destructor removes it.
class ReadyFile {
 public:
  // Durable: the file. `endpoints`: key, such as "admin_listen", to the bound address. On a full
  // disk it takes the place of one that a crash has left.
  static Result<ReadyFile> write(FileSystem& file_system, const std::string& data_dir,
                                 const std::string& name,
                                 const std::map<std::string, std::string>& endpoints);
  ~ReadyFile();
  ReadyFile(ReadyFile&&) noexcept;
  ReadyFile& operator=(ReadyFile&&) noexcept;

 private:
  ReadyFile(FileSystem& file_system, std::string path);
  void remove();

  FileSystem* file_system_;
  std::string path_;  // empty where there is nothing to remove
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
