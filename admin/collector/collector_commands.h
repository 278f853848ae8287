// The commands about the collector's profiles, servers, assignments and links. Each asks, prints,
// and gives the exit code, as in commands.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "admin/commands.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

int list_profiles(CommandContext& context);
int show_profile(CommandContext& context, const std::string& name);

// What becomes of a profile; of its events, either all are given or some are added and removed.
struct ProfileCommand {
  std::string name;
  std::string reason;
  // It must not be there, or it must.
  bool is_new = false;
  std::optional<std::string> description;
  // As event_spec.h reads them; checked while parsing.
  std::vector<std::string> events;
  std::vector<std::string> added;
  // "es_OUT:message", without further words.
  std::vector<std::string> removed;
};
int set_profile(CommandContext& context, const ProfileCommand& command);

// As JSON, to the file or, where its name is empty, to standard output.
int export_profiles(CommandContext& context, const std::string& path);
int import_profiles(CommandContext& context, const std::string& path, const std::string& reason);

// Any change; prints `sentence` when it is done, and the warnings on standard error.
int change_compliance(CommandContext& context, const v1::ChangeComplianceRequest& request,
                      const std::string& sentence);

int list_servers(CommandContext& context);
int show_server(CommandContext& context, const std::string& name);
int add_server(CommandContext& context, const v1::ChangeComplianceRequest& request);
int list_assignments(CommandContext& context);
int show_priority(CommandContext& context);
int show_cluster(CommandContext& context);
// Without `is_confirmed` it tells what it would do, and refuses.
int enable_cluster(CommandContext& context, const std::string& reason, bool is_confirmed);

int show_source(CommandContext& context, const std::string& name);
int run_doctor(CommandContext& context);

}  // namespace verbatim::admin
