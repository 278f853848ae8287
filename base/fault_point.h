// FAULT_POINT("queue.after_sync"): a named place at which a crash test can kill the process.
// VERBATIM_FAULT_POINT=name or name:N in the environment raises SIGKILL at the Nth passage (first
// is 1). A test in the same process may look on instead, and take the disk away at a passage.
// Compiled out of release builds. Names are <folder>.<place>; each is hit by a test.
#pragma once

#if defined(VERBATIM_FAULT_POINTS)

#include <functional>

namespace verbatim {
// Threads: any; passages are counted over all threads.
void pass_fault_point(const char* name);

// Called at each passage, in the thread that passes, maybe with locks held; null: no more. Returns
// when no passage is in the one before.
using FaultPointHook = std::function<void(const char* name)>;
void set_fault_point_hook(FaultPointHook hook);
}  // namespace verbatim

#define FAULT_POINT(name) ::verbatim::pass_fault_point(name)
#else
#define FAULT_POINT(name) static_cast<void>(0)
#endif
