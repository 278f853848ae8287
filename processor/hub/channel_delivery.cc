// The delivering half of AdapterChannel: answers of the adapter, and what is sent next.
#include <algorithm>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/conversation/run_interval.h"
#include "processor/hub/adapter_channel.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kRetryMin{20};
constexpr milliseconds kRetryWishMax{3'600'000};
constexpr const char* kReplay = "replay";

}  // namespace

void AdapterChannel::handle_message(const std::shared_ptr<Session>& session,
                                    const v1::FromAdapter& message) {
  // An answer of a session that was active once is void: its batch has gone to another.
  if (!is_active(session) && message.kind_case() != v1::FromAdapter::kCredit) {
    LOG_WARN("an answer from an instance that is not active is dropped adapter={}",
             options_.adapter);
    return;
  }
  switch (message.kind_case()) {
    case v1::FromAdapter::kAck:
      return handle_ack(message.ack());
    case v1::FromAdapter::kRetry:
      return handle_retry(message.retry());
    case v1::FromAdapter::kReject:
      return handle_reject(message.reject());
    case v1::FromAdapter::kBatchState:
      return handle_state(message.batch_state());
    case v1::FromAdapter::kCredit:
      if (is_active(session)) credit_ = message.credit().batches();
      return;
    case v1::FromAdapter::kHello:
      session->close(invalid_argument("a second hello on one stream"));
      return;
    case v1::FromAdapter::kHeartbeat:
    case v1::FromAdapter::KIND_NOT_SET:  // from a newer adapter
      return;
  }
}

void AdapterChannel::handle_ack(const v1::BatchAck& ack) {
  if (ack.store_epoch() != epoch_) {
    return end_active(failed_precondition(
        "an acknowledgement of another store epoch is refused batch=" +
        std::to_string(ack.batch()) + " epoch=" + std::to_string(ack.store_epoch()) +
        " present=" + std::to_string(epoch_)));
  }
  if (sent_ != nullptr && sent_->is_asked && sent_->batch == ack.batch()) {
    return end_active(failed_precondition("an acknowledgement of a batch that was rejected"));
  }
  FAULT_POINT("processor.ack_before_stored");
  take_acknowledgement(ack.batch(), ack.digest());
}

void AdapterChannel::take_acknowledgement(uint64_t batch, const std::string& digest) {
  const Status status = staging_.acknowledge(options_.adapter, batch, digest);
  if (status.code() == StatusCode::kFailedPrecondition) return end_active(status);
  if (!status.ok()) return note_error(status);
  // One that comes twice says nothing of the batch that is under way by now.
  if (sent_ != nullptr && sent_->batch == batch) sent_.reset();
  retries_in_a_row_ = 0;
  FAULT_POINT("processor.acked_before_delete");
  if (const Status deleted = staging_.delete_archived(); !deleted.ok()) note_error(deleted);
  FAULT_POINT("processor.deleted");
}

bool AdapterChannel::is_of_sent(uint64_t batch, uint64_t store_epoch, const char* what) {
  if (sent_ != nullptr && !sent_->is_asked && sent_->batch == batch && store_epoch == epoch_) {
    return true;
  }
  end_active(failed_precondition(std::string(what) +
                                 " a batch that is not under way batch=" + std::to_string(batch)));
  return false;
}

void AdapterChannel::handle_retry(const v1::BatchRetry& retry) {
  if (!is_of_sent(retry.batch(), retry.store_epoch(), "retry of")) return;
  retry_later(milliseconds(retry.retry_after_ms()), retry.reason());
}

// The adapter's wish, but at least the growing back-off, and up to a quarter more at random, so
// that many adapters of one target do not come back at once.
void AdapterChannel::retry_later(milliseconds wish, const std::string& reason) {
  sent_.reset();
  ++retry_count_;
  last_reason_ = reason;
  const milliseconds backoff =
      std::min(kRetryMin * (int64_t{1} << std::min(retries_in_a_row_, 20)), options_.retry_max);
  ++retries_in_a_row_;
  const nanoseconds least = std::max(std::min(wish, kRetryWishMax), backoff);
  jitter_ = jitter_ * 6364136223846793005ULL + 1442695040888963407ULL;
  const auto extra = nanoseconds(least.count() / 4 * static_cast<int64_t>(jitter_ >> 48) / 65'536);
  retry_at_ = clock_.monotonic() + least + extra;
}

void AdapterChannel::handle_reject(const v1::BatchReject& reject) {
  if (!is_of_sent(reject.batch(), reject.store_epoch(), "reject of")) return;
  last_reason_ = reject.reason();
  sent_->is_asked = true;
  sent_->reason = reject.reason();
  for (const auto& event : reject.events()) {
    sent_->culprits.push_back({event.sequence(), event.reason()});
  }
  v1::ToAdapter question;
  question.mutable_batch_state()->set_batch(sent_->batch);
  question.mutable_batch_state()->set_digest(sent_->digest);
  active_->push(std::move(question));
}

void AdapterChannel::handle_state(const v1::BatchStateAnswer& answer) {
  if (sent_ == nullptr || !sent_->is_asked || answer.batch() != sent_->batch ||
      answer.digest() != sent_->digest) {
    return end_active(failed_precondition("the state of a batch that was not asked for"));
  }
  switch (answer.state()) {
    case v1::BatchStateAnswer::STATE_APPLIED:
      return take_acknowledgement(sent_->batch, sent_->digest);
    case v1::BatchStateAnswer::STATE_NOT_APPLIED: {
      FAULT_POINT("processor.rejected_before_replace");
      const auto is_paused =
          staging_.replace(options_.adapter, sent_->batch, sent_->culprits, sent_->reason);
      // Whatever became of it: deletion may have overtaken it at the adapter, and then there is
      // nothing to replace, but the next one is due.
      sent_.reset();
      if (!is_paused) return note_error(is_paused.error());
      if (*is_paused) {
        LOG_ERROR("an adapter is paused for its rejects, a person is needed adapter={}",
                  options_.adapter);
      }
      FAULT_POINT("processor.replaced_before_seal");
      if (const Status deleted = staging_.delete_archived(); !deleted.ok()) note_error(deleted);
      return;
    }
    default:
      // Nothing is replaced on a guess.
      return retry_later(milliseconds(0), "the adapter cannot tell whether it applied the batch");
  }
}

// What the filter leaves out is passed whether or not anyone is attached.
bool AdapterChannel::pass_filtered() {
  const auto is_more_archived = staging_.pass_filtered(options_.adapter);
  Status status = is_more_archived.error();
  if (is_more_archived && *is_more_archived) {
    FAULT_POINT("processor.filtered_before_delete");
    status = staging_.delete_archived();
  }
  if (status.ok() || status.code() == StatusCode::kNotFound) return true;
  note_error(status);
  return false;
}

void AdapterChannel::deliver() {
  is_too_old_ = false;
  is_paused_ = false;
  if (!pass_filtered()) return;
  if (is_damaged_ || (active_ != nullptr && active_->is_closed())) return;
  if (active_ == nullptr || sent_ != nullptr) return;
  const nanoseconds now = clock_.monotonic();
  if (retry_at_ > now) return due_in(retry_at_ - now);
  const auto pending = staging_.pending(options_.adapter);
  if (pending.error().code() == StatusCode::kNotFound) {
    return end_active(failed_precondition("the adapter was removed"));
  }
  if (!pending) return note_error(pending.error());
  is_paused_ = pending->is_paused;
  if (!is_paused_ && credit_ > 0) deliver_pending(*pending);
}

void AdapterChannel::deliver_pending(const Pending& pending) {
  if (pending.sealed) {
    if (pending.sealed->row.schema_revision() > active_->hello().schema_revision()) {
      is_too_old_ = true;
      last_reason_ = "adapter too old";
      return;
    }
    auto batch = staging_.load_sealed(options_.adapter);
    return batch ? send(*std::move(batch)) : note_error(batch.error());
  }
  BatchLimits limits;
  if (is_due(pending, limits)) seal_and_send(std::move(limits));
}

// What lies behind the cursor is due at once, but does not end what is open. A replay goes between
// what is new, whenever nothing of that is due.
bool AdapterChannel::is_due(const Pending& pending, BatchLimits& limits) {
  if (is_new_due(pending, limits.reason)) return true;
  limits.is_behind_only = pending.has_owed || pending.has_released;
  limits.is_replay = !limits.is_behind_only;
  limits.reason = limits.is_replay ? kReplay : "released";
  return limits.is_behind_only || pending.has_replay;
}

bool AdapterChannel::is_new_due(const Pending& pending, std::string& reason) {
  if (pending.event_count == 0) return false;
  if (options_.run_interval.count() > 0) {
    reason = "drain";
    if (is_draining_) return true;
    reason = "interval";
    return pending.has_plan || is_run_interval_over(pending);
  }
  reason = "count";
  if (pending.has_plan || pending.event_count >= options_.batch_events_max_count) return true;
  reason = "bytes";
  if (pending.bytes >= options_.batch_max_bytes) return true;
  reason = "drain";
  if (is_draining_) return true;
  reason = "interval";
  const nanoseconds now = clock_.monotonic();
  if (pending.first_sequence != watched_sequence_) {
    // Met for the first time since the start: what the wall clock says of its age, within bounds.
    const nanoseconds interval = options_.interval;
    const nanoseconds age(clock_.unix_now_ns() - pending.first_staged_unix_ns);
    watched_sequence_ = pending.first_sequence;
    seal_at_ = now + interval - std::clamp(age, nanoseconds(0), interval);
  }
  if (now >= seal_at_) return true;
  due_in(seal_at_ - now);
  return false;
}

// An event of a later interval ends one, too, whatever the clock says by now.
bool AdapterChannel::is_run_interval_over(const Pending& pending) {
  const int64_t length = nanoseconds(options_.run_interval).count();
  const int64_t start =
      next_interval_start(pending.interval_floor_unix_ns, pending.first_staged_unix_ns, length);
  const int64_t now = clock_.unix_now_ns();
  if (is_interval_over(start, now, length)) return true;
  if (next_interval_start(start, pending.last_staged_unix_ns, length) != start) return true;
  due_in(nanoseconds(start + length - now));
  return false;
}

void AdapterChannel::seal_and_send(BatchLimits limits) {
  limits.events_max_count = options_.batch_events_max_count;
  limits.max_bytes = options_.batch_max_bytes;
  limits.schema_revision = active_->hello().schema_revision();
  limits.run_interval = options_.run_interval;
  auto outcome = staging_.seal(options_.adapter, limits);
  if (!outcome) return note_error(outcome.error());
  is_too_old_ = outcome->is_adapter_too_old;
  if (is_too_old_) last_reason_ = "adapter too old";
  if (outcome->batch == nullptr) {
    // A part of a replay of which nothing is left; what comes behind it is due, too.
    if (limits.is_replay && !is_too_old_) due_in(milliseconds(1));
    return;
  }
  FAULT_POINT("processor.sealed_before_send");
  send(std::move(outcome->batch));
}

void AdapterChannel::send(std::shared_ptr<const LoadedBatch> batch) {
  sent_ = std::make_unique<Sent>();
  sent_->batch = batch->seal.batch;
  sent_->digest = batch->seal.row.digest();
  if (!active_->push_batch(std::move(batch), epoch_)) sent_.reset();
  FAULT_POINT("processor.sent_before_ack");
}

}  // namespace verbatim::processor
