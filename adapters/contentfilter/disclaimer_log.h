// DisclaimerLog: which disclaimer was shown in which conversation on which day, durably.
//
// One file a day, "disclaimers-2026-03-31.log", a line for each first showing: SHA-256 over name
// and conversation, and the event with which it was shown; no address. Files of days before the
// last two are removed.
//
// I1 An event for which a disclaimer was shown is told so again (a policy may be asked twice).
// I2 Where the disk refuses, a disclaimer is shown again rather than not at all.
// Durable: a line, before show() gives true.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/log_limit.h"
#include "base/status.h"

namespace verbatim::content {

class DisclaimerLog {
 public:
  // Conversations that are remembered of one day; in all others it is shown each time.
  static constexpr size_t kShownMaxCount = 1'000'000;

  DisclaimerLog(base::FileSystem& file_system, std::string directory,
                const base::Clock& clock = base::system_clock())
      : file_system_(file_system), directory_(std::move(directory)), clock_(clock) {}

  // True where it is to be shown with this event.
  bool show(const std::string& disclaimer, const std::string& conversation,
            const std::string& event_id, const std::string& day);

 private:
  struct Day {
    std::unique_ptr<base::File> file;                    // null where it cannot be written
    std::unordered_map<std::string, std::string> shown;  // digest: event
  };
  Day& day_of(const std::string& day);
  Status load(const std::string& path, Day& day);
  Status append(Day& day, const std::string& digest, const std::string& event_id);
  void forget_old_days();
  void complain(const Status& status);

  base::FileSystem& file_system_;
  const std::string directory_;
  const base::Clock& clock_;
  std::map<std::string, Day> days_;
  base::LogLimit log_limit_;
};

}  // namespace verbatim::content
