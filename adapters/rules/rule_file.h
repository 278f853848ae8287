// RuleFile: keeps the rule set of a policy as its file has it, and never half of it.
//
// I1 A file that cannot be used changes nothing: the rules in force stay, and the log says why.
// I2 A file that is just being written is not read: after a change it must have stood still from
// one
//    check to the next. (A SIGHUP reads it at once: whoever sends it knows that it is whole.)
//
// Threads: load() and check() from one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::rules {

class RuleFile {
 public:
  // Compiles the text and puts it in force, or changes nothing and says why.
  using Take = std::function<Status(const std::string& text, const std::string& sha256)>;

  RuleFile(base::FileSystem& file_system, std::string path, Take take)
      : file_system_(file_system), path_(std::move(path)), take_(std::move(take)) {}

  // Reads it now. Errors: the file system's; those of `take`.
  Status load();

  // Reads it if it has changed, or if `is_asked`; what is wrong is logged.
  void check(bool is_asked);

 private:
  // What tells that a file has changed.
  struct Stamp {
    int64_t modified_unix_ns = 0;
    uint64_t size = 0;

    bool operator==(const Stamp&) const = default;
  };
  std::optional<Stamp> look();
  void reload();

  base::FileSystem& file_system_;
  const std::string path_;
  const Take take_;
  std::string sha256_;  // of what is in force
  std::optional<Stamp> read_;
  std::optional<Stamp> seen_;
};

}  // namespace verbatim::rules
