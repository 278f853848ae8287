// The Conversations document of one batch: docs/formats/conversations-xml.md.
#pragma once

#include "adapters/sdk/batch.h"
#include "adapters/xml/batch_plan.h"
#include "base/status.h"
#include "base/xml_writer.h"

namespace verbatim::adapters {

struct ConversationsOptions {
  // Channel/@islogged, which stands in the vendor's sample but not in its schema.
  bool emit_islogged = false;
};

// Writes the document and finishes the writer. The same batch gives the same bytes.
// Errors: the writer's sink's.
Status write_conversations(const Batch& batch, const BatchPlan& plan,
                           const ConversationsOptions& options, base::XmlWriter& writer);

}  // namespace verbatim::adapters
