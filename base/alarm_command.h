// AlarmCommand: runs the operator's program for each alarm that is raised or cleared. It gets the
// Alarm as one line of JSON on its standard input (fields as in admin.proto); what it prints is
// logged, at most 4 KiB of it. It is started without a shell and without arguments, and killed
// with its process group after a bounded time.
//
// I1 Nothing waits for the program: tell() only queues; what does not fit is dropped, and counted
//    as a failure.
//
// Life cycle: created running, stop(). Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::base {

struct AlarmCommandOptions {
  std::string program;  // a path; empty: nothing is run
  std::chrono::milliseconds time_max{10'000};
  size_t waiting_max_count = 256;
};

class AlarmCommand {
 public:
  explicit AlarmCommand(AlarmCommandOptions options);
  // Stops.
  ~AlarmCommand();

  void tell(const v1::Alarm& alarm);
  // Kills a program that runs; what waits is dropped. Safe twice.
  void stop();

  // Programs run to their end so far, and those that failed: not started, killed, or ended with
  // another exit code than 0; dropped alarms too.
  int64_t run_count() const;
  int64_t failure_count() const;
  // Of the last run; empty where it went well.
  std::string last_error() const;

 private:
  void run();
  Status run_program(const v1::Alarm& alarm);
  bool is_stopping() const;

  const AlarmCommandOptions options_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<v1::Alarm> waiting_ GUARDED_BY(mutex_);
  int64_t run_count_ GUARDED_BY(mutex_) = 0;
  int64_t failure_count_ GUARDED_BY(mutex_) = 0;
  std::string last_error_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::base
