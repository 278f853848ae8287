// ProcessorWatch: looks at the service once a second, gives all conditions that need a person to
// the alarms, whose changes go to the operator's program, and has the store give space back while
// its disk is nearly full.
//
// Life cycle: create → start → stop. Threads: one of its own.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/alarm_command.h"
#include "base/alarms.h"
#include "base/mutex.h"
#include "processor/hub/hub.h"
#include "processor/ops/hold_keeper.h"
#include "processor/staging_marks.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::processor {

// What is watched; all outlive the watch.
struct WatchParts {
  Staging& staging;
  Hub& hub;
  StagingMarks& marks;
  HoldKeeper& holds;
  base::AlarmRegistry& alarms;
  base::AlarmCommand& command;
  std::function<bool()> is_draining;
};

struct WatchOptions {
  std::chrono::milliseconds look_interval{1'000};
  std::chrono::milliseconds reclaim_interval{5'000};
  std::chrono::milliseconds age_max{900'000};
  // An adapter's own interval comes on top of it.
  std::function<std::chrono::milliseconds(const std::string& adapter)> interval_of;
};

// How long an adapter's settings let its events wait: a run interval, or the interval of streaming.
std::chrono::milliseconds own_interval(const v1::AdapterSettings& adapter);

// Remembers for a day which optional adapters have lost events; what was lost before the first look
// is in the audit rows and the metric.
class SkippedEvents {
 public:
  // counts: as StagingCounts.skipped.
  std::vector<base::AlarmCondition> look(const std::map<std::string, uint64_t>& counts,
                                         std::chrono::nanoseconds now);

 private:
  struct Loss {
    uint64_t count = 0;
    std::chrono::nanoseconds last{0};
  };
  std::map<std::string, uint64_t> seen_;
  std::map<std::string, Loss> losses_;
  bool has_looked_ = false;
};

class ProcessorWatch {
 public:
  ProcessorWatch(const WatchParts& parts, WatchOptions options);
  ~ProcessorWatch();
  void start();
  // Safe twice and before start.
  void stop();

 private:
  // What is an alarm now.
  std::vector<base::AlarmCondition> conditions();
  void run();
  void look();
  void add_mark(std::vector<base::AlarmCondition>& all) const;
  void add_adapter(const v1::AdapterInfo& adapter, std::vector<base::AlarmCondition>& all) const;

  const WatchParts parts_;
  const WatchOptions options_;
  std::chrono::steady_clock::time_point reclaimed_{};
  SkippedEvents skipped_;
  std::thread thread_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::processor
