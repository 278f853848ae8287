// Waiter<T>: a caller's thread waits for a callback of the client's thread.
//
//   Waiter<Status> waiter;
//   RETURN_IF_ERROR(settle(settlement, waiter.callback()));   // an error: the callback never runs
//   return waiter.wait();
//
// The callback runs exactly once; the Waiter lives on its caller's stack and is gone as soon as
// wait() returns. A POSIX semaphore allows just that (sem_destroy(3), glibc since 2.21), and the
// thread that is woken has no mutex to wait for: of 64 threads that put at once each sleeps once.
#pragma once

#include <semaphore.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "base/check.h"

namespace verbatim::queue {

template <class T>
class Waiter {
 public:
  Waiter() { CHECK(::sem_init(&semaphore_, 0, 0) == 0, "a semaphore begins at 0"); }
  ~Waiter() { ::sem_destroy(&semaphore_); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Small enough that std::function allocates nothing.
  auto callback() {
    return [this](T value) {
      value_.emplace(std::move(value));
      CHECK(::sem_post(&semaphore_) == 0, "a callback runs once");
    };
  }

  T wait() {
    while (::sem_wait(&semaphore_) != 0) CHECK(errno == EINTR, "a semaphore can be waited for");
    return *std::move(value_);
  }

 private:
  sem_t semaphore_;
  std::optional<T> value_;
};

}  // namespace verbatim::queue
