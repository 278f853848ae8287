#include "base/content_removal.h"

#include "base/fault_point.h"
#include "base/hex.h"
#include "base/sha256.h"

namespace verbatim::base {
namespace {

// exists() is false also where the disk does not say.
Result<bool> is_there(FileSystem& file_system, const std::string& path) {
  const auto size = file_system.file_size(path);
  if (size) return true;
  if (size.error().code() == StatusCode::kNotFound) return false;
  return size.error();
}

}  // namespace

std::string ContentRemoval::place_of(std::string_view name) const {
  return join_path(directory_, "files/" + std::string(name.substr(0, 2)) + "/" + std::string(name));
}

Result<std::set<std::string>> ContentRemoval::digests_in(const std::string& folder) const {
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(join_path(directory_, folder)));
  std::set<std::string> digests;
  for (const std::string& name : names) {
    auto digest = from_hex(name);
    if (digest && digest->size() == kSha256Size) digests.insert(*std::move(digest));
  }
  return digests;
}

Result<ContentRemoval::Listing> ContentRemoval::list() const {
  Listing listing;
  ASSIGN_OR_RETURN(const auto folders, file_system_.list_directory(join_path(directory_, "files")));
  for (const std::string& folder : folders) {
    ASSIGN_OR_RETURN(auto digests, digests_in("files/" + folder));
    listing.stored.merge(digests);
  }
  // In this order: a claim goes from the one to the other.
  ASSIGN_OR_RETURN(listing.claimed, digests_in("claims"));
  ASSIGN_OR_RETURN(listing.released, digests_in("released"));
  return listing;
}

Status ContentRemoval::take_release(std::string_view sha256) {
  return file_system_.remove(join_path(directory_, "released/" + to_hex(sha256)));
}

Result<ContentRemoval::Removed> ContentRemoval::remove(std::string_view sha256) {
  const std::string name = to_hex(sha256);
  const std::string condemned = join_path(directory_, "condemned/" + name);
  ASSIGN_OR_RETURN(const uint64_t bytes, file_system_.file_size(place_of(name)));
  FAULT_POINT("processor.collect_before_condemned");
  RETURN_IF_ERROR(file_system_.rename(place_of(name), condemned));
  FAULT_POINT("processor.collect_condemned");
  const auto wanted = is_wanted(name);
  if (!wanted || *wanted) {
    RETURN_IF_ERROR(put_back(name));
    if (!wanted) return wanted.error();
    return Removed{};
  }
  FAULT_POINT("processor.collect_before_removed");
  RETURN_IF_ERROR(file_system_.remove(condemned));
  FAULT_POINT("processor.collect_removed");
  return Removed{.outcome = Outcome::kRemoved, .bytes = bytes};
}

Result<bool> ContentRemoval::is_wanted(const std::string& name) const {
  ASSIGN_OR_RETURN(const bool is_claimed,
                   is_there(file_system_, join_path(directory_, "claims/" + name)));
  if (is_claimed) return true;
  return is_there(file_system_, join_path(directory_, "released/" + name));
}

Status ContentRemoval::put_back(const std::string& name) {
  const std::string place = place_of(name);
  RETURN_IF_ERROR(file_system_.rename(join_path(directory_, "condemned/" + name), place));
  return file_system_.sync_directory(parent_directory(place));
}

Status ContentRemoval::restore() {
  ASSIGN_OR_RETURN(const auto names,
                   file_system_.list_directory(join_path(directory_, "condemned")));
  for (const std::string& name : names) {
    const auto digest = from_hex(name);
    if (!digest || digest->size() != kSha256Size) continue;
    const Status status = put_back(name);
    // The collector has taken it back itself.
    if (!status.ok() && status.code() != StatusCode::kNotFound) return status;
  }
  return {};
}

}  // namespace verbatim::base
