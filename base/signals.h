// How a service is asked to stop, SIGTERM or SIGINT, and to read its files anew, SIGHUP; taken by
// its main thread.
#pragma once

#include <chrono>

namespace verbatim::base {

// Blocks SIGTERM and SIGINT for this thread and all that it starts later, and ignores SIGPIPE. Call
// it first in main, before any thread exists.
void install_signal_handlers();

// Blocks until SIGTERM or SIGINT; gives its number. A second signal ends the process at once.
int wait_for_stop_signal();
// As above, but gives up after the time, or when another signal comes, with 0.
int wait_for_stop_signal(std::chrono::milliseconds timeout);

// For services that read files anew on SIGHUP: blocks it for this thread and all that it starts
// later. Call it beside install_signal_handlers().
void install_reload_signal();
// True once after a SIGHUP; does not wait.
bool take_reload_signal();

}  // namespace verbatim::base
