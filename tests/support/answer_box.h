// AnswerBox: collects the answers of a broker or anything else that calls back, and waits for them.
#pragma once

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace verbatim::testing {

// Looks at a condition until it holds or ten seconds have passed; gives what it was last.
inline bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

// Threads: any.
template <class T>
class AnswerBox {
 public:
  void add(T value) {
    base::MutexLock lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }

  // Waits for at least `count` answers, at most ten seconds; gives what has come.
  std::vector<T> wait(size_t count) {
    base::MutexLock lock(mutex_);
    changed_.wait_for(mutex_, std::chrono::seconds(10),
                      [&, this]() REQUIRES(mutex_) { return values_.size() >= count; });
    return values_;
  }

  size_t count() const {
    base::MutexLock lock(mutex_);
    return values_.size();
  }

 private:
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<T> values_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::testing
