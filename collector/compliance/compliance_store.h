// ComplianceStore: the durable owner of profiles, servers and assignments, and the RoutingTable in
// force. File "compliance" in collector.data_dir; docs/formats/compliance.md has its bytes.
//
// I1 change() returns OK only after the new state is on the disk; whoever asks routing() afterwards
//    gets it. Nobody gets it before.
// I2 A change is made wholly or not at all: after a crash at any write the file holds the old or
//    the new state.
// I3 The file is never made anew where one is there that cannot be used: damage or a newer version
//    ends the start.
//
// A change is in force for the next event that asks; an event keeps the table that it began with.
// So nothing is restarted (docs/adr/0030).
//
// Threads: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/alarms.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "collector/compliance/changes.h"
#include "collector/compliance/routing_table.h"

namespace verbatim::collector {

struct ComplianceStoreOptions {
  // A folder without the file: true where an earlier version of the collector has used it. It then
  // begins node-based, as a cluster does that was upgraded; a fresh one is cluster-wide.
  bool is_upgrade = false;
};

class ComplianceStore final : public ComplianceSource {
 public:
  // Reads `path`, or makes it. Durable: the file. Errors: kDataLoss (damaged), kFailedPrecondition
  // (a newer version), those of the disk; the message names the file and what to do.
  static Result<std::unique_ptr<ComplianceStore>> open(base::FileSystem& file_system,
                                                       const std::string& path,
                                                       const ComplianceStoreOptions& options = {});

  std::shared_ptr<const RoutingTable> routing() const override;

  // Durable on return. Gives the state in force and the warnings. Errors: those of apply_change,
  // and those of the disk, after which the state before is in force.
  Result<ComplianceChange> change(const v1::ChangeComplianceRequest& request);

  // "compliance-disk": a write failed, and so did writing the state in force again, so that a
  // restart may find the refused change. The next change that succeeds ends it.
  std::vector<base::AlarmCondition> alarm_conditions() const;

 private:
  ComplianceStore(base::FileSystem& file_system, std::string path)
      : file_system_(file_system), path_(std::move(path)) {}
  Status load(const ComplianceStoreOptions& options);
  Status write(const v1::ComplianceState& state) REQUIRES(change_mutex_);

  base::FileSystem& file_system_;
  const std::string path_;

  // One change at a time, over its writes; routing() does not wait for it.
  base::Mutex change_mutex_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const RoutingTable> table_ GUARDED_BY(mutex_);
  bool is_doubtful_ GUARDED_BY(mutex_) = false;
};

}  // namespace verbatim::collector
