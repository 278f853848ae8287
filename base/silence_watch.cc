#include "base/silence_watch.h"

#include <utility>

#include "base/check.h"

namespace verbatim::base {

SilenceWatch::Watched::Watched(SilenceWatch& watch, std::function<void()> cancel)
    : watch_(watch), cancel_(std::move(cancel)), began_(watch.clock_.monotonic()) {}

SilenceWatch::Watched::~Watched() {
  MutexLock lock(watch_.mutex_);
  watch_.watched_.remove(this);
}

bool SilenceWatch::Watched::was_silent() const {
  MutexLock lock(watch_.mutex_);
  return was_silent_;
}

SilenceWatch::SilenceWatch(std::chrono::milliseconds silence_max, const Clock& clock)
    : silence_max_(silence_max), clock_(clock), thread_([this] { run(); }) {}

SilenceWatch::~SilenceWatch() {
  {
    MutexLock lock(mutex_);
    CHECK(watched_.empty(), "a watch outlives what it watches");
    is_stopping_ = true;
    wakes_.notify_all();
  }
  thread_.join();
}

std::unique_ptr<SilenceWatch::Watched> SilenceWatch::begin(std::function<void()> cancel) {
  std::unique_ptr<Watched> watched(new Watched(*this, std::move(cancel)));
  MutexLock lock(mutex_);
  watched_.push_back(watched.get());
  return watched;
}

void SilenceWatch::check() {
  MutexLock lock(mutex_);
  const auto now = clock_.monotonic();
  for (Watched* watched : watched_) {
    if (watched->was_silent_ || now - watched->began_ < silence_max_) continue;
    watched->was_silent_ = true;
    watched->cancel_();
  }
}

void SilenceWatch::run() {
  while (true) {
    {
      MutexLock lock(mutex_);
      if (wakes_.wait_for(mutex_, silence_max_ / 4,
                          [this]() REQUIRES(mutex_) { return is_stopping_; })) {
        return;
      }
    }
    check();
  }
}

}  // namespace verbatim::base
