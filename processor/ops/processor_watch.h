// ProcessorWatch: looks at the service once a second, gives all conditions that need a person to
// the alarms, whose changes go to the operator's program, and has the store give space back while
// its disk is nearly full.
//
// Life cycle: create → start → stop. Threads: one of its own.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/mutex.h"
#include "processor/hub/hub.h"
#include "processor/ops/hold_keeper.h"
#include "processor/staging_marks.h"

namespace verbatim::processor {

// What is watched; all outlive the watch.
struct WatchParts {
  Staging& staging;
  Hub& hub;
  StagingMarks& marks;
  HoldKeeper& holds;
  base::AlarmRegistry& alarms;
  base::AlarmCommand& command;
};

struct WatchOptions {
  std::chrono::milliseconds look_interval{1'000};
  std::chrono::milliseconds reclaim_interval{5'000};
  std::chrono::milliseconds age_max{900'000};
  // An adapter's own interval comes on top of it.
  std::function<std::chrono::milliseconds(const std::string& adapter)> interval_of;
};

class ProcessorWatch {
 public:
  ProcessorWatch(const WatchParts& parts, WatchOptions options);
  ~ProcessorWatch();
  void start();
  // Safe twice and before start.
  void stop();

  // What is an alarm now.
  std::vector<base::AlarmCondition> conditions() const;

 private:
  void run();
  void look();
  void add_mark(std::vector<base::AlarmCondition>& all) const;
  void add_adapter(const v1::AdapterInfo& adapter, std::vector<base::AlarmCondition>& all) const;

  const WatchParts parts_;
  const WatchOptions options_;
  std::chrono::steady_clock::time_point reclaimed_{};
  std::thread thread_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::processor
