// OutputDir: the folder of documents, and what it proves about applied batches.
//
// Per batch n three files: "batch-<12 digits>.xml" (Conversations), "batch-<12 digits>.companion
// .xml" and "batch-<12 digits>.manifest.json" (adapters/sdk/manifest.h). The manifest names the
// digests of the batch and of the two documents, so it is the record that the batch was applied;
// there is no other state.
//
// What is on disk when, in the order of publish():
//   1 all files synced under their temporary names     crash: three .tmp, removed at the next start
//   2 companion, then document renamed, synced         crash: one or both alone; a repeat goes on
//   3 manifest renamed, directory synced               the batch is applied
//
// I1 A manifest under its final name stands beside documents that were durable before it.
// I2 A file under its final name is never replaced by other content; but a companion without its
//    document and manifest, which nobody can have used, may be.
// I3 After a failed directory sync the names are made anew: a later sync alone proves nothing.
//
// Threads: one at a time. Only the instance that holds the lock writes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "adapters/sdk/adapter.h"
#include "adapters/sdk/manifest.h"
#include "adapters/xml/document_file.h"
#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::adapters {

// What a companion says about itself.
struct CompanionFacts {
  std::string adapter;
  AppliedBatch batch;
  std::string previous_digest;
  std::string document;
  std::string document_sha256;
};
// Errors: kNotFound; kDataLoss for a file that is no companion; kFailedPrecondition for one of a
// newer format; else the file system's.
Result<CompanionFacts> load_companion_facts(base::FileSystem& file_system, const std::string& path);

// "batch-000000000012.xml", "batch-000000000012.companion.xml"; numbers beyond twelve digits grow.
std::string document_name(uint64_t batch);
std::string companion_name(uint64_t batch);
// The batch of such a name; nothing for any other name.
std::optional<uint64_t> batch_of_document_name(const std::string& name);
std::optional<uint64_t> batch_of_companion_name(const std::string& name);

class OutputDir {
 public:
  OutputDir(base::FileSystem& file_system, std::string path)
      : file_system_(file_system), path_(std::move(path)) {}

  // Creates the folder, locks it and removes what crashes have left. Errors: kUnavailable while
  // another process holds it; else the file system's.
  Status lock();
  void unlock() { lock_.reset(); }
  bool is_locked() const { return lock_ != nullptr; }

  // The manifest with the greatest number; nothing in an empty folder.
  Result<std::optional<Manifest>> load_newest() const;
  // Of one batch; nothing where it has none.
  Result<std::optional<Manifest>> load(uint64_t batch) const;
  // Of the manifest before this batch's (sdk/manifest.h).
  Result<std::string> load_previous_sha256(const Batch& batch);

  // A file of the batch on its way.
  Result<DocumentFile> create(const std::string& name) const;
  // What the batch's companion says. Errors: as load_companion_facts().
  Result<CompanionFacts> load_companion(uint64_t batch) const;
  // SHA-256 of a file under its final name; nothing where there is none.
  Result<std::optional<std::string>> load_sha256(const std::string& name) const;

  struct Files {
    DocumentFile& document;
    DocumentFile& companion;
    DocumentFile& manifest;
  };
  // Steps 2 and 3; all files must be synced. `written` is what the manifest says. Durable: the
  // batch.
  Status publish(Files files, Manifest written);
  // Durable: what stands in the folder now. Errors: also kUnavailable where a directory sync has
  // failed before, as only publish() heals that (I3).
  Status sync_names();

 private:
  std::string join(const std::string& name) const { return base::join_path(path_, name); }
  Status sync_directory();

  base::FileSystem& file_system_;
  const std::string path_;
  std::unique_ptr<base::FileLock> lock_;
  // Of the batch applied last, as far as this process knows.
  std::optional<Manifest> newest_;
  bool has_failed_sync_ = false;
};

}  // namespace verbatim::adapters
