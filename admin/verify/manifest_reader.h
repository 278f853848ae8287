// One manifest of an archive (docs/formats/manifest.md), read and judged by itself.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "verbatim/v1/manifest.pb.h"

namespace verbatim::admin {

// What the chain needs of a manifest; digests are 32 raw bytes.
struct ManifestFacts {
  std::string adapter;
  // As the header says, which the name of the file may not.
  uint64_t batch = 0;
  uint64_t replaces = 0;
  uint64_t event_count = 0;
  uint64_t running_event_count = 0;
  std::string digest;
  std::string previous_digest;
  std::string sha256;  // of the manifest itself
  // Of the one before; empty where it says nothing.
  std::string previous_sha256;
};

// Parses the text into `manifest` and proves digest, body digest and header against each other.
// Errors: kDataLoss with what is wrong; kFailedPrecondition for a newer format.
Result<ManifestFacts> read_manifest(std::string_view text, v1::BatchManifest& manifest);

}  // namespace verbatim::admin
