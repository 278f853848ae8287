// Directory: who the people of an event are, as it stands at capture (collector.directory).
//
// I1 An event is never failed for it: what became of each party is Party.resolution, and counted.
// I2 resolve() blocks no longer than ldap_timeout_ms, which is at most half of an event's deadline,
//    and that once only while the directory does not answer (cached_people.h).
// I3 Parties that are no people (rooms, occupants' addresses, services) are not looked up, and
// those
//    of events that the collector makes about others are left as those had them.
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"
#include "collector/directory/person.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/config.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

class Directory {
 public:
  // Errors: kInvalidArgument "collector.directory.KEY: reason"; those of the CSV file. A directory
  // server that does not answer is none.
  static Result<std::unique_ptr<Directory>> create(base::FileSystem& file_system,
                                                   const v1::Directory& config,
                                                   std::chrono::milliseconds event_deadline,
                                                   const base::Clock& clock = base::system_clock());
  // Over people of one's own; none: nothing is looked up.
  explicit Directory(std::unique_ptr<People> people) : people_(std::move(people)) {}

  // Fills display name, e-mail, department, groups and resolution of an event whose parties and
  // conversation are complete. What the directory leaves empty stays as the source gave it.
  void resolve(v1::Event& event);

  v1::DirectoryInfo info() const;

 private:
  void apply(const Finding& finding, v1::Party& party);

  const std::unique_ptr<People> people_;
  std::atomic<int64_t> found_count_{0};
  std::atomic<int64_t> unknown_count_{0};
  std::atomic<int64_t> failed_count_{0};
  std::atomic<int64_t> stale_count_{0};
};

}  // namespace verbatim::collector
