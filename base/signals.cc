#include "base/signals.h"

#include <signal.h>

#include <cerrno>

#include "base/check.h"

namespace verbatim::base {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

sigset_t reload_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  return set;
}

// The next one ends the process in the system's usual way.
void let_next_signal_kill() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace

void install_signal_handlers() {
  const sigset_t set = stop_signals();
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0, "cannot block signals");
  CHECK(::signal(SIGPIPE, SIG_IGN) != SIG_ERR, "cannot ignore SIGPIPE");
}

void install_reload_signal() {
  const sigset_t set = reload_signal();
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0, "cannot block signals");
}

bool take_reload_signal() {
  const sigset_t set = reload_signal();
  const timespec at_once{};
  return sigtimedwait(&set, nullptr, &at_once) == SIGHUP;
}

int wait_for_stop_signal() {
  const sigset_t set = stop_signals();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  let_next_signal_kill();
  return number;
}

int wait_for_stop_signal(std::chrono::milliseconds timeout) {
  const sigset_t set = stop_signals();
  timespec wait{};
  wait.tv_sec = static_cast<time_t>(timeout.count() / 1000);
  wait.tv_nsec = static_cast<long>(timeout.count() % 1000 * 1'000'000);
  const int number = sigtimedwait(&set, nullptr, &wait);
  if (number <= 0) return 0;
  let_next_signal_kill();
  return number;
}

}  // namespace verbatim::base
