#include "base/fault_point.h"

#if defined(VERBATIM_FAULT_POINTS)

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

namespace verbatim {
namespace {

struct Armed {
  std::string name;
  uint64_t nth = 1;
};

// Passages hold it shared, so that whoever changes the hook waits for them.
std::shared_mutex hook_mutex;
FaultPointHook hook;
std::atomic<bool> has_hook = false;

Armed read_environment() {
  Armed armed;
  const char* variable = std::getenv("VERBATIM_FAULT_POINT");
  if (variable == nullptr) return armed;
  const std::string_view text = variable;
  const size_t colon = text.rfind(':');
  armed.name = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view count = text.substr(colon + 1);
    std::from_chars(count.data(), count.data() + count.size(), armed.nth);
  }
  return armed;
}

}  // namespace

void set_fault_point_hook(FaultPointHook next) {
  const std::unique_lock lock(hook_mutex);
  hook = std::move(next);
  has_hook = hook != nullptr;
}

void pass_fault_point(const char* name) {
  if (has_hook) {
    const std::shared_lock lock(hook_mutex);
    if (hook) hook(name);
  }
  static const Armed armed = read_environment();
  static std::atomic<uint64_t> passage_count = 0;
  if (armed.name != name) return;
  if (++passage_count == armed.nth) std::raise(SIGKILL);
}

}  // namespace verbatim

#endif
