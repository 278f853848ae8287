// Checks a folder of documents: each against its schema, each document against the digest in its
// companion, and the companions' chain of digests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::adapters {

struct ValidationReport {
  uint64_t documents = 0;
  uint64_t companions = 0;
  // "path:line: what is wrong" or "path: what is wrong"; never a value of a document.
  std::vector<std::string> problems;
};

// Takes every "*.xml" of the folder, "*.companion.xml" as companions. Errors: the folder cannot be
// read.
Result<ValidationReport> validate_folder(base::FileSystem& file_system, const std::string& path);

}  // namespace verbatim::adapters
