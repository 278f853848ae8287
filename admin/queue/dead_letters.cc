#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "admin/queue/queue_commands.h"
#include "admin/queue/queue_text.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

std::string what_text(const v1::DestroyDeadLettersResponse& what) {
  return fmt::format("{} messages, {}, lookup ids {} to {}", human_count(what.message_count()),
                     human_bytes(what.bytes()), what.first_lookup_id(), what.last_lookup_id());
}

// Only the queue's own name means yes.
bool is_confirmed(const std::string& queue) {
  print_text(
      "This cannot be undone. Type the queue's name to destroy them, anything else to keep them: ");
  std::fflush(stdout);
  std::string typed;
  return std::getline(std::cin, typed) && typed == queue;
}

int show_destroyed(CommandContext& context, const v1::DestroyDeadLettersResponse& answer) {
  if (context.style.is_json) {
    print_json(answer);
  } else {
    print_text("Destroyed: " + what_text(answer) + ".\n");
  }
  return kExitOk;
}

int carry_out(CommandContext& context, const v1::DestroyDeadLettersRequest& request) {
  const auto answer = context.client.destroy_dead_letters(request);
  return answer ? show_destroyed(context, *answer) : report_error(answer.error());
}

}  // namespace

int show_no_dead_letters(CommandContext& context, const std::string& queue,
                         const google::protobuf::Message& answer) {
  if (context.style.is_json) {
    print_json(answer);
    return kExitOk;
  }
  const std::string parent = queue.substr(0, queue.find(';'));
  v1::ListQueuesRequest request;
  request.set_queue(parent);
  const auto queues = context.client.list_queues(request);
  std::string hint;
  if (queues && queue != parent + ";poison") {
    for (const auto& one : queues->queues()) {
      if (one.name() != parent + ";poison" || one.depth() == 0) continue;
      hint = fmt::format(" {} are in \"{}\".", human_count(one.depth()), printable(one.name()));
    }
  }
  print_text("No dead letters." + hint + "\n");
  return kExitOk;
}

int destroy_dead_letters(CommandContext& context, const v1::DestroyDeadLettersRequest& request) {
  if (!request.token().empty()) return carry_out(context, request);
  const auto answer = context.client.destroy_dead_letters(request);
  if (answer.error().code() == StatusCode::kNotFound &&
      is_unused_sub_queue(context, dead_letters_of(request.queue()))) {
    return show_no_dead_letters(context, request.queue(), v1::DestroyDeadLettersResponse());
  }
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  if (answer->next_lookup_id() != 0) {
    print_text(fmt::format(
        "One call looks at a bounded part of the queue: messages from lookup id {} on are not "
        "meant. Ask for them with --from {}.\n",
        answer->next_lookup_id(), answer->next_lookup_id()));
  }
  if (answer->message_count() == 0) {
    print_text("Nothing would be destroyed.\n");
    return kExitOk;
  }
  print_text("Would be destroyed for good: " + what_text(*answer) + ".\n");
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) {
    print_text("Within five minutes, the same command with --token " + printable(answer->token()) +
               " destroys exactly these.\n");
    return kExitOk;
  }
  if (!is_confirmed(request.queue())) {
    print_text("Nothing is destroyed.\n");
    return kExitAttention;
  }
  v1::DestroyDeadLettersRequest confirmed = request;
  confirmed.set_token(answer->token());
  return carry_out(context, confirmed);
}

}  // namespace verbatim::admin
