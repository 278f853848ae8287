// The part of verbatimctl's grammar about the processor's store: holds, staging, batches, files,
// replays, drain.
#pragma once

#include <CLI/CLI.hpp>

#include "admin/queue/queue_grammar.h"

namespace verbatim::admin {

// `adapters` is the noun that replays are added to.
void add_processor_nouns(CLI::App& app, CLI::App& adapters, const TakeCommand& take);

}  // namespace verbatim::admin
