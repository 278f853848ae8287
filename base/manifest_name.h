// Names in an adapter's output folder (docs/formats/manifest.md): each begins with the batch's
// number, and the manifest's says that it is one.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace verbatim::base {

// "batch-000000000012." and "batch-000000000012.manifest.json"; beyond twelve digits they grow.
std::string batch_prefix(uint64_t batch);
std::string manifest_name(uint64_t batch);

// The number that a name begins with, written as above; 0 for any other name.
uint64_t batch_of_name(std::string_view name);
// The same for manifests only.
uint64_t batch_of_manifest_name(std::string_view name);

}  // namespace verbatim::base
