// Backlog: bounds what is put and not consumed yet, so that in a load of both sides what goes in
// comes out. Threads: any.
#pragma once

#include <cstdint>

#include "base/mutex.h"

namespace verbatim::bench {

class Backlog {
 public:
  explicit Backlog(int64_t room) : room_(room) {}

  // Waits for room for `count` messages. False: closed.
  bool take(int64_t count) {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_,
                  [this, count]() REQUIRES(mutex_) { return is_closed_ || room_ >= count; });
    room_ -= count;
    return !is_closed_;
  }
  void give(int64_t count) {
    base::MutexLock lock(mutex_);
    room_ += count;
    changed_.notify_all();
  }
  void close() {
    base::MutexLock lock(mutex_);
    is_closed_ = true;
    changed_.notify_all();
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  int64_t room_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::bench
