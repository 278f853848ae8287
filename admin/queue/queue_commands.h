// The commands about queues, dead letters, alarms and the audit log. Each asks, prints, and gives
// the exit code, as in commands.h.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "admin/commands.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::admin {

int list_queues(CommandContext& context);
// All counters of a queue and its sub-queues, the service and its log.
int show_queue(CommandContext& context, const std::string& queue);
int peek_queue(CommandContext& context, const v1::PeekRequest& request);

// A sub-queue is there from its first message on: before that it is empty, not wrong.
bool is_unused_sub_queue(CommandContext& context, const std::string& queue);

int create_queue(CommandContext& context, const v1::CreateQueueRequest& request);
// `change` gets the present settings, or the defaults, and changes what was asked for.
struct ConfigureCommand {
  std::string queue;
  std::string reason;
  bool from_defaults = false;
  std::function<void(v1::QueueSettings&)> change;
};
int configure_queue(CommandContext& context, const ConfigureCommand& command);
int switch_queue(CommandContext& context, const v1::SwitchQueueRequest& request);
int trim_journal(CommandContext& context, const v1::TrimJournalRequest& request);

int delete_queue(CommandContext& context, const v1::DeleteQueueRequest& request);
int transfer_messages(CommandContext& context, const v1::TransferRequest& request);

// Without a token it shows what would go; on a terminal it then asks, elsewhere it gives the token.
int destroy_dead_letters(CommandContext& context, const v1::DestroyDeadLettersRequest& request);

// What is said where a queue never had any; `answer` is the empty one that JSON shows.
int show_no_dead_letters(CommandContext& context, const std::string& queue,
                         const google::protobuf::Message& answer);

// Of these services together. Exit code 1 where one is raised, else 3 where a service does not
// answer.
int list_alarms(CommandContext& context, const v1::ListAlarmsRequest& request,
                const std::vector<ServiceKind>& services);
int list_audit(CommandContext& context, ServiceKind service, const v1::ListAuditRequest& request);

}  // namespace verbatim::admin
