// SilenceWatch: cancels what waits too long for a peer, so that a stalled peer never keeps a thread
// and a place for ever. For synchronous gRPC handlers, whose reads and writes have no deadline.
//
//   {
//     const auto watched = watch_.begin([context] { context->TryCancel(); });
//     has_request = stream->Read(&request);
//   }
//
// Threads: any. One thread of its own.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"

namespace verbatim::base {

class SilenceWatch {
 public:
  // One wait for a peer, from begin() to its destructor. The watch outlives it.
  class Watched {
   public:
    ~Watched();
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    // True once it was cancelled.
    bool was_silent() const;

   private:
    friend class SilenceWatch;
    Watched(SilenceWatch& watch, std::function<void()> cancel);
    SilenceWatch& watch_;
    const std::function<void()> cancel_;
    const std::chrono::nanoseconds began_;
    bool was_silent_ = false;  // under watch_.mutex_
  };

  explicit SilenceWatch(std::chrono::milliseconds silence_max, const Clock& clock = system_clock());
  ~SilenceWatch();
  SilenceWatch(const SilenceWatch&) = delete;
  SilenceWatch& operator=(const SilenceWatch&) = delete;

  // `cancel` is called at most once, from the watch's thread, never after the end of what is given;
  // it does not block and does not call the watch.
  std::unique_ptr<Watched> begin(std::function<void()> cancel);

  // One round, as its thread does it four times in `silence_max`.
  void check();

 private:
  void run();

  const std::chrono::milliseconds silence_max_;
  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar wakes_;
  std::list<Watched*> watched_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::base
