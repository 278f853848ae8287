// The commands of verbatimctl: each asks, prints, and gives the exit code (status_report.h).
// What was asked for goes to standard output, why it could not be had to standard error.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "admin/admin_client.h"
#include "admin/table.h"
#include "base/status.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

struct OutputStyle {
  bool is_json = false;
  bool has_colour = false;
};

struct CommandContext {
  AdminClient& client;
  OutputStyle style;
};

int show_status(CommandContext& context, bool recount);

int list_sources(CommandContext& context);

int list_adapters(CommandContext& context);
int update_adapter(CommandContext& context, const v1::UpdateAdapterRequest& request);

int tail_events(CommandContext& context, const v1::TailEventsRequest& request);

int list_quarantine(CommandContext& context, const v1::ListQuarantineRequest& request);
int release_quarantine(CommandContext& context, const v1::ReleaseQuarantineRequest& request);

// Needs no service. An empty `path` checks the built-in defaults.
int check_config_file(const OutputStyle& style, const std::string& path);
int show_version(const OutputStyle& style);
// Writes FILE (the secret, mode 0600) and FILE.pub, and prints the public key; overwrites nothing.
int generate_keys(const OutputStyle& style, const std::string& path);

// Shared by the commands.

// Prints "verbatimctl: ..." and gives the exit code of the error.
int report_error(const Status& status);
// One JSON object in one line.
void print_json(const google::protobuf::Message& message);
// The table, or `nothing` in place of a table without rows.
void print_table(const OutputStyle& style, const Table& table, std::string_view nothing);
void print_text(std::string_view text);

}  // namespace verbatim::admin
