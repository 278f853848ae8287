// FetchJobs: the links that are to be fetched, on disk, so that none is forgotten.
//
//   <directory>/job-<event id>-<index>    crc32c (u32, little-endian), FetchJob
//   (collector_state.proto) <directory>/part-<event id>-<index>   what came of the content so far;
//   removed at the start
//
// I1 add() returns after the job is durable. It is gone only after remove().
// A power cut may bring back what was removed: the event that came of it has a source key of its
// own, so that a second one is known. A damaged job is set aside ("bad-…") and told.
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

class FetchJobs {
 public:
  // `file_system` outlives it. Makes the folder.
  static Result<FetchJobs> open(base::FileSystem& file_system, std::string directory);

  // Names and jobs that are there.
  Result<std::vector<std::pair<std::string, v1::FetchJob>>> load();
  // Also replaces one. Durable at return.
  Status save(const std::string& name, const v1::FetchJob& job);
  // Job and part. Not durable.
  Status remove(const std::string& name);

  // An empty file for the content.
  Result<std::unique_ptr<base::File>> open_part(const std::string& name);
  void remove_part(const std::string& name);

 private:
  FetchJobs(base::FileSystem& file_system, std::string directory)
      : file_system_(&file_system), directory_(std::move(directory)) {}
  std::string path(const char* kind, const std::string& name) const;

  base::FileSystem* file_system_;
  std::string directory_;
};

}  // namespace verbatim::collector
