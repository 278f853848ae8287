// Alarms: named, persistent states that need a person (design, "When it is full").
//
// I1 One alarm for each name and subject. It is raised when its condition is first seen, stays
//    while the condition is there, and clears by itself once the condition has been away for a
//    while; a condition that comes and goes meanwhile stays one alarm.
// I2 Raising and clearing is logged, counted, handed to the caller once, and survives a restart.
//
// docs/operations.md has every name with its meaning and what to do; docs/formats/alarms.md the
// file. Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::base {

// Something that is an alarm now.
struct AlarmCondition {
  std::string name;     // "queue-full"
  std::string subject;  // "events"
  std::string text;     // why, and what to do; never chat text or secrets
};

struct AlarmOptions {
  // How long a condition must be away before its alarm clears.
  std::chrono::milliseconds clear_after{3'000};
  // Alarms that are over are remembered up to this many.
  size_t cleared_max_count = 1'000;
};

class AlarmRegistry {
 public:
  // Reads what an earlier process has left in `path`. A file that cannot be read is put aside as
  // "<path>.damaged" and reported: what is an alarm now shows again by itself. Errors: those of
  // the disk.
  static Result<std::unique_ptr<AlarmRegistry>> open(FileSystem& file_system, Clock& clock,
                                                     const std::string& path,
                                                     const AlarmOptions& options = {});

  // Takes all conditions of now; call it each second or so. Gives the alarms that were raised or
  // cleared by that. Durable: they are, or are tried again at the next call.
  std::vector<v1::Alarm> update(const std::vector<AlarmCondition>& conditions);

  // Raised ones first, newest first.
  std::vector<v1::Alarm> list(bool with_cleared) const;

 private:
  struct State {
    v1::Alarm alarm;
    std::chrono::nanoseconds last_seen{};
  };
  using Key = std::pair<std::string, std::string>;

  AlarmRegistry(FileSystem& file_system, Clock& clock, std::string path,
                const AlarmOptions& options)
      : file_system_(file_system), clock_(clock), path_(std::move(path)), options_(options) {}
  Status load();
  bool raise(State& state, const AlarmCondition& condition) REQUIRES(mutex_);
  void clear(State& state) REQUIRES(mutex_);
  void forget_oldest() REQUIRES(mutex_);
  void save() REQUIRES(mutex_);

  FileSystem& file_system_;
  Clock& clock_;
  const std::string path_;
  const AlarmOptions options_;

  mutable Mutex mutex_;
  std::map<Key, State> alarms_ GUARDED_BY(mutex_);
  bool is_saved_ GUARDED_BY(mutex_) = true;
};

}  // namespace verbatim::base
