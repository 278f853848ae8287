#include "base/config_origin.h"

namespace verbatim::base {

std::string ConfigOrigin::place_of(std::string key) const {
  for (;;) {
    if (const auto found = lines_.find(key); found != lines_.end()) {
      return found->second == kOverride ? "--set" : file_ + ":" + std::to_string(found->second);
    }
    const size_t dot = key.rfind('.');
    if (dot == std::string::npos) return file_;
    key.resize(dot);
  }
}

Status ConfigOrigin::refuse(const std::string& key, const std::string& reason) const {
  return invalid_argument(place_of(key) + ": " + key + ": " + reason);
}

}  // namespace verbatim::base
