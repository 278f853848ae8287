#include <fmt/format.h>

#include "admin/queue/queue_commands.h"
#include "admin/queue/queue_text.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

// Prints what was done, or why not.
template <class Response>
int report_change(CommandContext& context, const Result<Response>& answer,
                  const std::string& sentence) {
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
  } else {
    print_text(sentence + "\n");
  }
  return kExitOk;
}

std::string switch_sentence(v1::SwitchQueueRequest::Action action) {
  switch (action) {
    case v1::SwitchQueueRequest::ACTION_PAUSE_PUTS:
      return "takes no puts now; receives go on";
    case v1::SwitchQueueRequest::ACTION_PAUSE_RECEIVES:
      return "gives out nothing now; puts go on";
    case v1::SwitchQueueRequest::ACTION_PAUSE:
      return "is paused";
    case v1::SwitchQueueRequest::ACTION_HOLD:
      return "is held: nothing of it is destroyed, purged or trimmed";
    case v1::SwitchQueueRequest::ACTION_RELEASE_HOLD:
      return "is no longer held";
    default:
      return "goes on";
  }
}

Result<v1::QueueSettings> present_settings(CommandContext& context, const std::string& queue) {
  v1::ListQueuesRequest request;
  request.set_queue(queue);
  ASSIGN_OR_RETURN(const v1::ListQueuesResponse answer, context.client.list_queues(request));
  for (const auto& one : answer.queues()) {
    if (one.name() == queue) return one.settings();
  }
  return not_found("queue: no such queue name=" + printable(queue));
}

}  // namespace

int create_queue(CommandContext& context, const v1::CreateQueueRequest& request) {
  return report_change(context, context.client.create_queue(request),
                       "Queue " + printable(request.queue()) + " is made.");
}

int configure_queue(CommandContext& context, const ConfigureCommand& command) {
  v1::ConfigureQueueRequest request;
  request.set_queue(command.queue);
  request.set_reason(command.reason);
  if (!command.from_defaults) {
    auto present = present_settings(context, command.queue);
    if (!present) return report_error(present.error());
    *request.mutable_settings() = *std::move(present);
  }
  command.change(*request.mutable_settings());
  const std::string sentence =
      "Queue " + printable(command.queue) + " is now:\n" + settings_text(request.settings());
  return report_change(context, context.client.configure_queue(request),
                       sentence.substr(0, sentence.size() - 1));
}

int switch_queue(CommandContext& context, const v1::SwitchQueueRequest& request) {
  return report_change(
      context, context.client.switch_queue(request),
      "Queue " + printable(request.queue()) + " " + switch_sentence(request.action()) + ".");
}

int trim_journal(CommandContext& context, const v1::TrimJournalRequest& request) {
  const Result<v1::TrimJournalResponse> answer = context.client.trim_journal(request);
  const std::string count = answer ? human_count(answer->trimmed_count()) : "";
  return report_change(
      context, answer,
      count + " copies are trimmed from the journal of " + printable(request.queue()) + ".");
}

}  // namespace verbatim::admin
