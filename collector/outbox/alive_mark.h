// AliveMark: a file that says when this collector last ran, so that the next start can record how
// long nothing was captured. Two slots of fixed size are written in turn, so a torn write leaves
// the older one. docs/formats/outbox.md.
//
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

class AliveMarkFile {
 public:
  // Opens or creates `path`. Errors: those of the file system.
  static Result<std::unique_ptr<AliveMarkFile>> open(base::FileSystem& file_system,
                                                     const std::string& path);

  // What the collector before us wrote last; none on the very first start, or where neither slot is
  // whole.
  const std::optional<v1::AliveMark>& previous() const { return previous_; }

  // Durable at return. Where the gaps do not fit the slot, those of one source become one wider
  // gap; what still does not fit is left out, the newest first, and logged. The file is written in
  // place, so after an error the service must end: a later sync could claim what the disk does not
  // have.
  Status write(v1::AliveMark mark);

 private:
  explicit AliveMarkFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}
  std::unique_ptr<base::File> file_;
  std::optional<v1::AliveMark> previous_;
  uint64_t next_slot_ = 0;
};

}  // namespace verbatim::collector
