#include "admin/queue/queue_grammar.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "admin/queue/queue_commands.h"
#include "admin/queue/queue_options.h"
#include "admin/queue/queue_text.h"

namespace verbatim::admin {
namespace {

constexpr const char* kQueuesFooter = R"(
Names are 1 to 64 of a-z 0-9 . _ - ; sub-queues are written "events;poison", "events;dead-letters",
"events;journal", "events;retry" (peek only), "events;yours" - quote them, ";" ends a command in a shell.

Examples:
  verbatimctl queues list
  verbatimctl queues show events
  verbatimctl queues peek events --last -n 5
  verbatimctl queues peek events --older-than 10m --label "import*"
  verbatimctl queues create imports --quota-bytes 10GiB --retries 2 --reason "ticket 4711"
  verbatimctl queues configure imports --journal --journal-quota 5GiB --reason "ticket 4712"
  verbatimctl queues pause events --receives --reason "the archive is being moved"
  verbatimctl queues move imports events --all --rate 500 --reason "ticket 4711 is done"

Every change needs --reason and is in the audit log before it takes effect.)";

constexpr const char* kDeadLettersFooter = R"(
Dead letters are kept for ever, until a person redrives or destroys them. Poison is handled by its own
name, "events;poison".

Examples:
  verbatimctl dead-letters list events
  verbatimctl dead-letters list "events;poison" --end-reason poison
  verbatimctl dead-letters redrive events --id 17 --reason "the archive is mended"
  verbatimctl dead-letters redrive events --all --rate 100 --reason "the archive is mended"
  verbatimctl dead-letters destroy events --older-than 90d --reason "retention rule 7"
  verbatimctl dead-letters destroy events --older-than 90d --reason "retention rule 7" --token 6f2c...

destroy is the only command that destroys anything. It first shows what would go; a terminal is then
asked, a script calls it again with the token. A queue with a hold refuses (queues release-hold).)";

CLI::App* add_noun(CLI::App& app, const std::string& noun, const std::string& help) {
  CLI::App* added = app.add_subcommand(noun, help);
  added->require_subcommand(1);
  return added;
}

// A command whose request lives as long as the parser's callbacks.
template <class Request>
struct Verb {
  CLI::App* app;
  std::shared_ptr<Request> request;
};
template <class Request>
Verb<Request> add_verb(CLI::App& noun, const std::string& verb, const std::string& help) {
  return {noun.add_subcommand(verb, help), std::make_shared<Request>()};
}

// The queue's name and the reason, which every change has.
void add_subject(CLI::App& verb, std::string& queue) {
  verb.add_option("queue", queue, "Name of the queue")->required()->type_name("QUEUE");
}

void add_looks(CLI::App& queues, const TakeCommand& take) {
  queues.add_subcommand("list", "State, depth, size, age and counters of every queue")
      ->callback([take] { take(list_queues); });
  auto show = add_verb<std::string>(
      queues, "show", "All counters and settings of a queue, its sub-queues, the service, the log");
  add_subject(*show.app, *show.request);
  show.app->callback([take, queue = show.request] {
    take([queue](CommandContext& context) { return show_queue(context, *queue); });
  });
  auto peek = add_verb<PeekOptions>(queues, "peek",
                                    "Looks at waiting messages without any effect; metadata only");
  add_subject(*peek.app, peek.request->queue);
  add_peek_options(*peek.app, *peek.request);
  peek.app->callback([take, options = peek.request] {
    take([request = options->to_request()](CommandContext& context) {
      return peek_queue(context, request);
    });
  });
}

struct SettingsRequest {
  std::string queue;
  std::string reason;
  bool from_defaults = false;
  SettingsOptions settings;
};

void add_settings_verbs(CLI::App& queues, const TakeCommand& take) {
  auto create = add_verb<SettingsRequest>(queues, "create", "Makes a queue");
  add_subject(*create.app, create.request->queue);
  add_settings_options(*create.app, create.request->settings);
  add_reason(*create.app, create.request->reason);
  create.app->callback([take, given = create.request] {
    v1::CreateQueueRequest request;
    request.set_queue(given->queue);
    request.set_reason(given->reason);
    given->settings.apply(*request.mutable_settings());
    take([request](CommandContext& context) { return create_queue(context, request); });
  });
  auto configure = add_verb<SettingsRequest>(
      queues, "configure", "Changes settings of a queue; what is not given stays as it is");
  add_subject(*configure.app, configure.request->queue);
  configure.app->add_flag("--defaults", configure.request->from_defaults,
                          "What is not given takes its default instead");
  add_settings_options(*configure.app, configure.request->settings);
  add_reason(*configure.app, configure.request->reason);
  configure.app->callback([take, given = configure.request] {
    ConfigureCommand command{given->queue, given->reason, given->from_defaults,
                             [given](v1::QueueSettings& to) { given->settings.apply(to); }};
    take([command](CommandContext& context) { return configure_queue(context, command); });
  });
}

struct SwitchRequest {
  v1::SwitchQueueRequest request;
  std::string queue;
  std::string reason;
  bool only_puts = false;
  bool only_receives = false;
};

v1::SwitchQueueRequest::Action action_of(const SwitchRequest& given,
                                         v1::SwitchQueueRequest::Action action) {
  if (given.only_puts) return v1::SwitchQueueRequest::ACTION_PAUSE_PUTS;
  if (given.only_receives) return v1::SwitchQueueRequest::ACTION_PAUSE_RECEIVES;
  return action;
}

CLI::App* add_switch(CLI::App& queues, const TakeCommand& take, const std::string& verb,
                     const std::string& help, v1::SwitchQueueRequest::Action action) {
  auto added = add_verb<SwitchRequest>(queues, verb, help);
  add_subject(*added.app, added.request->queue);
  if (action == v1::SwitchQueueRequest::ACTION_PAUSE) {
    CLI::Option* puts = added.app->add_flag("--puts", added.request->only_puts, "Only puts");
    added.app->add_flag("--receives", added.request->only_receives, "Only receives")
        ->excludes(puts);
  }
  add_reason(*added.app, added.request->reason);
  added.app->callback([take, given = added.request, action] {
    v1::SwitchQueueRequest request;
    request.set_queue(given->queue);
    request.set_reason(given->reason);
    request.set_action(action_of(*given, action));
    take([request](CommandContext& context) { return switch_queue(context, request); });
  });
  return added.app;
}

void add_switches(CLI::App& queues, const TakeCommand& take) {
  using Request = v1::SwitchQueueRequest;
  add_switch(queues, take, "pause",
             "Takes and gives out nothing until `resume`; senders and consumers wait",
             Request::ACTION_PAUSE);
  add_switch(queues, take, "resume", "Ends a pause", Request::ACTION_RESUME);
  add_switch(queues, take, "hold", "Nothing of the queue is destroyed, purged or trimmed",
             Request::ACTION_HOLD);
  add_switch(queues, take, "release-hold", "Ends a hold", Request::ACTION_RELEASE_HOLD);
}

struct DeleteRequest {
  std::string queue;
  std::string reason;
  bool force = false;
};

void add_delete(CLI::App& queues, const TakeCommand& take) {
  auto added = add_verb<DeleteRequest>(queues, "delete", "Deletes a queue that is empty");
  add_subject(*added.app, added.request->queue);
  added.app->add_flag("--force", added.request->force,
                      "Also one with messages: they move to its dead letters, which stay");
  add_reason(*added.app, added.request->reason);
  added.app->callback([take, given = added.request] {
    v1::DeleteQueueRequest request;
    request.set_queue(given->queue);
    request.set_force(given->force);
    request.set_reason(given->reason);
    take([request](CommandContext& context) { return delete_queue(context, request); });
  });
}

// What verbatim-queue takes.
constexpr int kRateMax = 1'000'000;

struct TransferOptions {
  std::string queue;
  std::string to_queue;
  std::string reason;
  int64_t rate = 0;
  SelectionOptions selection;
};

void add_transfer(CLI::App& noun, const TakeCommand& take, const std::string& verb,
                  const std::string& help, v1::TransferRequest::Kind kind) {
  auto added = add_verb<TransferOptions>(noun, verb, help);
  add_subject(*added.app, added.request->queue);
  if (kind == v1::TransferRequest::KIND_MOVE) {
    added.app->add_option("to", added.request->to_queue, "Where to")->required()->type_name("TO");
  }
  if (kind == v1::TransferRequest::KIND_REDRIVE) {
    added.app
        ->add_option("--to", added.request->to_queue,
                     "Where to, instead of the queue that each first came from")
        ->type_name("QUEUE");
  }
  add_selection(*added.app, added.request->selection);
  added.app->add_option("--rate", added.request->rate, "Messages a second (default: 10,000)")
      ->check(CLI::Range(1, kRateMax));
  add_reason(*added.app, added.request->reason);
  added.app->callback([take, given = added.request, kind] {
    v1::TransferRequest request;
    request.set_kind(kind);
    request.set_queue(kind == v1::TransferRequest::KIND_REDRIVE ? dead_letters_of(given->queue)
                                                                : given->queue);
    request.set_to_queue(given->to_queue);
    request.set_rate_max(given->rate);
    request.set_reason(given->reason);
    *request.mutable_filter() = given->selection.to_filter();
    take([request](CommandContext& context) { return transfer_messages(context, request); });
  });
}

struct TrimRequest {
  std::string queue;
  std::string reason;
  uint64_t up_to = 0;
};

void add_trim(CLI::App& queues, const TakeCommand& take) {
  auto added = add_verb<TrimRequest>(queues, "trim-journal",
                                     "Removes the journal's copies up to a lookup id of it");
  add_subject(*added.app, added.request->queue);
  added.app->add_option("--up-to", added.request->up_to, "The last lookup id to remove")
      ->required()
      ->type_name("ID");
  add_reason(*added.app, added.request->reason);
  added.app->callback([take, given = added.request] {
    v1::TrimJournalRequest request;
    request.set_queue(given->queue);
    request.set_up_to_lookup_id(given->up_to);
    request.set_reason(given->reason);
    take([request](CommandContext& context) { return trim_journal(context, request); });
  });
}

struct DestroyOptions {
  std::string queue;
  std::string token;
  uint64_t from_lookup_id = 0;
  std::string reason;
  SelectionOptions selection;
};

void add_destroy(CLI::App& noun, const TakeCommand& take) {
  auto added = add_verb<DestroyOptions>(
      noun, "destroy", "Shows what would be destroyed for good; with --token destroys it");
  add_subject(*added.app, added.request->queue);
  add_selection(*added.app, added.request->selection);
  added.app->add_option("--token", added.request->token, "What the first call has given")
      ->type_name("TOKEN");
  added.app
      ->add_option("--from", added.request->from_lookup_id,
                   "Only this lookup id and above; one call looks at a part of a long queue")
      ->type_name("LOOKUP-ID");
  add_reason(*added.app, added.request->reason);
  added.app->callback([take, given = added.request] {
    v1::DestroyDeadLettersRequest request;
    request.set_queue(given->queue);
    request.set_token(given->token);
    request.set_from_lookup_id(given->from_lookup_id);
    request.set_reason(given->reason);
    *request.mutable_filter() = given->selection.to_filter();
    take([request](CommandContext& context) { return destroy_dead_letters(context, request); });
  });
}

void add_dead_letters(CLI::App& app, const TakeCommand& take) {
  CLI::App* noun = add_noun(app, "dead-letters", "What left its queue without being consumed");
  noun->footer(kDeadLettersFooter);
  auto list = add_verb<PeekOptions>(*noun, "list", "Which, since when, why, and from where");
  add_subject(*list.app, list.request->queue);
  add_peek_options(*list.app, *list.request);
  list.app->callback([take, options = list.request] {
    options->queue = dead_letters_of(options->queue);
    take([request = options->to_request()](CommandContext& context) {
      return peek_queue(context, request);
    });
  });
  add_transfer(*noun, take, "redrive",
               "Puts them back where they came from, under new lookup ids that name the old ones",
               v1::TransferRequest::KIND_REDRIVE);
  add_destroy(*noun, take);
}

constexpr ServiceKind kServices[] = {ServiceKind::kQueue, ServiceKind::kCollector,
                                     ServiceKind::kProcessor};

std::shared_ptr<std::string> add_service(CLI::App& verb, const std::string& usual,
                                         const std::set<std::string>& words) {
  auto service = std::make_shared<std::string>(usual);
  verb.add_option("--service", *service, "Of which service")
      ->check(CLI::IsMember(words))
      ->capture_default_str();
  return service;
}

void add_alarms_and_audit(CLI::App& app, const TakeCommand& take) {
  CLI::App* alarms = add_noun(app, "alarms", "What needs a person");
  auto list = add_verb<v1::ListAlarmsRequest>(
      *alarms, "list", "Alarms that are raised; exit code 1 if there is one");
  auto with_cleared = std::make_shared<bool>(false);
  list.app->add_flag("--all", *with_cleared, "Also those that are over");
  const auto alarms_of = add_service(*list.app, "all", {"all", "queue", "collector", "processor"});
  list.app->callback([take, with_cleared, alarms_of] {
    v1::ListAlarmsRequest request;
    request.set_with_cleared(*with_cleared);
    std::vector<ServiceKind> services;
    for (const ServiceKind kind : kServices) {
      if (*alarms_of == "all" || *alarms_of == service_word(kind)) services.push_back(kind);
    }
    take([request, services](CommandContext& context) {
      return list_alarms(context, request, services);
    });
  });
  CLI::App* audit = add_noun(app, "audit", "Who changed what, or read content, and why");
  auto entries = add_verb<v1::ListAuditRequest>(*audit, "list", "The newest entries, oldest first");
  auto count = std::make_shared<int>(50);
  entries.app->add_option("-n,--count", *count, "How many")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  const auto audit_of = add_service(*entries.app, "queue", {"queue", "collector", "processor"});
  entries.app->callback([take, count, audit_of] {
    v1::ListAuditRequest request;
    request.set_max_count(*count);
    ServiceKind kind = ServiceKind::kQueue;
    for (const ServiceKind one : kServices) {
      if (*audit_of == service_word(one)) kind = one;
    }
    take([request, kind](CommandContext& context) { return list_audit(context, kind, request); });
  });
}

}  // namespace

void add_queue_nouns(CLI::App& app, const TakeCommand& take) {
  CLI::App* queues = add_noun(app, "queues", "The queues of the queue service");
  queues->footer(kQueuesFooter);
  add_looks(*queues, take);
  add_settings_verbs(*queues, take);
  add_switches(*queues, take);
  add_delete(*queues, take);
  add_transfer(*queues, take, "move", "Moves messages to another queue or sub-queue",
               v1::TransferRequest::KIND_MOVE);
  add_transfer(*queues, take, "purge", "Moves messages to the queue's dead letters",
               v1::TransferRequest::KIND_PURGE);
  add_trim(*queues, take);
  add_dead_letters(app, take);
  add_alarms_and_audit(app, take);
}

}  // namespace verbatim::admin
