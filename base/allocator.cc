#include "base/allocator.h"

#include <chrono>

#include "base/mutex.h"

// Of gperftools' C interface; null where tcmalloc is not linked.
extern "C" {
[[gnu::weak]] int MallocExtension_SetNumericProperty(const char* property, size_t value);
[[gnu::weak]] void MallocExtension_ReleaseFreeMemory();
}

namespace verbatim::base {
namespace {

constexpr std::chrono::seconds kReleaseInterval{10};

void run(const std::stop_token& stop) {
  Mutex mutex;
  CondVar stopped;
  const std::stop_callback wake(stop, [&] {
    MutexLock lock(mutex);
    stopped.notify_all();
  });
  while (true) {
    {
      MutexLock lock(mutex);
      if (stopped.wait_for(mutex, kReleaseInterval, [&] { return stop.stop_requested(); })) return;
    }
    MallocExtension_ReleaseFreeMemory();
  }
}

}  // namespace

AllocatorCare::AllocatorCare(size_t thread_caches_max_bytes) {
  if (MallocExtension_SetNumericProperty == nullptr) return;
  if (MallocExtension_ReleaseFreeMemory == nullptr) return;
  MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes",
                                     thread_caches_max_bytes);
  thread_ = std::jthread(run);
}

}  // namespace verbatim::base
