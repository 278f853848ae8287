#include "admin/collector/collector_grammar.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "admin/collector/collector_commands.h"
#include "admin/collector/event_spec.h"
#include "admin/queue/queue_options.h"
#include "base/net_address.h"

namespace verbatim::admin {
namespace {

constexpr const char* kProfilesFooter = R"(
A profile names the events that a compliance server is asked about. An event is written
  EVENT[:TYPE][:bounce|pass][:fire-and-forget]
EVENT is one of the 12 JSM events (e_SESSION, es_END, es_OUT, es_IN, ...) or the 28 events of rooms (onBeforeSend, ...).
TYPE is the packet type of a JSM event that carries a stanza: all, iq, message, presence, subscription.
bounce: an error of the server goes back to the sender. pass: it is discarded, and the event goes on. By default bounce,
but pass for e_SESSION and es_END. fire-and-forget: the node tells and does not wait; with bounce it then DISCARDS the event
(a node that asks is answered so; logins, logouts, leaves and presence go on there).

Names are letters and digits. SystemDefaultComplianceProfile is always there and cannot be changed. A profile that is
assigned cannot be renamed or deleted. Whatever is changed is in force for the next event; nothing is restarted.

Examples:
  verbatimctl profiles list
  verbatimctl profiles create ethical --event es_OUT:message --event onBeforeSend --reason "ticket 4711"
  verbatimctl profiles set ethical --add onBeforeInvite --remove es_OUT:message --reason "ticket 4712"
  verbatimctl profiles set logging --event es_IN:all:pass:fire-and-forget --reason "ticket 4713"
  verbatimctl profiles export --output compliance.json
  verbatimctl profiles import compliance.json --reason "back to last week"

An export holds all profiles, servers and assignments, and no secrets. An import replaces them all, or none.)";

constexpr const char* kServersFooter = R"(
A server is a policy plugin, which attaches by itself under its name, or a product that speaks the component link, which
the collector dials. It is sent nothing until `assignments add` gives it a profile. Names: letters, digits, - _ .
`servers add` over a server that is there replaces all of its settings.

Examples:
  verbatimctl servers list
  verbatimctl servers add ethicalwall --plugin --reason "ticket 4711"
  verbatimctl servers add legacy --link cs1.example.com:7999 --secret-file /etc/verbatim/legacy.secret --reason "ticket 4712"
  verbatimctl servers show ethicalwall
  verbatimctl servers delete legacy --reason "switched off"

A server that has a profile cannot be deleted: first assignments remove.)";

constexpr const char* kAssignmentsFooter = R"(
Gives a server a profile. Several servers with one profile share its events by conversation; one server may have several
profiles. Without --node: for all nodes. The component name is generated; a dialled server must be told it.

Examples:
  verbatimctl assignments add ethicalwall ethical --reason "ticket 4711"
  verbatimctl assignments add legacy SystemDefaultComplianceProfile --node imp1.example.com --reason "ticket 4712"
  verbatimctl assignments list
  verbatimctl assignments remove ethicalwall ethical --reason "ticket 4713")";

constexpr const char* kPriorityFooter = R"(
An event that several profiles have goes to the highest one's server first, and to the next one's after PASS only: so an
ethical wall stands above logging. A new profile stands last.

Examples:
  verbatimctl priority show
  verbatimctl priority set ethical logging SystemDefaultComplianceProfile --reason "ticket 4711")";

constexpr const char* kClusterFooter = R"(
A fresh collector is cluster-wide: servers are asked about events of every node. One upgraded from a version without
profiles, or whose file of profiles was moved away, is node-based: one server for each node, with
SystemDefaultComplianceProfile alone. The switch goes one way only, and gives components new names.

Examples:
  verbatimctl cluster show
  verbatimctl cluster enable --yes --reason "ticket 4711"
  verbatimctl assignments list)";

constexpr const char* kSourcesFooter = R"(
A source is where a chat server's events come in: a component link (collector.xcp), gRPC or ZeroMQ.
ERRORS are events that could not be made durable in time. What policies refused, or left without an answer, is durable and
counts as ACCEPTED; servers list says how often.

Examples:
  verbatimctl sources list
  verbatimctl sources show node1)";

constexpr const char* kDoctorFooter = R"(
Goes through services, links of nodes, servers with their profiles, and alarms; says of each what is wrong and what to do.
Where users see slow logins, blocked messages or blocked rooms, begin here.

Exit codes: 0 nothing is wrong; 1 something is; 3 a service does not answer.)";

CLI::App* add_noun(CLI::App& app, const std::string& noun, const std::string& help,
                   const char* footer) {
  CLI::App* added = app.add_subcommand(noun, help);
  added->require_subcommand(1);
  if (footer != nullptr) added->footer(footer);
  return added;
}

std::string check_spec(const std::string& text) { return parse_event_spec(text).error().message(); }

void add_specs(CLI::App& verb, const std::string& flag, std::vector<std::string>& into,
               const std::string& help) {
  verb.add_option(flag, into, help)
      ->check(check_spec)
      ->type_name("EVENT[:TYPE][:WORD...]")
      ->allow_extra_args(false);
}

void add_name(CLI::App& verb, std::string& name, const std::string& what) {
  verb.add_option(what, name)->required()->type_name("NAME");
}

using Request = v1::ChangeComplianceRequest;

// --- profiles ---

void add_profile_verb(CLI::App& profiles, const TakeCommand& take, const std::string& verb,
                      const std::string& help, bool is_new) {
  CLI::App* app = profiles.add_subcommand(verb, help);
  auto command = std::make_shared<ProfileCommand>();
  command->is_new = is_new;
  add_name(*app, command->name, "profile");
  add_specs(*app, "--event", command->events,
            is_new ? "An event that it has; once for each" : "All events that it has from now on");
  if (!is_new) {
    add_specs(*app, "--add", command->added, "One event more");
    add_specs(*app, "--remove", command->removed, "One event less: its name and packet type");
  }
  app->add_option("--description", command->description, "For people")->type_name("TEXT");
  add_reason(*app, command->reason);
  app->callback([take, command] {
    take([command](CommandContext& context) { return set_profile(context, *command); });
  });
}

void add_profile_changes(CLI::App& profiles, const TakeCommand& take) {
  add_profile_verb(profiles, take, "create", "Makes one, last in priority", true);
  add_profile_verb(profiles, take, "set", "Changes events or description", false);
  CLI::App* remove = profiles.add_subcommand("delete", "Deletes one that is not assigned");
  auto deleted = std::make_shared<Request>();
  add_name(*remove, *deleted->mutable_delete_profile(), "profile");
  add_reason(*remove, *deleted->mutable_reason());
  remove->callback([take, deleted] {
    take([deleted](CommandContext& context) {
      return change_compliance(context, *deleted,
                               "Profile " + deleted->delete_profile() + " is deleted.");
    });
  });
  CLI::App* rename = profiles.add_subcommand("rename", "Renames one that is not assigned");
  auto renamed = std::make_shared<Request>();
  add_name(*rename, *renamed->mutable_rename_profile()->mutable_name(), "profile");
  add_name(*rename, *renamed->mutable_rename_profile()->mutable_new_name(), "new_name");
  add_reason(*rename, *renamed->mutable_reason());
  rename->callback([take, renamed] {
    take([renamed](CommandContext& context) {
      return change_compliance(context, *renamed,
                               "Profile " + renamed->rename_profile().name() + " is called " +
                                   renamed->rename_profile().new_name() + " now.");
    });
  });
}

void add_profile_files(CLI::App& profiles, const TakeCommand& take) {
  CLI::App* write =
      profiles.add_subcommand("export", "All profiles, servers and assignments as JSON");
  auto output = std::make_shared<std::string>();
  write->add_option("--output", *output, "The file (default: standard output)")->type_name("FILE");
  write->callback([take, output] {
    take([output](CommandContext& context) { return export_profiles(context, *output); });
  });
  CLI::App* read = profiles.add_subcommand("import", "Replaces them all by those of an export");
  auto input = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  read->add_option("file", *input, "What export has written")->required()->type_name("FILE");
  add_reason(*read, *reason);
  read->callback([take, input, reason] {
    take([input, reason](CommandContext& context) {
      return import_profiles(context, *input, *reason);
    });
  });
}

void add_profiles(CLI::App& app, const TakeCommand& take) {
  CLI::App* profiles =
      add_noun(app, "profiles", "Which events compliance servers are asked about", kProfilesFooter);
  profiles->add_subcommand("list", "All, in routing priority")->callback([take] {
    take(list_profiles);
  });
  CLI::App* show = profiles->add_subcommand("show", "Its events, and what becomes of errors");
  auto name = std::make_shared<std::string>();
  add_name(*show, *name, "profile");
  show->callback([take, name] {
    take([name](CommandContext& context) { return show_profile(context, *name); });
  });
  add_profile_changes(*profiles, take);
  add_profile_files(*profiles, take);
}

// --- servers ---

void add_server_add(CLI::App& servers, const TakeCommand& take) {
  CLI::App* add = servers.add_subcommand("add", "Registers one, or replaces its settings");
  auto request = std::make_shared<Request>();
  auto link = std::make_shared<std::string>();
  v1::ComplianceServer& server = *request->mutable_set_server();
  add_name(*add, *server.mutable_name(), "server");
  CLI::Option_group* kind = add->add_option_group("kind", "What it is");
  CLI::Option* plugin = kind->add_flag("--plugin");
  plugin->description("A policy plugin, which attaches by itself");
  kind->add_option("--link", *link, "A product that listens for the component link")
      ->check([](const std::string& text) {
        const auto address = base::parse_net_address(text);
        if (!address) return address.error().message();
        return std::string(address->port == 0 ? "needs a port" : "");
      })
      ->type_name("HOST:PORT");
  kind->require_option(1);
  add->add_option("--secret-file", *server.mutable_secret_file(),
                  "File with the link's password (mode 0600), as the collector sees it")
      ->type_name("FILE");
  add->add_option("--description", *server.mutable_description(), "For people")->type_name("TEXT");
  add_reason(*add, *request->mutable_reason());
  add->callback([take, request, link, plugin] {
    v1::ComplianceServer& made = *request->mutable_set_server();
    made.set_kind(v1::ComplianceServer::KIND_PLUGIN);
    if (plugin->count() == 0) {
      const auto address = base::parse_net_address(*link).value();  // checked while parsing
      made.set_kind(v1::ComplianceServer::KIND_LINK);
      made.set_host(address.host);
      made.set_port(address.port);
    }
    take([request](CommandContext& context) { return add_server(context, *request); });
  });
}

void add_servers(CLI::App& app, const TakeCommand& take) {
  CLI::App* servers =
      add_noun(app, "servers", "Policy plugins and dialled compliance servers", kServersFooter);
  servers->add_subcommand("list", "All with their profiles, links and answers")->callback([take] {
    take(list_servers);
  });
  CLI::App* show = servers->add_subcommand("show", "Everything about one");
  auto name = std::make_shared<std::string>();
  add_name(*show, *name, "server");
  show->callback([take, name] {
    take([name](CommandContext& context) { return show_server(context, *name); });
  });
  add_server_add(*servers, take);
  CLI::App* remove = servers->add_subcommand("delete", "Deletes one that has no profile");
  auto request = std::make_shared<Request>();
  add_name(*remove, *request->mutable_delete_server(), "server");
  add_reason(*remove, *request->mutable_reason());
  remove->callback([take, request] {
    take([request](CommandContext& context) {
      return change_compliance(context, *request,
                               "Server " + request->delete_server() + " is deleted.");
    });
  });
}

// --- assignments, priority, cluster ---

std::shared_ptr<Request> add_assignment_verb(CLI::App& verb,
                                             v1::ComplianceAssignment* (*part)(Request&)) {
  auto request = std::make_shared<Request>();
  v1::ComplianceAssignment& assignment = *part(*request);
  add_name(verb, *assignment.mutable_server(), "server");
  add_name(verb, *assignment.mutable_profile(), "profile");
  verb.add_option("--node", *assignment.mutable_node(),
                  "The chat node, as it names itself (default: all nodes)")
      ->type_name("NODE");
  add_reason(verb, *request->mutable_reason());
  return request;
}

void add_assignments(CLI::App& app, const TakeCommand& take) {
  CLI::App* assignments =
      add_noun(app, "assignments", "Which server has which profile", kAssignmentsFooter);
  assignments->add_subcommand("list", "All, with component names")->callback([take] {
    take(list_assignments);
  });
  CLI::App* add = assignments->add_subcommand("add", "Gives a server a profile");
  auto added = add_assignment_verb(*add, [](Request& request) { return request.mutable_assign(); });
  add->callback([take, added] {
    take([added](CommandContext& context) {
      return change_compliance(context, *added,
                               "Server " + added->assign().server() + " has profile " +
                                   added->assign().profile() + " now.");
    });
  });
  CLI::App* remove = assignments->add_subcommand("remove", "Takes a profile from a server");
  auto removed =
      add_assignment_verb(*remove, [](Request& request) { return request.mutable_unassign(); });
  remove->callback([take, removed] {
    take([removed](CommandContext& context) {
      return change_compliance(context, *removed,
                               "Server " + removed->unassign().server() +
                                   " does not have profile " + removed->unassign().profile() +
                                   " any more.");
    });
  });
}

void add_priority(CLI::App& app, const TakeCommand& take) {
  CLI::App* priority = add_noun(app, "priority", "Who is asked first", kPriorityFooter);
  priority->add_subcommand("show", "Profiles, the highest priority first")->callback([take] {
    take(show_priority);
  });
  CLI::App* set = priority->add_subcommand("set", "Orders all profiles anew");
  auto names = std::make_shared<std::vector<std::string>>();
  auto reason = std::make_shared<std::string>();
  set->add_option("profiles", *names, "All of them, the highest priority first")
      ->required()
      ->type_name("PROFILE...");
  add_reason(*set, *reason);
  set->callback([take, names, reason] {
    take([names, reason](CommandContext& context) {
      Request request;
      for (const std::string& name : *names) request.mutable_set_priority()->add_profiles(name);
      request.set_reason(*reason);
      return change_compliance(context, request, "The order of the profiles is changed.");
    });
  });
}

void add_cluster(CLI::App& app, const TakeCommand& take) {
  CLI::App* cluster = add_noun(app, "cluster", "Node-based or cluster-wide", kClusterFooter);
  cluster->add_subcommand("show", "Which of the two")->callback([take] { take(show_cluster); });
  CLI::App* enable = cluster->add_subcommand(
      "enable", "Servers are asked about events of every node; this can NOT be undone");
  auto reason = std::make_shared<std::string>();
  auto is_confirmed = std::make_shared<bool>(false);
  enable->add_flag("--yes", *is_confirmed, "Really, and for ever");
  add_reason(*enable, *reason);
  enable->callback([take, reason, is_confirmed] {
    take([reason, is_confirmed](CommandContext& context) {
      return enable_cluster(context, *reason, *is_confirmed);
    });
  });
}

void add_sources(CLI::App& app, const TakeCommand& take) {
  CLI::App* sources = add_noun(app, "sources", "Where events come from", kSourcesFooter);
  sources->add_subcommand("list", "Link state and counters of every source")->callback([take] {
    take(list_sources);
  });
  CLI::App* show = sources->add_subcommand(
      "show", "One source: is its link GONE, CONNECTED or ACTIVE, why, and what to do");
  auto name = std::make_shared<std::string>();
  add_name(*show, *name, "source");
  show->callback([take, name] {
    take([name](CommandContext& context) { return show_source(context, *name); });
  });
}

}  // namespace

void add_collector_nouns(CLI::App& app, const TakeCommand& take) {
  add_sources(app, take);
  add_profiles(app, take);
  add_servers(app, take);
  add_assignments(app, take);
  add_priority(app, take);
  add_cluster(app, take);
  CLI::App* doctor = app.add_subcommand(
      "doctor", "What is wrong with services, links and policies, and what to do");
  doctor->footer(kDoctorFooter);
  doctor->callback([take] { take(run_doctor); });
}

}  // namespace verbatim::admin
