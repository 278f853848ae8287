#include "admin/processor/processor_grammar.h"

#include <memory>
#include <string>
#include <vector>

#include "admin/processor/processor_commands.h"
#include "admin/queue/queue_options.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr const char* kHoldsFooter = R"(
A hold stops deletion, never delivery: what it covers is archived as ever, and a copy stays here after that. Several
holds may cover one event; it stays until all of them are released. A person's hold covers events that name the person,
as the one who acts or as one of the others; to keep all that was said in a room, hold the room. Times are those of the
source or of the collector, whichever lies inside. What was deleted before a hold was made is in the archives only.
Capitals of an address (A to Z) and a session behind "/" make no difference; other letters must be as `staging list`
shows them.

Examples:
  verbatimctl holds add --person alice@example.com --from 2026-01-01 --reason "case 4711"
  verbatimctl holds add --room deal@rooms.example.com --from 2026-01-01 --to 2026-04-01 --reason "case 4711"
  verbatimctl holds list
  verbatimctl holds release 3 --reason "case 4711 is closed"

While there is a hold, the hold flag of the queues that feed the store is set, so that nothing is destroyed there
either; a queue that is away is shown as pending, and gets it when it is back.)";

constexpr const char* kStagingFooter = R"(
PLACE is where an event is: staged (a required adapter has not acknowledged it), archived (to be deleted next),
kept (a copy for a hold), quarantined (a copy; its adapter rejects it), unrouted (no required adapter's filter took
it so far). HOLDS are the numbers of those that cover it.

Examples:
  verbatimctl staging list --room deal@rooms.example.com --from 2026-03-01T09:00 --to 2026-03-01T10:00
  verbatimctl staging list --person alice@example.com --kind message_posted --kind message_edited -n 100
  verbatimctl staging list --source prosody --count
  verbatimctl staging show 4711 --content --reason "case 4711"
  verbatimctl staging trace 5f3a-77 --content --reason "case 4711"

With --room only that conversation's events are read. Without it list reads the whole store, in parts; trace looks
through it once for the message, and through the index of its conversation then. It refuses a store of more than
1,000,000 events: there name the room (list finds it by person or time).
show and trace give metadata; texts only with --content, and each such reading is in the audit log of the processor
(verbatimctl audit list --service processor).)";

constexpr const char* kDrainFooter = R"(
For a planned switch: pauses the puts of the queues that feed the store, has every adapter take what waits without
regard to its interval, and waits until the queues and the store are empty and every adapter has acknowledged.
Senders wait meanwhile: link nodes get errors, producers are told to come back, notices wait in the collector's outbox.
Copies for holds and events in quarantine stay, and are told. Events that are unrouted stand in the way: they are
archived nowhere, and no adapter can acknowledge them. When it is given up, by its time or by Ctrl-C, puts stay paused.

Drain mode ends with `drain --end`, which lets puts go on (whoever has paused them), or when the processor is started again; puts stay paused
until `drain --end`, whatever is restarted. Until then the alarm `draining` is raised, also after a drain that was given up.

Exit codes: 0 drained; 1 not in time, or something stands in the way (it is named); 3 a service does not answer.)";

constexpr const char* kBatchesFooter = R"(
The store keeps of each adapter the last batch that was acknowledged, the one under way, and planned ones (the rest of
a slice, or halves of a rejected batch). Older batches are in the archive: verbatimctl verify DIR.
WHY: count, bytes, interval, drain, replacement (of a rejected batch), released (from quarantine), rerouted (what no
required adapter took before), replay.

Examples:
  verbatimctl batches list                what is under way, and why was it sealed?
  verbatimctl batches show xml 4711       its slices, how many were there, its digest)";

constexpr const char* kFilesFooter = R"(
Examples:
  verbatimctl files list                  what events of the store name
  verbatimctl files list --missing        exit code 1: content that is named and not there
  verbatimctl files list --unnamed        what is stored without a name, and why it is still there)";

constexpr const char* kAdaptersFooter = R"(
LAG, LAG BYTES and OLDEST are what the adapter has not acknowledged yet: events, bytes, age of the oldest.

Examples:
  verbatimctl adapters list                         who lags, who is away, what did it say last?
  verbatimctl adapters pause xml --reason "ticket 4711: the archive is being moved"
  verbatimctl adapters resume xml --reason "ticket 4711"
  verbatimctl adapters replay xml --from 2026-03-01T09:00 --dry-run
  verbatimctl adapters replay xml --from 2026-03-01T09:00 --reason "ticket 4711: documents were lost"

REPLAY LEFT is what a replay has still to give, at most. A replay reaches what the store still has (exit code 1: nothing
of it; the archive is the source then), and says where that begins: what every required adapter has acknowledged is
deleted, but for copies of holds. What it gives again comes in new batches that are marked so (replay_of); it changes no
account, and a second archive of it is up to the adapter. An adapter that was paused for 100 rejects in a row goes on
with resume; what it had rejected is in quarantine (verbatimctl quarantine list).)";

CLI::App* add_noun(CLI::App& app, const std::string& noun, const std::string& help) {
  CLI::App* added = app.add_subcommand(noun, help);
  added->require_subcommand(1);
  return added;
}

std::string check_time(const std::string& text) { return parse_utc_ns(text).error().message(); }

// Of an option that has been checked; 0 where it was not given.
int64_t time_of(const std::string& text) { return text.empty() ? 0 : *parse_utc_ns(text); }

struct TimeRange {
  std::string from;
  std::string to;
};
void add_times(CLI::App& verb, TimeRange& range) {
  verb.add_option("--from", range.from, "From this time on, UTC")
      ->check(check_time)
      ->type_name("TIME");
  verb.add_option("--to", range.to, "Up to and without this time, UTC")
      ->check(check_time)
      ->type_name("TIME");
}

struct HoldOptions {
  TimeRange times;
  std::string person;
  std::string room;
  std::string reason;
  bool all = false;
};

void add_holds(CLI::App& app, const TakeCommand& take) {
  CLI::App* holds = add_noun(app, "holds", "What must not be deleted, by person, room and time");
  holds->footer(kHoldsFooter);
  CLI::App* add = holds->add_subcommand("add", "Makes a hold; all that is given must be so");
  auto given = std::make_shared<HoldOptions>();
  add->add_option("--person", given->person, "Events that name this address")->type_name("ADDRESS");
  add->add_option("--room", given->room, "Events of this conversation")->type_name("ADDRESS");
  add_times(*add, given->times);
  add->add_flag("--all", given->all, "Everything");
  add_reason(*add, given->reason);
  add->callback([take, given] {
    v1::AddHoldRequest request;
    v1::HoldFilter& filter = *request.mutable_filter();
    filter.set_person(given->person);
    filter.set_room(given->room);
    filter.set_from_unix_ns(time_of(given->times.from));
    filter.set_to_unix_ns(time_of(given->times.to));
    filter.set_all(given->all);
    request.set_reason(given->reason);
    take([request](CommandContext& context) { return add_hold(context, request); });
  });
  holds->add_subcommand("list", "Holds, their copies, and the hold flags of the queues")
      ->callback([take] { take(list_holds); });
  CLI::App* release = holds->add_subcommand(
      "release", "Ends a hold and deletes the copies that no other hold covers");
  auto number = std::make_shared<uint64_t>(0);
  auto reason = std::make_shared<std::string>();
  release->add_option("hold", *number, "Its number")->required()->type_name("HOLD");
  add_reason(*release, *reason);
  release->callback([take, number, reason] {
    v1::ReleaseHoldRequest request;
    request.set_number(*number);
    request.set_reason(*reason);
    take([request](CommandContext& context) { return release_hold(context, request); });
  });
}

// "message_posted", or "message posted" as the tables show it.
v1::EventKind kind_of(std::string word) {
  for (char& c : word) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == ' ' || c == '-') c = '_';
  }
  v1::EventKind kind = v1::EVENT_KIND_UNSPECIFIED;
  v1::EventKind_Parse("EVENT_KIND_" + word, &kind);
  return kind;
}

struct ListOptions {
  std::string room;
  std::string person;
  std::string source;
  TimeRange times;
  std::vector<std::string> kinds;
  bool held = false;
  bool count = false;
  int lines = 50;
  uint64_t from_sequence = 0;

  v1::ListStagedRequest to_request() const {
    v1::ListStagedRequest request;
    request.set_from_sequence(from_sequence);
    v1::StagedFilter& filter = *request.mutable_filter();
    filter.set_room(room);
    filter.set_person(person);
    filter.set_source(source);
    filter.set_from_unix_ns(time_of(times.from));
    filter.set_to_unix_ns(time_of(times.to));
    filter.set_is_held(held);
    for (const std::string& kind : kinds) filter.add_kinds(kind_of(kind));
    return request;
  }
};

void add_staging_list(CLI::App& staging, const TakeCommand& take) {
  CLI::App* list = staging.add_subcommand("list", "Events by filter, oldest first, with a count");
  auto given = std::make_shared<ListOptions>();
  list->add_option("--room", given->room, "Of this conversation")->type_name("ADDRESS");
  list->add_option("--person", given->person, "That name this address")->type_name("ADDRESS");
  list->add_option("--kind", given->kinds, "Of these kinds, such as message_posted")
      ->check([](const std::string& word) {
        return kind_of(word) == v1::EVENT_KIND_UNSPECIFIED ? "no such kind of event: " + word
                                                           : std::string();
      })
      ->type_name("KIND");
  list->add_option("--source", given->source, "Of this source")->type_name("NAME");
  add_times(*list, given->times);
  list->add_flag("--held", given->held, "Only what a hold covers");
  list->add_flag("--count", given->count, "Only how many, and their bytes");
  list->add_option("-n,--lines", given->lines, "How many to show")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  list->add_option("--from-sequence", given->from_sequence, "Begin here")->type_name("N");
  list->callback([take, given] {
    take([given](CommandContext& context) {
      return list_staged(context, given->to_request(), given->count ? 0 : given->lines);
    });
  });
}

struct ContentOptions {
  bool content = false;
  std::string reason;
};
void add_content(CLI::App& verb, ContentOptions& options) {
  CLI::Option* reason = verb.add_option("--reason", options.reason, "Why; goes into the audit log");
  verb.add_flag("--content", options.content, "With what was said; audited")->needs(reason);
}

void add_staging(CLI::App& app, const TakeCommand& take) {
  CLI::App* staging = add_noun(app, "staging", "Events that the processor has");
  staging->footer(kStagingFooter);
  add_staging_list(*staging, take);
  CLI::App* show = staging->add_subcommand("show", "One event; in full with --content");
  auto sequence = std::make_shared<uint64_t>(0);
  auto shown = std::make_shared<ContentOptions>();
  show->add_option("sequence", *sequence, "As the list shows it")->required()->type_name("N");
  add_content(*show, *shown);
  show->callback([take, sequence, shown] {
    v1::ShowEventRequest request;
    request.set_sequence(*sequence);
    request.set_reason(shown->reason);
    take([request, with = shown->content](CommandContext& context) {
      return show_event(context, request, with);
    });
  });
  CLI::App* trace = staging->add_subcommand(
      "trace", "A message with its captures, edits, deletion, purges and later reads");
  auto message = std::make_shared<std::string>();
  auto conversation = std::make_shared<std::string>();
  auto traced = std::make_shared<ContentOptions>();
  trace
      ->add_option("--message,message", *message,
                   "Id of any of its versions, or of any of its events")
      ->required()
      ->type_name("ID");
  trace
      ->add_option("--room", *conversation,
                   "Only in this conversation, by its index; needed in a store of more than "
                   "1,000,000 events")
      ->type_name("ADDRESS");
  add_content(*trace, *traced);
  trace->callback([take, message, conversation, traced] {
    v1::TraceMessageRequest request;
    request.set_id(*message);
    request.set_conversation(*conversation);
    request.set_with_content(traced->content);
    request.set_reason(traced->reason);
    take([request](CommandContext& context) { return trace_message(context, request); });
  });
}

void add_batches(CLI::App& app, const TakeCommand& take) {
  CLI::App* batches = add_noun(
      app, "batches", "Batches that the store knows: the last of each adapter, and planned ones");
  batches->footer(kBatchesFooter);
  CLI::App* list = batches->add_subcommand("list", "Acknowledged, under way, planned");
  auto adapter = std::make_shared<std::string>();
  list->add_option("--adapter", *adapter, "Only of this adapter")->type_name("ADAPTER");
  list->callback([take, adapter] {
    v1::ListBatchesRequest request;
    request.set_adapter(*adapter);
    take([request](CommandContext& context) { return list_batches(context, request); });
  });
  CLI::App* show = batches->add_subcommand("show", "One batch with its slices and its digest");
  auto of = std::make_shared<std::string>();
  auto batch = std::make_shared<uint64_t>(0);
  show->add_option("adapter", *of, "Its adapter")->required()->type_name("ADAPTER");
  show->add_option("batch", *batch, "Its number")
      ->required()
      ->check(CLI::PositiveNumber)
      ->type_name("BATCH");
  show->callback([take, of, batch] {
    v1::ListBatchesRequest request;
    request.set_adapter(*of);
    request.set_batch(*batch);
    take([request](CommandContext& context) { return list_batches(context, request); });
  });
}

void add_files(CLI::App& app, const TakeCommand& take) {
  CLI::App* files = add_noun(app, "files", "Files that events of the store name");
  files->footer(kFilesFooter);
  CLI::App* list = files->add_subcommand(
      "list", "Digest, state and size of their content; exit code 1 if one is missing");
  auto only_missing = std::make_shared<bool>(false);
  list->add_flag("--missing", *only_missing, "Only those whose content is not there");
  auto only_unnamed = std::make_shared<bool>(false);
  list->add_flag("--unnamed", *only_unnamed,
                 "Instead: stored files that no event names, and why they are still there")
      ->excludes("--missing");
  list->callback([take, only_missing, only_unnamed] {
    v1::ListFilesRequest request;
    request.set_max_count(10'000);
    request.set_only_missing(*only_missing);
    request.set_only_unnamed(*only_unnamed);
    take([request](CommandContext& context) { return list_files(context, request); });
  });
}

struct ReplayOptions {
  std::string adapter;
  std::string from;
  std::string reason;
  bool only_look = false;
};

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 20 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

void add_replays(CLI::App& adapters, const TakeCommand& take) {
  CLI::App* replay = adapters.add_subcommand(
      "replay", "Gives an adapter again what it has acknowledged and the store still has");
  auto given = std::make_shared<ReplayOptions>();
  replay->add_option("adapter", given->adapter, "Name of the adapter")
      ->required()
      ->type_name("ADAPTER");
  replay->add_option("--from", given->from, "A sequence, or a time of intake, UTC")
      ->required()
      ->check([](const std::string& text) {
        if (is_number(text) && text != "0") return std::string();
        return parse_utc_ns(text) ? std::string()
                                  : std::string(
                                        "expected a sequence, from 1 on, or a time in UTC such as "
                                        "2026-03-01T12:00");
      })
      ->type_name("SEQUENCE|TIME");
  replay->add_flag("--dry-run", given->only_look, "Only tell what it would reach");
  replay->add_option("--reason", given->reason, "Why; goes into the audit log");
  replay->callback([take, given] {
    if (given->reason.empty() && !given->only_look) {
      throw CLI::RequiredError("--reason (or --dry-run)");
    }
    v1::ReplayAdapterRequest request;
    request.set_adapter(given->adapter);
    request.set_reason(given->reason);
    request.set_only_look(given->only_look);
    if (is_number(given->from)) {
      request.set_from_sequence(std::stoull(given->from));
    } else {
      request.set_from_unix_ns(time_of(given->from));
    }
    take([request](CommandContext& context) { return replay_adapter(context, request); });
  });
  CLI::App* end = adapters.add_subcommand("end-replay", "Ends a replay before it is done");
  auto ended = std::make_shared<ReplayOptions>();
  end->add_option("adapter", ended->adapter, "Name of the adapter")
      ->required()
      ->type_name("ADAPTER");
  add_reason(*end, ended->reason);
  end->callback([take, ended] {
    v1::ReplayAdapterRequest request;
    request.set_adapter(ended->adapter);
    request.set_reason(ended->reason);
    request.set_end(true);
    take([request](CommandContext& context) { return replay_adapter(context, request); });
  });
}

void add_drain(CLI::App& app, const TakeCommand& take) {
  CLI::App* verb = app.add_subcommand(
      "drain", "Stops intake and waits until everything is archived: the planned switch");
  verb->footer(kDrainFooter);
  auto given = std::make_shared<DrainCommand>();
  auto seconds = std::make_shared<int>(600);
  verb->add_option("--timeout", *seconds, "Seconds until it gives up waiting")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->type_name("SECONDS");
  verb->add_flag("--end", given->end, "End drain mode, and let puts go on");
  add_reason(*verb, given->reason);
  verb->callback([take, given, seconds] {
    given->time_max = std::chrono::seconds(*seconds);
    take([command = *given](CommandContext& context) { return drain(context, command); });
  });
}

}  // namespace

void add_processor_nouns(CLI::App& app, CLI::App& adapters, const TakeCommand& take) {
  add_holds(app, take);
  add_staging(app, take);
  add_batches(app, take);
  add_files(app, take);
  add_replays(adapters, take);
  adapters.footer(kAdaptersFooter);
  // What was made before has the footer of the program.
  for (CLI::App* verb : adapters.get_subcommands({})) verb->footer(kAdaptersFooter);
  add_drain(app, take);
}

}  // namespace verbatim::admin
