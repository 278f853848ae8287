// The companion of a Conversations document: everything of the batch, above all what the legacy
// schema cannot say. docs/formats/companion-xml.md; schema/companion.xsd.
#pragma once

#include <string>

#include "adapters/sdk/batch.h"
#include "adapters/xml/batch_plan.h"
#include "base/status.h"
#include "base/xml_writer.h"

namespace verbatim::adapters {

inline constexpr std::string_view kCompanionNamespace = "urn:x-verbatim:companion:1";
inline constexpr std::string_view kCompanionFormat = "1";

struct CompanionLinks {
  // The Conversations document beside it: file name and SHA-256 (32 bytes).
  std::string document;
  std::string document_sha256;
};

// Writes the document and finishes the writer. The same batch gives the same bytes, whatever the
// store epoch under which it came. Errors: the writer's sink's; kDataLoss for a broken event.
Status write_companion(const Batch& batch, const BatchPlan& plan, const CompanionLinks& links,
                       base::XmlWriter& writer);

}  // namespace verbatim::adapters
