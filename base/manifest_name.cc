#include "base/manifest_name.h"

#include <charconv>
#include <cstdio>

namespace verbatim::base {
namespace {

constexpr std::string_view kPrefix = "batch-";
constexpr std::string_view kManifest = "manifest.json";

}  // namespace

std::string batch_prefix(uint64_t batch) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%012llu", static_cast<unsigned long long>(batch));
  return std::string(kPrefix) + digits + ".";
}

std::string manifest_name(uint64_t batch) { return batch_prefix(batch) + std::string(kManifest); }

uint64_t batch_of_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  uint64_t batch = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), batch);
  return name.starts_with(batch_prefix(batch)) ? batch : 0;
}

uint64_t batch_of_manifest_name(std::string_view name) {
  const uint64_t batch = batch_of_name(name);
  return batch != 0 && name == manifest_name(batch) ? batch : 0;
}

}  // namespace verbatim::base
