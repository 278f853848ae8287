// LogWriter: the thread that puts groups on the disk, so that the next group fills meanwhile.
// Threads: submit() and take_done() belong to the log's owner; `on_done` is called by the writer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "queue/log/log.h"

namespace verbatim::queue {

class LogWriter {
 public:
  // The log outlives the writer.
  LogWriter(Log& log, std::function<void()> on_done);
  // Waits for the group that is being written.
  ~LogWriter();

  struct Done {
    std::unique_ptr<LogGroup> group;
    Status status;
  };
  // One group at a time: the next only after take_done() has given this one back.
  void submit(std::unique_ptr<LogGroup> group);
  std::optional<Done> take_done();

 private:
  void run();

  Log& log_;
  const std::function<void()> on_done_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::unique_ptr<LogGroup> submitted_ GUARDED_BY(mutex_);
  std::optional<Done> done_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::queue
