// QueueCore's answers to operators: proto/verbatim/v1/admin.proto says what each call means.
#include <algorithm>
#include <random>
#include <utility>

#include "base/hex.h"
#include "base/log.h"
#include "queue/queue_core.h"
#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

constexpr std::chrono::minutes kTokenLife{5};
constexpr int kDestroyLookMaxCount = 100'000;
// Clients wait meanwhile.
constexpr std::chrono::milliseconds kDestroyLookMaxTime{100};
constexpr int kDestroyRangesMaxCount = 1'000;
constexpr size_t kTokenMaxCount = 64;
constexpr size_t kQueueMaxCount = 1'024;

std::string random_token() {
  std::random_device device;
  std::string bytes;
  while (bytes.size() < 8) bytes.push_back(static_cast<char>(device()));
  return base::to_hex(bytes);
}

// Pairs of a first id and a count.
void add_to_ranges(google::protobuf::RepeatedField<uint64_t>& ranges, uint64_t id) {
  const int size = ranges.size();
  if (size > 0 && ranges[size - 2] + ranges[size - 1] == id) {
    ++ranges[size - 1];
    return;
  }
  ranges.Add(id);
  ranges.Add(1);
}

// One more message that would go, or goes; ascending.
void add_destroyed(v1::DestroyDeadLettersResponse& response, uint64_t id, uint32_t bytes) {
  if (response.message_count() == 0) response.set_first_lookup_id(id);
  response.set_last_lookup_id(id);
  response.set_message_count(response.message_count() + 1);
  response.set_bytes(response.bytes() + bytes);
  add_to_ranges(*response.mutable_lookup_id_ranges(), id);
}

}  // namespace

// A hold on a queue covers its sub-queues.
bool QueueCore::is_held(const NamedQueue& queue) const {
  const NamedQueue* parent = std::as_const(*store_).find(parent_of(queue.name));
  return queue.flags.is_held() || (parent != nullptr && parent->flags.is_held());
}

Result<NamedQueue*> QueueCore::queue_to_change(const std::string& name) {
  if (is_stopping_) return unavailable("the service is stopping");
  NamedQueue* queue = store_->find(name);
  if (queue == nullptr) return no_such_queue(name);
  if (!store_->reserve(QueueStore::kRecordBytes, 2)) {
    return unavailable("the log is busy: try again");
  }
  return queue;
}

Status QueueCore::create_queue(const v1::CreateQueueRequest& request) {
  if (is_stopping_) return unavailable("the service is stopping");
  RETURN_IF_ERROR(check_new_queue_name(request.queue()));
  RETURN_IF_ERROR(check_queue_settings(request.settings()));
  if (store_->find(request.queue()) != nullptr) {
    return already_exists("there is a queue of this name: " + request.queue());
  }
  if (!sub_name_of(request.queue()).empty() &&
      store_->find(parent_of(request.queue())) == nullptr) {
    return not_found("a sub-queue needs its queue first: " +
                     std::string(parent_of(request.queue())));
  }
  if (request.settings().has_journal() && !sub_name_of(request.queue()).empty()) {
    return invalid_argument("a sub-queue has no journal of its own");
  }
  if (store_->queues().size() >= kQueueMaxCount) {
    return resource_exhausted("there are 1,024 queues already");
  }
  RETURN_IF_ERROR(check_room_for_queue(request.queue()));
  if (!store_->reserve(QueueStore::kRecordBytes, 1)) {
    return unavailable("the log is busy: try again");
  }
  store_->make_queue(request.queue(), request.settings());
  LOG_INFO("a queue was made name={}", request.queue());
  return {};
}

Status QueueCore::configure_queue(const v1::ConfigureQueueRequest& request) {
  RETURN_IF_ERROR(check_queue_settings(request.settings()));
  ASSIGN_OR_RETURN(NamedQueue * queue, queue_to_change(request.queue()));
  if (request.settings().has_journal() && !sub_name_of(queue->name).empty()) {
    return invalid_argument("a sub-queue has no journal of its own");
  }
  store_->change_queue(*queue, request.settings(), queue->flags);
  return {};
}

Status QueueCore::switch_queue(const v1::SwitchQueueRequest& request) {
  ASSIGN_OR_RETURN(NamedQueue * queue, queue_to_change(request.queue()));
  v1::QueueFlags flags = queue->flags;
  switch (request.action()) {
    case v1::SwitchQueueRequest::ACTION_PAUSE_PUTS:
      flags.set_is_put_paused(true);
      break;
    case v1::SwitchQueueRequest::ACTION_PAUSE_RECEIVES:
      flags.set_is_receive_paused(true);
      break;
    case v1::SwitchQueueRequest::ACTION_PAUSE:
      flags.set_is_put_paused(true);
      flags.set_is_receive_paused(true);
      break;
    case v1::SwitchQueueRequest::ACTION_RESUME:
      flags.set_is_put_paused(false);
      flags.set_is_receive_paused(false);
      break;
    case v1::SwitchQueueRequest::ACTION_RESUME_PUTS:
      flags.set_is_put_paused(false);
      break;
    case v1::SwitchQueueRequest::ACTION_HOLD:
      flags.set_is_held(true);
      break;
    case v1::SwitchQueueRequest::ACTION_RELEASE_HOLD:
      flags.set_is_held(false);
      break;
    default:
      return invalid_argument("action is pause, resume, hold or release-hold");
  }
  store_->change_queue(*queue, queue->settings, flags);
  serve_demands(*queue);
  return {};
}

Result<uint64_t> QueueCore::delete_queue(const v1::DeleteQueueRequest& request) {
  ASSIGN_OR_RETURN(NamedQueue * queue, queue_to_change(request.queue()));
  if (is_system_sub_queue(queue->name) && queue->index.count() > 0) {
    return failed_precondition(
        "a sub-queue of the service goes when it is empty: redrive, destroy "
        "or trim what it holds");
  }
  const bool is_configured = std::find(options_.queues.begin(), options_.queues.end(),
                                       queue->name) != options_.queues.end();
  if (is_configured && !check_new_queue_name(queue->name).ok()) {
    return failed_precondition(
        "the queue is the service's own: queue.probe_interval_ms = 0 ends the probe, then it can "
        "be deleted");
  }
  if (is_configured) {
    return failed_precondition(
        "the queue is in the configuration (queue.queues): take it out "
        "there first, or it comes again at the next start");
  }
  if (is_held(*queue)) return failed_precondition("the queue is held: it is not deleted");
  if (queue->index.count() > 0 && !request.force()) {
    return failed_precondition(
        fmt::format("the queue holds {} messages: drain it, or force the deletion, which moves "
                    "them to its dead letters",
                    queue->index.count()));
  }
  v1::QueueFlags flags = queue->flags;
  flags.set_is_deleting(true);
  store_->change_queue(*queue, queue->settings, flags);
  start_deletion(*queue);
  return next_transfer_id_ - 1;
}

Result<v1::DestroyDeadLettersResponse> QueueCore::destroy_dead_letters(
    const v1::DestroyDeadLettersRequest& request) {
  const std::string_view sub = sub_name_of(request.queue());
  const std::string name = sub == kDeadLetters || sub == kPoison
                               ? request.queue()
                               : sub_queue(request.queue(), kDeadLetters);
  if (!sub.empty() && sub != kDeadLetters && sub != kPoison) {
    return invalid_argument("only dead letters and poison can be destroyed");
  }
  ASSIGN_OR_RETURN(NamedQueue * queue, queue_to_change(name));
  if (is_held(*queue) && !options_.canaries.destroys_in_spite_of_hold) {
    return failed_precondition("the queue is held: nothing of it is destroyed");
  }
  const auto now = clock_.monotonic();
  std::erase_if(tokens_, [now](const auto& entry) { return entry.second.until <= now; });
  v1::DestroyDeadLettersRequest asked = request;
  asked.clear_token();
  asked.clear_reason();
  if (!request.token().empty()) {
    return destroy_named(*queue, request.token(), asked.SerializeAsString());
  }
  if (tokens_.size() >= kTokenMaxCount) return resource_exhausted("too many tokens are out");
  v1::DestroyDeadLettersResponse response;
  std::vector<uint64_t> meant;
  int looked = 0;
  for (uint64_t id = queue->index.at_or_above(std::max<uint64_t>(1, request.from_lookup_id()));
       id != 0; id = queue->index.at_or_above(id + 1)) {
    const bool is_late = looked > 0 && clock_.monotonic() > now + kDestroyLookMaxTime;
    if (++looked > kDestroyLookMaxCount || is_late ||
        response.lookup_id_ranges_size() >= 2 * kDestroyRangesMaxCount) {
      response.set_next_lookup_id(id);
      break;
    }
    const IndexedMessage& message = *std::as_const(queue->index).find(id);
    if (message.state == MessageState::kLeased) continue;
    ASSIGN_OR_RETURN(const bool is_meant, matches(*queue, id, request.filter()));
    if (!is_meant) continue;
    meant.push_back(id);
    add_destroyed(response, id, message.payload_size);
  }
  response.set_token(random_token());
  tokens_[response.token()] = {.request = asked.SerializeAsString(),
                               .lookup_ids = std::move(meant),
                               .until = now + kTokenLife};
  return response;
}

// What was shown and no other: what has come, or become old enough, since then stays.
Result<v1::DestroyDeadLettersResponse> QueueCore::destroy_named(NamedQueue& queue,
                                                                const std::string& token_name,
                                                                const std::string& asked) {
  const auto token = tokens_.find(token_name);
  if (token == tokens_.end()) {
    return failed_precondition("the token is unknown, used, or older than five minutes");
  }
  const std::vector<uint64_t>& meant = token->second.lookup_ids;
  const bool are_there = std::all_of(meant.begin(), meant.end(), [&queue](uint64_t id) {
    const IndexedMessage* message = std::as_const(queue.index).find(id);
    return message != nullptr && message->state != MessageState::kLeased;
  });
  if (token->second.request != asked || !are_there) {
    return failed_precondition("the token was given for other messages: ask for a new one");
  }
  const uint64_t range_bytes = meant.size() * QueueStore::kRangeBytes;
  if (range_bytes + QueueStore::kRecordBytes > store_->unit_max_bytes()) {
    return resource_exhausted("too many messages at once: use a filter");
  }
  if (!store_->reserve(range_bytes + QueueStore::kRecordBytes, 2, range_bytes)) {
    return unavailable("the log is busy: try again");
  }
  v1::DestroyDeadLettersResponse response;
  for (const uint64_t id : meant) {
    add_destroyed(response, id, std::as_const(queue.index).find(id)->payload_size);
  }
  response.set_is_destroyed(true);
  if (!meant.empty()) store_->remove(queue, meant, {.is_destroyed = true});
  LOG_WARN("dead letters were destroyed queue={} count={}", queue.name, meant.size());
  tokens_.erase(token);
  return response;
}

// Journal copies have been consumed once: trimming them loses nothing that is still to be archived.
Result<v1::TrimJournalResponse> QueueCore::trim_journal(const v1::TrimJournalRequest& request) {
  ASSIGN_OR_RETURN(NamedQueue * queue, queue_to_change(request.queue()));
  NamedQueue* journal = store_->find(sub_queue(queue->name, kJournal));
  if (journal == nullptr) return not_found("the queue has no journal: " + queue->name);
  if (is_held(*journal)) {
    return failed_precondition("the queue is held: its journal is not trimmed");
  }
  v1::TrimJournalResponse response;
  const size_t part_max = store_->unit_max_bytes() / (4 * QueueStore::kRangeBytes);
  std::vector<uint64_t> part;
  for (uint64_t id = journal->index.at_or_above(1);
       id != 0 && id <= request.up_to_lookup_id() && part.size() < part_max;
       id = journal->index.at_or_above(id + 1)) {
    if (journal->index.find(id)->state != MessageState::kLeased) part.push_back(id);
  }
  if (part.empty()) return response;
  const uint64_t range_bytes = part.size() * QueueStore::kRangeBytes;
  if (!store_->reserve(range_bytes + QueueStore::kRecordBytes, 1, range_bytes)) {
    return unavailable("the log is busy: try again");
  }
  store_->remove(*journal, part, {});
  response.set_trimmed_count(static_cast<int64_t>(part.size()));
  return response;
}

}  // namespace verbatim::queue
