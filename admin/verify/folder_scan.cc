#include "admin/verify/folder_scan.h"

#include <algorithm>
#include <set>

#include "base/manifest_name.h"

namespace verbatim::admin {
namespace {

// Locks, ready files and what is not finished are no part of the archive.
bool is_ignored(const std::string& name) {
  return name.starts_with(".") || name.ends_with(".tmp") || name.ends_with(".lock") ||
         name.ends_with(".ready");
}

}  // namespace

// A listing may miss what appears while it is made, but nothing that was there before. Batches come
// in order: all up to the newest of a first listing are in a second one.
Result<FolderScan> scan_folder(base::FileSystem& file_system, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> before, file_system.list_directory(folder));
  uint64_t newest = 0;
  for (const std::string& name : before) {
    newest = std::max(newest, base::batch_of_manifest_name(name));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system.list_directory(folder));
  FolderScan scan;
  std::set<uint64_t> on_their_way;
  for (const std::string& name : names) {
    if (is_ignored(name)) continue;
    const uint64_t batch = base::batch_of_name(name);
    if (batch > newest) {
      on_their_way.insert(batch);
    } else if (base::batch_of_manifest_name(name) != 0) {
      scan.manifests.push_back(batch);
    } else {
      scan.files.insert(name);
    }
  }
  std::sort(scan.manifests.begin(), scan.manifests.end());
  scan.on_their_way.assign(on_their_way.begin(), on_their_way.end());
  return scan;
}

}  // namespace verbatim::admin
