#include "processor/staging/rocks_status.h"

#include <rocksdb/status.h>

#include <string>

namespace verbatim::processor {
namespace {

StatusCode code_of(const rocksdb::Status& status) {
  if (status.IsNotFound()) return StatusCode::kNotFound;
  if (status.IsCorruption()) return StatusCode::kDataLoss;
  if (status.IsNoSpace()) return StatusCode::kResourceExhausted;
  if (status.IsInvalidArgument()) return StatusCode::kFailedPrecondition;
  if (status.IsIOError() && status.ToString().find("LOCK") != std::string::npos) {
    return StatusCode::kFailedPrecondition;
  }
  return StatusCode::kUnavailable;
}

}  // namespace

Status from_rocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return {};
  return {code_of(status), "staging: " + std::string(what) + " failed: " + status.ToString()};
}

}  // namespace verbatim::processor
