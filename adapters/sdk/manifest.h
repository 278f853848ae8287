// Manifests: what an adapter leaves beside its output, so that `verbatimctl verify DIR` can prove
// that nothing of it was changed, removed, put in, moved or cut off. Format and rules:
// docs/formats/manifest.md.
//
//   files durable under their final names → manifest durable under its name → acknowledge
//
// So a manifest is also the record that its batch took effect: load_newest_manifest() answers
// Adapter::last_applied(), load_manifest() answers Adapter::batch_state().
//
// I1 The same batch, files and previous manifest give the same bytes.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/sdk/adapter.h"
#include "base/file_system.h"
#include "base/manifest_name.h"
#include "base/status.h"

namespace verbatim::adapters {

// One file that a batch has become. Its name begins with base::batch_prefix().
struct OutputFile {
  std::string name;
  uint64_t size_bytes = 0;
  std::string sha256;  // 32 bytes
};

struct Manifest {
  std::string adapter;
  AppliedBatch batch;
  std::vector<OutputFile> files;
  std::string sha256;  // of the manifest itself, for the next one; 32 bytes
};

// The file's contents. `previous_sha256`: of the manifest of the batch that was applied before; see
// previous_manifest_sha256().
std::string make_manifest(const Batch& batch, const std::vector<OutputFile>& files,
                          std::string_view previous_sha256);

// Errors: kNotFound; kDataLoss for what is no manifest or another batch's; kFailedPrecondition for
// one of a newer format; else the file system's.
Result<Manifest> load_manifest(base::FileSystem& file_system, const std::string& folder,
                               uint64_t batch);
// The one with the greatest number; nothing where there is none. Reads the whole folder's names.
Result<std::optional<Manifest>> load_newest_manifest(base::FileSystem& file_system,
                                                     const std::string& folder);

// What a manifest of `batch` says of the one before it: 32 zero bytes for the first batch, empty
// where `newest` is not the batch before (its files were taken away).
std::string previous_manifest_sha256(const Batch& batch, const std::optional<Manifest>& newest);

}  // namespace verbatim::adapters
