// Waiter<T>: a caller's thread waits for a callback of the client's thread.
//
//   Waiter<Status> waiter;
//   RETURN_IF_ERROR(settle(settlement, waiter.callback()));   // an error: the callback never runs
//   return waiter.wait();
//
// The callback runs exactly once and is copied nowhere; the Waiter lives on its caller's stack.
#pragma once

#include <optional>
#include <utility>

#include "base/mutex.h"

namespace verbatim::queue {

template <class T>
class Waiter {
 public:
  // Small enough that std::function allocates nothing.
  auto callback() {
    return [this](T value) { finish(std::move(value)); };
  }

  T wait() {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return value_.has_value(); });
    return *std::move(value_);
  }

 private:
  // Notifies under the lock: afterwards the waiter may be gone.
  void finish(T value) {
    base::MutexLock lock(mutex_);
    value_.emplace(std::move(value));
    changed_.notify_one();
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  std::optional<T> value_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::queue
