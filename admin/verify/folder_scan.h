// What stands in an archive's folder, by its names.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::admin {

struct FolderScan {
  // Numbers of the manifests, ascending.
  std::vector<uint64_t> manifests;
  // All other names that belong to the archive, or pretend to.
  std::unordered_set<std::string> files;
  // Numbers beyond the newest manifest of which files are there, ascending.
  std::vector<uint64_t> on_their_way;
};

// Takes a folder in which an adapter may be writing: nothing that was complete at the beginning is
// missed. Errors: the folder cannot be read.
Result<FolderScan> scan_folder(base::FileSystem& file_system, const std::string& folder);

}  // namespace verbatim::admin
