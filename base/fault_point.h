// FAULT_POINT("queue.after_sync"): a named place at which a crash test can kill the process.
// VERBATIM_FAULT_POINT=name or name:N in the environment raises SIGKILL at the Nth passage (first
// is 1). Compiled out of release builds. Names are <folder>.<place>; each is hit by a test.
#pragma once

#if defined(VERBATIM_FAULT_POINTS)

namespace verbatim {
// Threads: any; passages are counted over all threads.
void pass_fault_point(const char* name);
}  // namespace verbatim

#define FAULT_POINT(name) ::verbatim::pass_fault_point(name)
#else
#define FAULT_POINT(name) static_cast<void>(0)
#endif
