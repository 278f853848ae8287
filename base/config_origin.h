// Where the settings of a configuration were written, so that what is found wrong with them later
// is named with its place too. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"

namespace verbatim::base {

class ConfigOrigin {
 public:
  explicit ConfigOrigin(std::string file = "built-in defaults") : file_(std::move(file)) {}

  // `key` as in "collector.xcp.0.secret".
  void note_line(const std::string& key, int64_t line) { lines_[key] = line; }
  void note_override(const std::string& key) { lines_[key] = kOverride; }

  // False for a setting that has its default.
  bool is_written(const std::string& key) const { return lines_.contains(key); }

  // "file:line" of the key, or of the table that it would stand in; "--set" for an override; the
  // file alone where nothing of the kind was written.
  std::string place_of(std::string key) const;

  // kInvalidArgument "file:line: key: reason".
  Status refuse(const std::string& key, const std::string& reason) const;

 private:
  static constexpr int64_t kOverride = 0;

  std::string file_;
  std::map<std::string, int64_t> lines_;
};

}  // namespace verbatim::base
