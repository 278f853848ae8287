// Mutex, MutexLock and CondVar: the standard ones, annotated for clang's -Wthread-safety.
//
//   Mutex mutex_;
//   int count_ GUARDED_BY(mutex_) = 0;
//   void add_locked() REQUIRES(mutex_);
//
//   MutexLock lock(mutex_);
//   ready_.wait(mutex_, [this]() REQUIRES(mutex_) { return count_ > 0; });
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define VERBATIM_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define VERBATIM_THREAD_ANNOTATION(x)
#endif

// Abseil's headers, which gRPC includes, define some of these names for the same attributes.
#undef GUARDED_BY
#undef PT_GUARDED_BY
#undef NO_THREAD_SAFETY_ANALYSIS

#define CAPABILITY(name) VERBATIM_THREAD_ANNOTATION(capability(name))
#define SCOPED_CAPABILITY VERBATIM_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(mutex) VERBATIM_THREAD_ANNOTATION(guarded_by(mutex))
#define PT_GUARDED_BY(mutex) VERBATIM_THREAD_ANNOTATION(pt_guarded_by(mutex))
#define REQUIRES(...) VERBATIM_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) VERBATIM_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) VERBATIM_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) VERBATIM_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) VERBATIM_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(x) VERBATIM_THREAD_ANNOTATION(lock_returned(x))
#define NO_THREAD_SAFETY_ANALYSIS VERBATIM_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace verbatim::base {

class CondVar;

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a Mutex for a scope; unlock() and lock() may be used in between.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() {
    if (is_held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() RELEASE() {
    is_held_ = false;
    mutex_.unlock();
  }
  void lock() ACQUIRE() {
    mutex_.lock();
    is_held_ = true;
  }

 private:
  Mutex& mutex_;
  bool is_held_ = true;
};

// A condition variable over a Mutex that the caller holds. Predicates run with the mutex held; mark
// the lambda REQUIRES(mutex_) where it reads guarded members.
class CondVar {
 public:
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

  void wait(Mutex& mutex) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    Adopted adopted(mutex.mutex_);
    condition_.wait(adopted.lock);
  }

  template <class Predicate>
  void wait(Mutex& mutex, Predicate predicate) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    Adopted adopted(mutex.mutex_);
    condition_.wait(adopted.lock, predicate);
  }

  // Gives the predicate's last value: false means that the time ran out.
  template <class Rep, class Period, class Predicate>
  bool wait_for(Mutex& mutex, std::chrono::duration<Rep, Period> timeout, Predicate predicate)
      REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    Adopted adopted(mutex.mutex_);
    // Saturated, so that "forever" in a large unit does not overflow the deadline.
    const auto limit = std::chrono::hours(24 * 365);
    const auto bounded = timeout > limit
                             ? std::chrono::duration_cast<std::chrono::nanoseconds>(limit)
                             : std::chrono::duration_cast<std::chrono::nanoseconds>(timeout);
    return condition_.wait_for(adopted.lock, bounded, predicate);
  }

 private:
  // Takes over the caller's lock for the wait and leaves it locked.
  struct Adopted {
    explicit Adopted(std::mutex& mutex) : lock(mutex, std::adopt_lock) {}
    ~Adopted() { lock.release(); }
    Adopted(const Adopted&) = delete;
    Adopted& operator=(const Adopted&) = delete;
    std::unique_lock<std::mutex> lock;
  };

  std::condition_variable condition_;
};

}  // namespace verbatim::base
