// AuditLog: who changed what, when and why; append-only, one chain of records under a service's
// data folder. docs/formats/audit.md has the bytes and what a crash at each step leaves.
//
// I1 append() gives a number only after the entry is on the disk: its file, its name and the head.
//    The caller lets the change take effect after that, and not at all where append() failed.
// I2 Numbers ascend without gaps within a chain and are never given twice, not even where a chain
//    had to be left.
// I3 An entry that was removed or altered is noticed at the next open and by each read: every
//    record carries the SHA-256 of the one before, and the head names the last.
// I4 Nothing is written to a file again that had a failed write or sync, or that an earlier
//    process wrote: the next entry begins a new file, which says what it follows.
//
// A damaged chain is left as it is and a new one is begun in a folder of its own, whose first
// entry says so; it stays an alarm until an operator has moved the old folder away. The service
// starts nevertheless: capturing goes on, and nothing of the old chain is lost by that.
//
// The chain shows accidents and careless hands. Who may write the folder can make a whole new
// chain: each entry's number and digest are therefore also a log line, which a log server keeps.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/alarms.h"
#include "base/audit_format.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::base {

class AuditLog {
 public:
  // Reads and checks the whole chain below `data_dir`. Errors: those of the disk;
  // kFailedPrecondition (made by a newer version). Damage is not an error, see above.
  static Result<std::unique_ptr<AuditLog>> open(FileSystem& file_system, Clock& clock,
                                                const std::string& data_dir,
                                                const std::string& service);

  // Sets number, time and service. Durable: the entry. Errors: those of the disk; the change must
  // then not be made. Blocks for two syncs or so.
  Result<uint64_t> append(v1::AuditEntry entry);

  // The newest entries, oldest first, read from the disk and checked again. Errors: kDataLoss names
  // the first number that is not as it was written.
  Result<std::vector<v1::AuditEntry>> read(size_t max_count);

  // "audit-damaged", as long as an earlier chain lies there or a read has found damage.
  std::vector<AlarmCondition> alarm_conditions();
  uint64_t last_number() const;

 private:
  struct Chain {
    AuditLink end;
    uint64_t last_file = 0;
    std::vector<v1::AuditEntry> newest;
  };

  AuditLog(FileSystem& file_system, Clock& clock, std::string data_dir, std::string service)
      : file_system_(file_system),
        clock_(clock),
        data_dir_(std::move(data_dir)),
        service_(std::move(service)) {}

  Status open_chain() REQUIRES(mutex_);
  Status begin_chain(uint64_t generation, uint64_t last_number) REQUIRES(mutex_);
  Status leave_chain(const Status& damage) REQUIRES(mutex_);
  Result<Chain> read_chain(size_t max_count) REQUIRES(mutex_);
  Result<std::vector<uint64_t>> generations();
  std::string folder(uint64_t generation) const;
  Result<uint64_t> append_entry(v1::AuditEntry entry) REQUIRES(mutex_);
  Status write_record(const std::string& record) REQUIRES(mutex_);
  Status open_file() REQUIRES(mutex_);

  FileSystem& file_system_;
  Clock& clock_;
  const std::string data_dir_;
  const std::string service_;

  mutable Mutex mutex_;
  uint64_t generation_ GUARDED_BY(mutex_) = 0;
  AuditLink end_ GUARDED_BY(mutex_);
  uint64_t last_file_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<File> file_ GUARDED_BY(mutex_);
  uint64_t file_size_ GUARDED_BY(mutex_) = 0;
  std::string damage_ GUARDED_BY(mutex_);  // found by a read
};

}  // namespace verbatim::base
