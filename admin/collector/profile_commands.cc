#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <cstdio>

#include "admin/collector/collector_commands.h"
#include "admin/collector/event_spec.h"
#include "admin/status_report.h"
#include "admin/text.h"
#include "base/file_system.h"

namespace verbatim::admin {
namespace {

using Entry = v1::ComplianceProfile::EventEntry;

const v1::ComplianceProfile* find_profile(const v1::ComplianceState& state,
                                          const std::string& name) {
  for (const auto& profile : state.profiles()) {
    if (profile.name() == name) return &profile;
  }
  return nullptr;
}

Status no_such_profile(const std::string& name) {
  return not_found("no such profile: " + name + "; verbatimctl profiles list has all");
}

// "wall on all nodes, dlp on n1".
std::string servers_with(const v1::ComplianceState& state, const std::string& profile) {
  std::string text;
  for (const auto& one : state.assignments()) {
    if (one.profile() != profile) continue;
    text += (text.empty() ? "" : ", ") + one.server() +
            (one.node().empty() ? " on all nodes" : " on " + one.node());
  }
  return text.empty() ? "-" : text;
}

std::string event_text(const Entry& entry) {
  return entry.event() + (entry.packet_type().empty() ? "" : ":" + entry.packet_type());
}

// Refused where it is not there, and says what is: a word left out ("es_OUT" for "es_OUT:message")
// must not look like success.
Status remove_event(v1::ComplianceProfile& profile, const std::string& text) {
  const Entry wanted = parse_event_spec(text).value();  // checked while parsing
  std::string others;
  for (int i = 0; i < profile.events_size(); ++i) {
    const Entry& entry = profile.events(i);
    if (entry.event() != wanted.event()) continue;
    if (entry.packet_type() == wanted.packet_type()) {
      profile.mutable_events()->DeleteSubrange(i, 1);
      return {};
    }
    others += (others.empty() ? "; it has " : ", ") + event_text(entry);
  }
  return not_found("profile " + profile.name() + " has no " + event_text(wanted) + others);
}

// What the profile becomes.
Result<v1::ComplianceProfile> changed(v1::ComplianceProfile profile,
                                      const ProfileCommand& command) {
  profile.set_name(command.name);
  if (command.description) profile.set_description(*command.description);
  if (!command.events.empty()) profile.clear_events();
  for (const std::string& text : command.removed) RETURN_IF_ERROR(remove_event(profile, text));
  for (const auto* texts : {&command.events, &command.added}) {
    for (const std::string& text : *texts) {
      *profile.add_events() = parse_event_spec(text).value();  // checked while parsing
    }
  }
  return profile;
}

}  // namespace

int list_profiles(CommandContext& context) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(answer->state());
    return kExitOk;
  }
  Table table({{"PRIORITY", Align::kRight},
               {"PROFILE"},
               {"EVENTS", Align::kRight},
               {"ASSIGNED TO"},
               {"DESCRIPTION"}});
  int priority = 0;
  for (const auto& profile : answer->state().profiles()) {
    table.add_row({std::to_string(++priority), printable(profile.name()),
                   human_count(int64_t{profile.events_size()}),
                   printable(servers_with(answer->state(), profile.name())),
                   profile.description().empty() ? "-" : printable(profile.description())});
  }
  print_table(context.style, table, "No profiles.");
  return kExitOk;
}

int show_profile(CommandContext& context, const std::string& name) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  const v1::ComplianceProfile* profile = find_profile(answer->state(), name);
  if (profile == nullptr) return report_error(no_such_profile(name));
  if (context.style.is_json) {
    print_json(*profile);
    return kExitOk;
  }
  print_text("Profile " + printable(profile->name()) + ", assigned to " +
             printable(servers_with(answer->state(), name)) + "\n");
  if (!profile->description().empty()) print_text(printable(profile->description()) + "\n");
  Table table({{"EVENT"}, {"PACKET TYPE"}, {"NODE"}, {"ERRORS"}});
  for (const Entry& entry : profile->events()) {
    const bool is_bounced = entry.handling() != v1::ComplianceProfile::HANDLING_PASS;
    const bool is_discarded = is_bounced && entry.fire_and_forget();
    table.add_row({printable(entry.event()),
                   entry.packet_type().empty() ? "-" : printable(entry.packet_type()),
                   is_discarded ? Cell("sends it, then DISCARDS it", Mood::kBad)
                                : Cell(entry.fire_and_forget() ? "does not wait" : "waits"),
                   is_bounced ? "bounced" : "discarded, the event goes on"});
  }
  print_table(context.style, table, "It has no events: its servers are sent nothing.");
  return kExitOk;
}

int set_profile(CommandContext& context, const ProfileCommand& command) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  const v1::ComplianceProfile* known = find_profile(answer->state(), command.name);
  if (command.is_new && known != nullptr) {
    return report_error(already_exists("there is a profile " + command.name +
                                       " already; verbatimctl profiles set changes it"));
  }
  if (!command.is_new && known == nullptr) return report_error(no_such_profile(command.name));
  auto wanted = changed(known == nullptr ? v1::ComplianceProfile() : *known, command);
  if (!wanted) return report_error(wanted.error());
  if (known != nullptr && google::protobuf::util::MessageDifferencer::Equals(*wanted, *known)) {
    return report_error(failed_precondition(
        "nothing of profile " + command.name +
        " would change; --event, --add, --remove and --description change something"));
  }
  v1::ChangeComplianceRequest request;
  *request.mutable_set_profile() = *std::move(wanted);
  // What was looked at is what is changed.
  request.set_expected_revision(answer->state().revision());
  request.set_reason(command.reason);
  return change_compliance(
      context, request,
      "Profile " + command.name + (command.is_new ? " is made." : " is changed."));
}

int export_profiles(CommandContext& context, const std::string& path) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = true;
  std::string json;
  const auto made = google::protobuf::util::MessageToJsonString(answer->state(), &json, options);
  if (!made.ok()) return report_error(internal_error("the answer cannot be written as JSON"));
  if (path.empty()) {
    print_text(json);
    return kExitOk;
  }
  const Status written = base::write_file_atomically(base::posix_file_system(), path, json);
  if (!written.ok()) return report_error(failed_precondition(written.message()));
  std::fprintf(stderr, "Written to %s; it has no secrets.\n", path.c_str());
  return kExitOk;
}

int import_profiles(CommandContext& context, const std::string& path, const std::string& reason) {
  const auto json = base::posix_file_system().read_file(path);
  if (!json) return report_error(failed_precondition(json.error().message()));
  v1::ChangeComplianceRequest request;
  const auto parsed = google::protobuf::util::JsonStringToMessage(*json, request.mutable_import());
  if (!parsed.ok()) {
    return report_error(invalid_argument(path + " is no export of profiles: " + parsed.ToString()));
  }
  request.set_reason(reason);
  return change_compliance(context, request,
                           "All profiles, servers and assignments are those of " + path + " now.");
}

int change_compliance(CommandContext& context, const v1::ChangeComplianceRequest& request,
                      const std::string& sentence) {
  const auto answer = context.client.change_compliance(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(printable(sentence) + "\n");
    std::fflush(stdout);
    for (const std::string& warning : answer->warnings()) {
      std::fprintf(stderr, "warning: %s\n", printable(warning).c_str());
    }
  }
  return kExitOk;
}

int show_priority(CommandContext& context) { return list_profiles(context); }

int show_cluster(CommandContext& context) {
  const auto answer = context.client.get_compliance();
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(answer->state());
  } else if (answer->state().is_cluster_wide()) {
    print_text("Cluster-wide, for ever: servers are asked about events of every node.\n");
  } else {
    print_text(
        "Node-based: a node has one server, with SystemDefaultComplianceProfile. verbatimctl "
        "cluster "
        "enable ends that.\n");
  }
  return kExitOk;
}

int enable_cluster(CommandContext& context, const std::string& reason, bool is_confirmed) {
  if (!is_confirmed) {
    return report_error(failed_precondition(
        "Cluster-wide mode can NOT be ended again.\n"
        "  Events of every node go to the servers of all nodes.\n"
        "  Components get new names (verbatimctl assignments list): dialled servers must be told.\n"
        "  Add --yes to do it."));
  }
  const auto known = context.client.get_compliance();
  if (!known) return report_error(known.error());
  if (known->state().is_cluster_wide()) {
    if (context.style.is_json) {
      print_json(*known);
    } else {
      print_text("The collector is cluster-wide already; nothing is changed.\n");
    }
    return kExitOk;
  }
  v1::ChangeComplianceRequest request;
  request.set_enable_cluster_wide(true);
  request.set_reason(reason);
  return change_compliance(context, request, "The collector is cluster-wide now, for ever.");
}

}  // namespace verbatim::admin
