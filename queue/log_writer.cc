#include "queue/log_writer.h"

#include <utility>

#include "base/check.h"

namespace verbatim::queue {

LogWriter::LogWriter(Log& log, std::function<void()> on_done)
    : log_(log), on_done_(std::move(on_done)), thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void LogWriter::submit(std::unique_ptr<LogGroup> group) {
  base::MutexLock lock(mutex_);
  CHECK(!submitted_ && !done_, "the writer has one group at a time");
  submitted_ = std::move(group);
  changed_.notify_all();
}

std::optional<LogWriter::Done> LogWriter::take_done() {
  base::MutexLock lock(mutex_);
  return std::exchange(done_, std::nullopt);
}

void LogWriter::run() {
  while (true) {
    std::unique_ptr<LogGroup> group;
    {
      base::MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return is_stopping_ || submitted_; });
      if (!submitted_) return;
      group = std::move(submitted_);
    }
    Status status = log_.write(*group);
    {
      base::MutexLock lock(mutex_);
      done_ = Done{.group = std::move(group), .status = std::move(status)};
    }
    on_done_();
  }
}

}  // namespace verbatim::queue
