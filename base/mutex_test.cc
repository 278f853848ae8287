#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>

namespace verbatim::base {
namespace {

class Box {
 public:
  void put(int value) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    value_ = value;
    ready_.notify_all();
  }
  int take() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ready_.wait(mutex_, [this]() REQUIRES(mutex_) { return value_ != 0; });
    return value_;
  }
  bool is_filled_within(std::chrono::milliseconds timeout) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return ready_.wait_for(mutex_, timeout, [this]() REQUIRES(mutex_) { return value_ != 0; });
  }

 private:
  Mutex mutex_;
  CondVar ready_;
  int value_ GUARDED_BY(mutex_) = 0;
};

TEST(MutexTest, AWaiterSeesWhatAnotherThreadPut) {
  Box box;
  std::thread other([&box] { box.put(5); });
  EXPECT_EQ(box.take(), 5);
  other.join();
}

TEST(MutexTest, WaitingEndsWithTheTime) {
  Box box;
  EXPECT_FALSE(box.is_filled_within(std::chrono::milliseconds(1)));
  box.put(1);
  EXPECT_TRUE(box.is_filled_within(std::chrono::milliseconds(1)));
  EXPECT_TRUE(box.is_filled_within(std::chrono::milliseconds::max()));
}

TEST(MutexTest, ALockMayBeLetGoInBetween) {
  Mutex mutex;
  MutexLock lock(mutex);
  lock.unlock();
  const bool is_free = mutex.try_lock();
  if (is_free) mutex.unlock();
  EXPECT_TRUE(is_free);
  lock.lock();
}

}  // namespace
}  // namespace verbatim::base
