#include "adapters/sdk/batch_worker.h"

#include <algorithm>
#include <utility>

#include "base/fault_point.h"
#include "base/hex.h"
#include "base/log.h"

namespace verbatim::adapters {
namespace {

constexpr size_t kDigestSize = 32;

Status other_chain(uint64_t number, const std::string& what) {
  return failed_precondition("what this adapter has written belongs to another chain of batches: " +
                             what + " batch=" + std::to_string(number));
}

std::string short_hex(const std::string& digest) { return base::to_hex(digest.substr(0, 8)); }

}  // namespace

BatchWorker::BatchWorker(Adapter& adapter, BatchWorkerOptions options)
    : adapter_(adapter), options_(std::move(options)) {}

Result<AppliedBatch> BatchWorker::load_last_applied() {
  ASSIGN_OR_RETURN(last_, adapter_.last_applied());
  return last_;
}

Status BatchWorker::take_welcome(const v1::AdapterWelcome& welcome) {
  store_epoch_ = welcome.store_epoch();
  acked_ = {welcome.last_acked_batch(), welcome.last_acked_digest()};
  RETURN_IF_ERROR(check_acked());
  const Status status = adapter_.configure({welcome.settings().begin(), welcome.settings().end()});
  if (!status.ok()) return invalid_argument("settings refused: " + status.message());
  return {};
}

Status BatchWorker::take_activity(const v1::Activity& activity) {
  RETURN_IF_ERROR(load_last_applied().error());
  // A hub of before the field says 0; then the welcome's stands.
  if (activity.last_acked_batch() > 0) {
    acked_ = {activity.last_acked_batch(), activity.last_acked_digest()};
  }
  return check_acked();
}

// Instances need not share what they have applied: then the hub knows of more than is found here,
// and the chain goes on from what it knows.
Status BatchWorker::check_acked() {
  if (acked_.number > last_.number) {
    if (last_.number > 0) {
      LOG_WARN("the hub holds a later batch as acknowledged than is found here acked={} found={}",
               acked_.number, last_.number);
    }
    last_ = acked_;
  } else if (acked_.number > 0) {
    const Result<BatchState> state = adapter_.batch_state(acked_.number, acked_.digest);
    // Not known is no proof of another chain.
    if (state && *state == BatchState::kOtherApplied) {
      return other_chain(acked_.number, "the digest of an acknowledged batch is another");
    }
  }
  return {};
}

// The number of a replaced batch is never applied, so numbers may jump; the digests may not.
Status BatchWorker::check_chain(const Batch& batch) {
  if (batch.header().adapter() != options_.adapter) {
    return failed_precondition("the batch is meant for another adapter");
  }
  if (batch.number() == 0) return failed_precondition("a batch needs a number above 0");
  if (batch.number() <= last_.number) {
    ASSIGN_OR_RETURN(const BatchState state, adapter_.batch_state(batch.number(), batch.digest()));
    if (state == BatchState::kApplied) return {};
    return other_chain(batch.number(),
                       "a batch came that is not the one applied here, last_batch=" +
                           std::to_string(last_.number));
  }
  const std::string expected = last_.number == 0 ? std::string(kDigestSize, '\0') : last_.digest;
  if (batch.previous_digest() != expected) {
    return other_chain(batch.number(), "its previous digest is not that of the last applied batch");
  }
  return {};
}

Outcome BatchWorker::translate(const Batch& batch) {
  if (const Status status = check_chain(batch); !status.ok()) {
    LOG_ERROR("batch refused, a person is needed: {}", status.message());
    return Outcome::retry(status.message(), options_.retry_max);
  }
  Result<Outcome> outcome = adapter_.translate(batch);
  if (outcome) return *std::move(outcome);
  const Status error = outcome.error();
  return is_transient(error.code()) ? Outcome::retry(error.to_string())
                                    : Outcome::reject(error.to_string());
}

v1::FromAdapter BatchWorker::apply(const AssembledBatch& assembled) {
  if (!assembled.batch) {
    const Status& error = assembled.batch.error();
    LOG_ERROR("batch refused batch={}: {}", assembled.number, error.to_string());
    // The same bytes would be too large again; in halves they may fit. What may have been applied,
    // under wider bounds, must not be replaced.
    const bool is_too_large = error.code() == StatusCode::kResourceExhausted &&
                              assembled.store_epoch == store_epoch_ &&
                              assembled.number > last_.number;
    return to_answer(assembled, is_too_large ? Outcome::reject(error.message())
                                             : Outcome::retry(error.message()));
  }
  if (assembled.store_epoch != store_epoch_) {
    return to_answer(assembled, Outcome::retry("the batch's store epoch is not the welcome's"));
  }
  const Outcome outcome = translate(*assembled.batch);
  if (outcome.kind == Outcome::Kind::kApplied && assembled.number >= last_.number) {
    last_ = {assembled.number, assembled.batch->digest()};
  }
  return to_answer(assembled, outcome);
}

v1::FromAdapter BatchWorker::to_answer(const AssembledBatch& assembled, const Outcome& outcome) {
  v1::FromAdapter answer;
  if (outcome.kind == Outcome::Kind::kApplied) {
    FAULT_POINT("adapter.effect_before_ack");
    retries_in_a_row_ = 0;
    v1::BatchAck& ack = *answer.mutable_ack();
    ack.set_batch(assembled.number);
    ack.set_digest(assembled.batch->digest());
    ack.set_store_epoch(assembled.store_epoch);
    LOG_INFO("batch applied batch={} event_count={} digest={}", assembled.number,
             assembled.batch->event_count(), short_hex(assembled.batch->digest()));
  } else if (outcome.kind == Outcome::Kind::kRetry) {
    v1::BatchRetry& retry = *answer.mutable_retry();
    retry.set_batch(assembled.number);
    retry.set_store_epoch(assembled.store_epoch);
    const auto delay = outcome.retry_after.count() > 0 ? outcome.retry_after : next_retry_delay();
    retry.set_retry_after_ms(delay.count());
    retry.set_reason(outcome.reason);
    LOG_WARN("batch not applied now batch={} retry_after_ms={}: {}", assembled.number,
             delay.count(), outcome.reason);
  } else {
    retries_in_a_row_ = 0;
    v1::BatchReject& reject = *answer.mutable_reject();
    reject.set_batch(assembled.number);
    reject.set_store_epoch(assembled.store_epoch);
    reject.mutable_events()->Assign(outcome.rejected.begin(), outcome.rejected.end());
    reject.set_reason(outcome.reason);
    LOG_ERROR("batch rejected batch={} named_events={}: {}", assembled.number,
              outcome.rejected.size(), outcome.reason);
  }
  return answer;
}

v1::FromAdapter BatchWorker::answer(const v1::BatchStateQuestion& question) {
  v1::FromAdapter message;
  v1::BatchStateAnswer& answer = *message.mutable_batch_state();
  answer.set_batch(question.batch());
  answer.set_digest(question.digest());
  const Result<BatchState> state = adapter_.batch_state(question.batch(), question.digest());
  // Unknown stays unspecified: the hub must not replace a batch on a guess.
  if (!state) {
    LOG_WARN("state of a batch not known batch={}: {}", question.batch(),
             state.error().to_string());
    return message;
  }
  answer.set_state(*state == BatchState::kApplied ? v1::BatchStateAnswer::STATE_APPLIED
                                                  : v1::BatchStateAnswer::STATE_NOT_APPLIED);
  return message;
}

std::chrono::milliseconds BatchWorker::next_retry_delay() {
  const auto delay = options_.retry_min * (int64_t{1} << std::min(retries_in_a_row_, 20));
  ++retries_in_a_row_;
  return std::min<std::chrono::milliseconds>(delay, options_.retry_max);
}

}  // namespace verbatim::adapters
