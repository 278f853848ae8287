// `verbatimctl verify DIR`: is the archive in this folder what was written?
#pragma once

#include <cstdint>
#include <string>

#include "admin/commands.h"

namespace verbatim::admin {

struct VerifyRequest {
  std::string folder;
  // --first N; 0: the chain is to begin at its beginning.
  uint64_t first_batch = 0;
  // --last N[:DIGEST].
  std::string last;
  // --ask-processor ADAPTER.
  std::string adapter;
};

// Exit codes: kExitOk untouched, kExitAttention problems, kExitUsage no such folder,
// kExitServiceDown the processor was to be asked and does not answer.
int verify(const OutputStyle& style, const VerifyRequest& request);
int verify_with_processor(CommandContext& context, const VerifyRequest& request);

}  // namespace verbatim::admin
