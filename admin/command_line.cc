#include "admin/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "admin/collector/collector_grammar.h"
#include "admin/processor/processor_grammar.h"
#include "admin/queue/queue_grammar.h"
#include "admin/status_report.h"
#include "admin/verify/known_batch.h"
#include "admin/verify/verify_command.h"

namespace verbatim::admin {
namespace {

constexpr const char* kFooter = R"(
Examples:
  verbatimctl status                      is everything up, is everything accounted for?
  verbatimctl status --json | jq -r .difference_total
  verbatimctl queues list                 how full are the queues, how old is the oldest message?
  verbatimctl queues peek events -n 5     what waits first (metadata only)
  verbatimctl queues --help               all about queues; the same for dead-letters, alarms, audit
  verbatimctl alarms list                 what needs a person?
  verbatimctl doctor                      why is chat slow or blocked, and what to do?
  verbatimctl profiles --help             who is asked about which events; the same for servers, assignments
  verbatimctl holds --help                what must not be deleted; the same for staging, drain
  verbatimctl dead-letters list events    what could not be consumed, and why?
  verbatimctl events tail --follow        what comes in, as it comes in (metadata only)
  verbatimctl adapters make-optional xml --reason "ticket 4711: disk is being replaced"
  verbatimctl verify /srv/archive/xml     is the archive what was written?
  verbatimctl config check /etc/verbatim/verbatim.toml

Exit codes: 0 all well; 1 a difference, something that needs a person, or a refused request;
2 wrong usage; 3 a service does not answer. --json prints protobuf's JSON: 64-bit numbers are strings.)";

// https://no-color.org; a dumb terminal has none.
bool is_colour_wanted() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

// The values that options are read into; CLI11 keeps references to them until it has parsed.
struct Values {
  CommandLine line;
  int timeout_s = 10;
  std::string colour = "auto";
  bool recount = false;
  std::string adapter;
  std::string reason;
  std::vector<uint64_t> sequences;
  bool is_all = false;
  int backlog = 20;
  bool follow = false;
  std::string config_file;
  std::string key_file = "verbatim.key";
  VerifyRequest verify;
};

void add_global_options(CLI::App& app, Values& values) {
  app.add_option("--config", values.line.config_path,
                 "Configuration that says where the services listen (default: $VERBATIM_CONFIG, "
                 "else the built-in defaults)")
      ->type_name("FILE")
      ->envname("VERBATIM_CONFIG");
  app.add_flag("--json", values.line.is_json, "Print JSON for scripts");
  app.add_option("--timeout", values.timeout_s, "Seconds to wait for an answer")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str()
      ->type_name("SECONDS");
  app.add_option("--colour,--color", values.colour, "auto: only on a terminal")
      ->check(CLI::IsMember({"auto", "never", "always"}))
      ->type_name("auto|never|always");
  app.add_option("--queue", values.line.addresses.queue, "Admin address of the queue service")
      ->type_name("HOST:PORT");
  app.add_option("--collector", values.line.addresses.collector, "Admin address of the collector")
      ->type_name("HOST:PORT");
  app.add_option("--processor", values.line.addresses.processor, "Admin address of the processor")
      ->type_name("HOST:PORT");
}

CLI::App* add_noun(CLI::App& app, const std::string& noun, const std::string& help) {
  CLI::App* added = app.add_subcommand(noun, help);
  added->require_subcommand(1);
  return added;
}

void add_status(CLI::App& app, Values& values) {
  CLI::App* status = app.add_subcommand(
      "status", "Services, the accounting cut and its difference, adapters, what needs a person");
  status->add_flag("--recount", values.recount,
                   "Count every stored row anew and compare with the counters (slow)");
  status->callback([&values] {
    values.line.remote = [recount = values.recount](CommandContext& context) {
      return show_status(context, recount);
    };
  });
}

void add_reason(CLI::App& command, Values& values) {
  command.add_option("--reason", values.reason, "Why; goes into the audit log")
      ->required()
      ->check([](const std::string& text) {
        return text.empty() ? std::string("must not be empty") : std::string();
      });
}

void add_adapter_change(CLI::App& adapters, Values& values, const std::string& verb,
                        const std::string& help, v1::UpdateAdapterRequest::Action action) {
  CLI::App* command = adapters.add_subcommand(verb, help);
  command->add_option("adapter", values.adapter, "Name of the adapter")
      ->required()
      ->type_name("ADAPTER");
  add_reason(*command, values);
  command->callback([&values, action] {
    v1::UpdateAdapterRequest request;
    request.set_adapter(values.adapter);
    request.set_reason(values.reason);
    request.set_action(action);
    values.line.remote = [request](CommandContext& context) {
      return update_adapter(context, request);
    };
  });
}

void add_adapters(CLI::App& app, Values& values) {
  CLI::App* adapters = add_noun(app, "adapters", "The plugins that take events to archives");
  adapters->add_subcommand("list", "State, batches and backlog of every adapter")
      ->callback([&values] { values.line.remote = list_adapters; });
  using Request = v1::UpdateAdapterRequest;
  add_adapter_change(*adapters, values, "require",
                     "Nothing is deleted any more before this adapter has acknowledged it",
                     Request::ACTION_MAKE_REQUIRED);
  add_adapter_change(*adapters, values, "make-optional",
                     "Deletion no longer waits for this adapter; it may miss events",
                     Request::ACTION_MAKE_OPTIONAL);
  add_adapter_change(*adapters, values, "pause",
                     "Nothing is sent to this adapter until it is resumed; its events wait",
                     Request::ACTION_PAUSE);
  add_adapter_change(*adapters, values, "resume",
                     "Lets an adapter go on that was paused, by a person or for its rejects",
                     Request::ACTION_RESUME);
  add_adapter_change(*adapters, values, "remove",
                     "Forgets a detached adapter with its position and batches",
                     Request::ACTION_REMOVE);
}

void add_events(CLI::App& app, Values& values) {
  CLI::App* events = add_noun(app, "events", "Events in staging; metadata only, never chat text");
  CLI::App* tail = events->add_subcommand("tail", "The newest events, oldest of them first");
  tail->add_option("-n,--lines", values.backlog, "How many to begin with")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  tail->add_flag("-f,--follow", values.follow, "Go on with what comes in, until Ctrl-C");
  tail->callback([&values] {
    v1::TailEventsRequest request;
    request.set_backlog(values.backlog);
    request.set_follow(values.follow);
    values.line.remote = [request](CommandContext& context) {
      return tail_events(context, request);
    };
  });
}

void add_keys(CLI::App& app, Values& values) {
  CLI::App* keys = add_noun(app, "keys", "Keys of services and clients (CURVE)");
  CLI::App* generate = keys->add_subcommand(
      "generate", "Writes a new secret key to FILE and its public key to FILE.pub");
  generate->add_option("--out", values.key_file, "The file; nothing is overwritten")
      ->capture_default_str()
      ->type_name("FILE");
  generate->callback([&values] {
    values.line.local = [path = values.key_file](const OutputStyle& style) {
      return generate_keys(style, path);
    };
  });
}

constexpr const char* kQuarantineFooter = R"(
What an adapter has refused for good is kept for it, and counts as quarantined, not as archived. REASON is what the
adapter said. Mend the adapter, then release: the events come to it again, marked late; what it refuses again stays.

Examples:
  verbatimctl quarantine list --adapter xml
  verbatimctl quarantine release xml 4711 4712 --reason "ticket 4711"
  verbatimctl quarantine release xml --all --reason "ticket 4711: adapter mended")";

void add_release(CLI::App& quarantine, Values& values) {
  CLI::App* release = quarantine.add_subcommand(
      "release",
      "Gives events to their adapter again, marked late, each in a batch of its own; what it "
      "rejects again stays");
  release->add_option("adapter", values.adapter, "The adapter that had rejected them")
      ->required()
      ->type_name("ADAPTER");
  CLI::Option* sequences =
      release->add_option("sequences", values.sequences, "As `quarantine list` shows them")
          ->type_name("SEQUENCE...");
  CLI::Option* all =
      release->add_flag("--all", values.is_all, "All that this adapter has in quarantine")
          ->excludes(sequences);
  add_reason(*release, values);
  release->callback([&values, all, sequences] {
    if (all->count() + sequences->count() == 0) {
      throw CLI::RequiredError("SEQUENCE... or --all");
    }
    v1::ReleaseQuarantineRequest request;
    request.set_adapter(values.adapter);
    for (const uint64_t one : values.sequences) request.add_sequences(one);
    request.set_all(values.is_all);
    request.set_reason(values.reason);
    values.line.remote = [request](CommandContext& context) {
      return release_quarantine(context, request);
    };
  });
}

void add_quarantine(CLI::App& app, Values& values) {
  CLI::App* quarantine = add_noun(app, "quarantine", "Events that an adapter refused for good");
  quarantine->footer(kQuarantineFooter);
  CLI::App* list = quarantine->add_subcommand("list", "Which, why and since when");
  list->add_option("--adapter", values.adapter, "Only of this adapter")->type_name("ADAPTER");
  list->callback([&values] {
    v1::ListQuarantineRequest request;
    request.set_adapter(values.adapter);
    values.line.remote = [request](CommandContext& context) {
      return list_quarantine(context, request);
    };
  });
  add_release(*quarantine, values);
}

constexpr const char* kVerifyFooter = R"(
Every batch that an adapter writes has a manifest beside its documents: digests of the documents, of the batch, and of
the batch before. This recomputes all of them and names what was changed, removed, put in, moved or cut off, with file,
batch number and what to do. It reads only, needs no service, and may run while the adapter writes.

One thing no folder can tell of itself: that its newest batches were cut off, or all was written anew. Say what you know:
  --last 12:DIGEST         the last line of an earlier run, kept where the owner of the archive cannot write
  --ask-processor xml      the processor knows the last batch that adapter xml has acknowledged, and its digest
Without them "untouched" means: as far as a folder alone can tell. A folder without manifests is a problem, but where
the processor, asked, knows of no batch.
A folder whose older batches were moved away on purpose begins later: --first 5000.

Examples:
  verbatimctl verify /srv/archive/xml
  verbatimctl verify /srv/archive/xml --ask-processor xml
  verbatimctl verify /mnt/copy --first 5000 --last 7421:77ab... --json | jq -r '.problems[].file'

Exit codes: 0 untouched; 1 problems, each is named; 2 wrong usage, or no such folder; 3 the processor was to be asked
and does not answer. Format of the manifests: docs/formats/manifest.md.)";

void add_verify(CLI::App& app, Values& values) {
  CLI::App* verify_app = app.add_subcommand("verify", "Is the archive in DIR what was written?");
  verify_app->footer(kVerifyFooter);
  verify_app->add_option("folder", values.verify.folder, "Output folder of an adapter")
      ->required()
      ->type_name("DIR");
  verify_app->add_option("--first", values.verify.first_batch, "The chain begins with this batch")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  CLI::Option* last =
      verify_app
          ->add_option("--last", values.verify.last,
                       "Batch N is there, with this digest (its own or its manifest's)")
          ->check([](const std::string& text) { return parse_known_batch(text).error().message(); })
          ->type_name("N[:DIGEST]");
  CLI::Option* ask = verify_app
                         ->add_option("--ask-processor", values.verify.adapter,
                                      "The last batch is the one that the processor knows")
                         ->type_name("ADAPTER")
                         ->excludes(last);
  verify_app->callback([&values, ask] {
    if (ask->count() > 0) {
      values.line.remote = [request = values.verify](CommandContext& context) {
        return verify_with_processor(context, request);
      };
    } else {
      values.line.local = [request = values.verify](const OutputStyle& style) {
        return verify(style, request);
      };
    }
  });
}

void add_the_rest(CLI::App& app, Values& values) {
  CLI::App* config = add_noun(app, "config", "The configuration file");
  CLI::App* check = config->add_subcommand(
      "check", "Reads FILE as the services do and says what is wrong: file:line: key: reason");
  check->add_option("file", values.config_file, "The file")->required()->type_name("FILE");
  check->callback([&values] {
    values.line.local = [path = values.config_file](const OutputStyle& style) {
      return check_config_file(style, path);
    };
  });
  app.add_subcommand("version", "Prints the version")->callback([&values] {
    values.line.local = show_version;
  });
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{"verbatimctl - asks and commands the services of Verbatim", "verbatimctl"};
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();  // global flags may stand behind the verb, where people put them
  Values values;
  add_global_options(app, values);
  add_status(app, values);
  add_queue_nouns(app, [&values](std::function<int(CommandContext&)> command) {
    values.line.remote = std::move(command);
  });
  add_adapters(app, values);
  add_events(app, values);
  add_keys(app, values);
  add_quarantine(app, values);
  CLI::App* adapters = app.get_subcommand("adapters");
  add_processor_nouns(app, *adapters, [&values](std::function<int(CommandContext&)> command) {
    values.line.remote = std::move(command);
  });
  add_collector_nouns(app, [&values](std::function<int(CommandContext&)> command) {
    values.line.remote = std::move(command);
  });
  add_verify(app, values);
  add_the_rest(app, values);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? int{kExitOk} : int{kExitUsage}};
  }
  values.line.timeout = std::chrono::seconds(values.timeout_s);
  values.line.has_colour = values.colour != "never";
  if (values.colour == "auto") values.line.has_colour = is_colour_wanted();
  return {std::move(values.line), kExitOk};
}

}  // namespace verbatim::admin
