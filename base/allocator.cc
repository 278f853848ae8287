#include "base/allocator.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/mutex.h"

// Of gperftools' C interface; null where tcmalloc is not linked.
extern "C" {
[[gnu::weak]] int MallocExtension_SetNumericProperty(const char* property, size_t value);
[[gnu::weak]] int MallocExtension_GetNumericProperty(const char* property, size_t* value);
[[gnu::weak]] void MallocExtension_ReleaseToSystem(size_t num_bytes);
}

namespace verbatim::base {
namespace {

constexpr std::chrono::seconds kLookInterval{1};
// What was free at each of so many looks is not needed; what a burst a moment ago has used is
// wanted again by the next one, and each page that comes back costs a fault.
constexpr size_t kLookCount = 10;

size_t free_bytes() {
  size_t bytes = 0;
  MallocExtension_GetNumericProperty("tcmalloc.pageheap_free_bytes", &bytes);
  return bytes;
}

void run(const std::stop_token& stop) {
  Mutex mutex;
  CondVar stopped;
  const std::stop_callback wake(stop, [&] {
    MutexLock lock(mutex);
    stopped.notify_all();
  });
  std::deque<size_t> looks;
  while (true) {
    {
      MutexLock lock(mutex);
      if (stopped.wait_for(mutex, kLookInterval, [&] { return stop.stop_requested(); })) return;
    }
    looks.push_back(free_bytes());
    if (looks.size() < kLookCount) continue;
    const size_t unused = *std::min_element(looks.begin(), looks.end());
    looks.pop_front();
    if (unused == 0) continue;
    MallocExtension_ReleaseToSystem(unused);
    for (size_t& bytes : looks) bytes -= unused;
  }
}

}  // namespace

AllocatorCare::AllocatorCare(size_t thread_caches_max_bytes) {
  if (MallocExtension_SetNumericProperty == nullptr) return;
  if (MallocExtension_GetNumericProperty == nullptr) return;
  if (MallocExtension_ReleaseToSystem == nullptr) return;
  MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes",
                                     thread_caches_max_bytes);
  thread_ = std::jthread(run);
}

}  // namespace verbatim::base
