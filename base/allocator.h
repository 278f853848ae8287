// AllocatorCare: what a service does about its allocator while it runs. A program that is not
// linked with tcmalloc (the builds with a sanitizer) has nothing to do.
//
// Buffers of messages are made by one thread and freed by another, so what the threads keep for
// themselves fills up over hours; it is bounded. What a burst has left behind and nobody has
// used for ten seconds goes back to the system; else each larger burst raises for good what the
// service is seen to hold.
#pragma once

#include <cstddef>
#include <thread>

namespace verbatim::base {

class AllocatorCare {
 public:
  explicit AllocatorCare(size_t thread_caches_max_bytes = size_t{16} << 20);

 private:
  std::jthread thread_;  // until it is destroyed
};

}  // namespace verbatim::base
