// Proves an adapter's output folder against its manifests (docs/formats/manifest.md): each file
// against the digest that its manifest names, each manifest against its own digests, and all of
// them against each other. Reads only; nothing in the folder is changed.
//
// I1 An untouched folder has no problems, also while its adapter writes: what is newer than the
//    newest manifest that was there at the beginning is left out.
// I2 Memory: some 400 bytes a batch and 100 a name; files are read in pieces.
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/report.pb.h"

namespace verbatim::admin {

struct VerifyOptions {
  // Whose output it is to be; empty: that of whoever wrote the first batch.
  std::string adapter;
  // A chain that begins with this batch is expected to; 0: with the first of all.
  uint64_t first_batch = 0;
  // A batch that is known from elsewhere, and its digest or that of its manifest (32 bytes, or
  // empty); 0: none is.
  uint64_t last_batch = 0;
  std::string last_digest;
  // Who knows, for people: "--last says".
  std::string last_known_by;
};

struct VerifyProgress {
  uint64_t done_batches = 0;
  uint64_t total_batches = 0;
  uint64_t bytes = 0;
};

// `show` is called often; it may be empty. Errors: the folder cannot be read.
Result<v1::VerifyReport> verify_folder(base::FileSystem& file_system, const std::string& folder,
                                       const VerifyOptions& options,
                                       const std::function<void(const VerifyProgress&)>& show);

}  // namespace verbatim::admin
