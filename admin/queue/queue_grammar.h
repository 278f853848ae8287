// The part of verbatimctl's grammar about queues, dead letters, alarms and the audit log.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "admin/commands.h"

namespace verbatim::admin {

// Gets the command that was asked for.
using TakeCommand = std::function<void(std::function<int(CommandContext&)>)>;

void add_queue_nouns(CLI::App& app, const TakeCommand& take);

}  // namespace verbatim::admin
