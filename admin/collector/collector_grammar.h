// The part of verbatimctl's grammar about the collector: profiles, servers, assignments, priority,
// cluster, sources, doctor.
#pragma once

#include <CLI/CLI.hpp>

#include "admin/queue/queue_grammar.h"

namespace verbatim::admin {

void add_collector_nouns(CLI::App& app, const TakeCommand& take);

}  // namespace verbatim::admin
