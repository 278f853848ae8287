#include "queue/ops/queue_admin.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/grpc_status.h"
#include "base/log.h"
#include "base/service.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{100};
// A stopped transfer ends with its present portion.
constexpr std::chrono::seconds kStopMax{10};
constexpr int kAuditMaxCount = 10'000;
constexpr size_t kAnswerMaxBytes = 8 * 1024 * 1024;

std::string switch_word(v1::SwitchQueueRequest::Action action) {
  switch (action) {
    case v1::SwitchQueueRequest::ACTION_PAUSE_PUTS:
      return "queues pause puts";
    case v1::SwitchQueueRequest::ACTION_PAUSE_RECEIVES:
      return "queues pause receives";
    case v1::SwitchQueueRequest::ACTION_PAUSE:
      return "queues pause";
    case v1::SwitchQueueRequest::ACTION_RESUME:
      return "queues resume";
    case v1::SwitchQueueRequest::ACTION_RESUME_PUTS:
      return "queues resume puts";
    case v1::SwitchQueueRequest::ACTION_HOLD:
      return "queues hold";
    case v1::SwitchQueueRequest::ACTION_RELEASE_HOLD:
      return "queues release-hold";
    default:
      return "queues switch";
  }
}

// "5-9,12" of pairs of a first id and a count.
std::string ranges_text(const google::protobuf::RepeatedField<uint64_t>& ranges) {
  std::string text;
  for (int i = 0; i + 1 < ranges.size(); i += 2) {
    if (!text.empty()) text += ',';
    text += std::to_string(ranges[i]);
    if (ranges[i + 1] > 1) text += '-' + std::to_string(ranges[i] + ranges[i + 1] - 1);
  }
  return text;
}

std::string transfer_word(v1::TransferRequest::Kind kind) {
  switch (kind) {
    case v1::TransferRequest::KIND_PURGE:
      return "queues purge";
    case v1::TransferRequest::KIND_MOVE:
      return "queues move";
    case v1::TransferRequest::KIND_REDRIVE:
      return "dead-letters redrive";
    default:
      return "queues transfer";
  }
}

std::string transfer_detail(const v1::TransferRequest& request) {
  std::string detail = "filter={" + request.filter().ShortDebugString() + "}";
  if (!request.to_queue().empty()) detail += " to=" + request.to_queue();
  if (request.rate_max() > 0) detail += " rate_max=" + std::to_string(request.rate_max());
  return detail;
}

// The newest copy in a queue's journal; 0: there is no journal.
uint64_t last_copy(const QueueCore& core, const std::string& queue) {
  const NamedQueue* journal = core.store().find(sub_queue(queue, kJournal));
  return journal == nullptr ? 0 : journal->next_lookup_id - 1;
}

std::string progress_facts(const v1::TransferProgress& progress) {
  return "moved=" + std::to_string(progress.moved_count()) +
         " skipped=" + std::to_string(progress.skipped_count()) +
         " homeless=" + std::to_string(progress.homeless_count()) +
         (progress.error().empty() ? "" : " error=\"" + progress.error() + "\"");
}

}  // namespace

QueueAdminService::QueueAdminService(QueueService& service, base::AuditLog& audit,
                                     base::AlarmRegistry& alarms, const base::Clock& clock)
    : service_(service), audit_(audit), alarms_(alarms), started_unix_ns_(clock.unix_now_ns()) {}

Status QueueAdminService::read(const Work& work) {
  Status result;
  RETURN_IF_ERROR(service_.call([&](QueueCore& core) { result = work(core); }));
  return result;
}

Status QueueAdminService::change(const Work& work) {
  Status result;
  RETURN_IF_ERROR(service_.change([&](QueueCore& core) { result = work(core); }));
  return result;
}

grpc::Status QueueAdminService::make_change(const grpc::ServerContext& context,
                                            base::ChangeRequest request, const Work& work) {
  auto audited = base::AuditedChange::begin(audit_, context, std::move(request));
  if (!audited) return base::to_grpc(audited.error());
  const Status status = change(work);
  if (!status.ok()) audited->refused(status);
  return base::to_grpc(status);
}

// --- what changes nothing ---

grpc::Status QueueAdminService::GetInfo(grpc::ServerContext* /*context*/,
                                        const v1::GetInfoRequest* /*request*/,
                                        v1::GetInfoResponse* response) {
  v1::ServiceInfo* info = response->mutable_info();
  info->set_service("verbatim-queue");
  info->set_version(std::string(base::version()));
  info->set_started_unix_ns(started_unix_ns_);
  info->set_pid(getpid());
  return base::to_grpc(read([info](QueueCore& core) {
    for (std::string& notice : core.notices()) info->add_notices(std::move(notice));
    return Status();
  }));
}

grpc::Status QueueAdminService::ListQueues(grpc::ServerContext* /*context*/,
                                           const v1::ListQueuesRequest* request,
                                           v1::ListQueuesResponse* response) {
  const Status status = read([&](QueueCore& core) {
    *response = core.list_queues(*request);
    return Status();
  });
  if (status.ok() && !request->queue().empty() && response->queues().empty()) {
    return base::to_grpc(no_such_queue(request->queue()));
  }
  return base::to_grpc(status);
}

grpc::Status QueueAdminService::Peek(grpc::ServerContext* /*context*/,
                                     const v1::PeekRequest* request, v1::PeekResponse* response) {
  return base::to_grpc(read([&](QueueCore& core) {
    ASSIGN_OR_RETURN(*response, core.peek(*request));
    return Status();
  }));
}

grpc::Status QueueAdminService::ListAlarms(grpc::ServerContext* /*context*/,
                                           const v1::ListAlarmsRequest* request,
                                           v1::ListAlarmsResponse* response) {
  for (v1::Alarm& alarm : alarms_.list(request->with_cleared())) {
    *response->add_alarms() = std::move(alarm);
  }
  return grpc::Status::OK;
}

grpc::Status QueueAdminService::ListAudit(grpc::ServerContext* /*context*/,
                                          const v1::ListAuditRequest* request,
                                          v1::ListAuditResponse* response) {
  if (request->max_count() < 1 || request->max_count() > kAuditMaxCount) {
    return base::to_grpc(invalid_argument("max_count is 1 to 10,000"));
  }
  auto entries = audit_.read(static_cast<size_t>(request->max_count()));
  if (!entries) return base::to_grpc(entries.error());
  // The newest that fit into an answer.
  size_t first = entries->size();
  for (size_t bytes = 0; first > 0; --first) {
    bytes += (*entries)[first - 1].ByteSizeLong();
    if (bytes > kAnswerMaxBytes) break;
  }
  for (; first < entries->size(); ++first) {
    *response->add_entries() = std::move((*entries)[first]);
  }
  return grpc::Status::OK;
}

// --- changes ---

grpc::Status QueueAdminService::CreateQueue(grpc::ServerContext* context,
                                            const v1::CreateQueueRequest* request,
                                            v1::CreateQueueResponse* /*response*/) {
  return make_change(*context,
                     {.action = "queues create",
                      .subject = request->queue(),
                      .detail = request->settings().ShortDebugString(),
                      .reason = request->reason()},
                     [request](QueueCore& core) { return core.create_queue(*request); });
}

grpc::Status QueueAdminService::ConfigureQueue(grpc::ServerContext* context,
                                               const v1::ConfigureQueueRequest* request,
                                               v1::ConfigureQueueResponse* /*response*/) {
  return make_change(*context,
                     {.action = "queues configure",
                      .subject = request->queue(),
                      .detail = request->settings().ShortDebugString(),
                      .reason = request->reason()},
                     [request](QueueCore& core) { return core.configure_queue(*request); });
}

grpc::Status QueueAdminService::SwitchQueue(grpc::ServerContext* context,
                                            const v1::SwitchQueueRequest* request,
                                            v1::SwitchQueueResponse* /*response*/) {
  return make_change(*context,
                     {.action = switch_word(request->action()),
                      .subject = request->queue(),
                      .detail = "",
                      .reason = request->reason()},
                     [request](QueueCore& core) { return core.switch_queue(*request); });
}

grpc::Status QueueAdminService::TrimJournal(grpc::ServerContext* context,
                                            const v1::TrimJournalRequest* request,
                                            v1::TrimJournalResponse* response) {
  auto audited = base::AuditedChange::begin(
      audit_, *context,
      {.action = "queues trim-journal",
       .subject = request->queue(),
       .detail = "up_to_lookup_id=" + std::to_string(request->up_to_lookup_id()),
       .reason = request->reason()});
  if (!audited) return base::to_grpc(audited.error());
  v1::TrimJournalRequest wanted = *request;
  int64_t count = 0;
  bool is_done = false;
  Status status;
  while (status.ok() && !is_done && !context->IsCancelled()) {
    status = change([&](QueueCore& core) {
      // Copies that come meanwhile stay, so that it ends.
      if (count == 0) {
        wanted.set_up_to_lookup_id(
            std::min(request->up_to_lookup_id(), last_copy(core, request->queue())));
      }
      ASSIGN_OR_RETURN(const v1::TrimJournalResponse part, core.trim_journal(wanted));
      is_done = part.trimmed_count() == 0;
      count += part.trimmed_count();
      return Status();
    });
  }
  response->set_trimmed_count(count);
  if (status.ok() || count > 0) {
    audited->ended(
        "trimmed=" + std::to_string(count) +
        (is_done ? ""
                 : " error=\"" + (status.ok() ? "the caller is gone" : status.to_string()) + "\""));
  } else {
    audited->refused(status);
  }
  if (!status.ok() && count > 0) {
    status = {status.code(),
              std::to_string(count) + " copies are trimmed, then: " + status.message()};
  }
  return base::to_grpc(status);
}

// Without a token it only looks, and is no change.
grpc::Status QueueAdminService::DestroyDeadLetters(grpc::ServerContext* context,
                                                   const v1::DestroyDeadLettersRequest* request,
                                                   v1::DestroyDeadLettersResponse* response) {
  const Work work = [&](QueueCore& core) {
    ASSIGN_OR_RETURN(*response, core.destroy_dead_letters(*request));
    return Status();
  };
  if (request->token().empty()) return base::to_grpc(read(work));
  auto audited = base::AuditedChange::begin(
      audit_, *context,
      {.action = "dead-letters destroy",
       .subject = request->queue(),
       .detail = "filter={" + request->filter().ShortDebugString() +
                 "} from_lookup_id=" + std::to_string(request->from_lookup_id()),
       .reason = request->reason()});
  if (!audited) return base::to_grpc(audited.error());
  const Status status = change(work);
  if (!status.ok()) {
    audited->refused(status);
  } else {
    audited->ended("destroyed=" + std::to_string(response->message_count()) +
                   " bytes=" + std::to_string(response->bytes()) +
                   " lookup_ids=" + ranges_text(response->lookup_id_ranges()));
  }
  return base::to_grpc(status);
}

// --- transfers ---

grpc::Status QueueAdminService::DeleteQueue(grpc::ServerContext* context,
                                            const v1::DeleteQueueRequest* request,
                                            grpc::ServerWriter<v1::TransferProgress>* writer) {
  return run_transfer(
      *context,
      {.action = "queues delete",
       .subject = request->queue(),
       .detail = request->force() ? "force" : "",
       .reason = request->reason()},
      [request](QueueCore& core) { return core.delete_queue(*request); }, *writer);
}

grpc::Status QueueAdminService::Transfer(grpc::ServerContext* context,
                                         const v1::TransferRequest* request,
                                         grpc::ServerWriter<v1::TransferProgress>* writer) {
  return run_transfer(
      *context,
      {.action = transfer_word(request->kind()),
       .subject = request->queue(),
       .detail = transfer_detail(*request),
       .reason = request->reason()},
      [request](QueueCore& core) { return core.start_transfer(*request); }, *writer);
}

grpc::Status QueueAdminService::run_transfer(
    grpc::ServerContext& context, base::ChangeRequest request,
    const std::function<Result<uint64_t>(QueueCore&)>& start,
    grpc::ServerWriter<v1::TransferProgress>& writer) {
  auto audited = base::AuditedChange::begin(audit_, context, std::move(request));
  if (!audited) return base::to_grpc(audited.error());
  uint64_t transfer_id = 0;
  const Status started = change([&](QueueCore& core) {
    ASSIGN_OR_RETURN(transfer_id, start(core));
    return Status();
  });
  if (!started.ok()) {
    audited->refused(started);
    return base::to_grpc(started);
  }
  v1::TransferProgress progress;
  progress.set_is_done(true);
  if (transfer_id != 0) {
    auto ended = follow(context, transfer_id, writer);
    if (!ended) {
      audited->ended("unknown: " + ended.error().to_string());
      return base::to_grpc(ended.error());
    }
    progress = *std::move(ended);
  }
  audited->ended(progress_facts(progress));
  writer.Write(progress);
  return grpc::Status::OK;
}

// The caller's end ends the transfer, too, after its present portion.
Result<v1::TransferProgress> QueueAdminService::follow(
    grpc::ServerContext& context, uint64_t transfer_id,
    grpc::ServerWriter<v1::TransferProgress>& writer) {
  v1::TransferProgress progress;
  const auto look = [&] {
    return read([&](QueueCore& core) {
      ASSIGN_OR_RETURN(progress, core.transfer_progress(transfer_id));
      return Status();
    });
  };
  RETURN_IF_ERROR(look());
  while (!progress.is_done() && !context.IsCancelled() && writer.Write(progress)) {
    std::this_thread::sleep_for(kProgressInterval);
    RETURN_IF_ERROR(look());
  }
  if (progress.is_done()) return progress;
  RETURN_IF_ERROR(service_.call([&](QueueCore& core) { core.stop_transfer(transfer_id); }));
  const auto until = std::chrono::steady_clock::now() + kStopMax;
  while (!progress.is_done() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kProgressInterval);
    RETURN_IF_ERROR(look());
  }
  if (progress.error().empty())
    progress.set_error("the caller is gone; a deletion goes on without it");
  return progress;
}

}  // namespace verbatim::queue
