#include "queue/client/put_pipeline.h"

#include <algorithm>
#include <utility>

#include "queue/client/put_frame.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kRetryDelay{50};
constexpr int64_t kRetryDelayMaxMs = 60'000;
// Many puts with many deadlines are looked through no more often than this.
constexpr milliseconds kExpiryStep{2};

// Asking again will not bring another answer.
bool is_final(v1::RefusalReason reason) {
  switch (reason) {
    case v1::REFUSAL_REASON_OUT_OF_SEQUENCE:
    case v1::REFUSAL_REASON_INVALID:
    case v1::REFUSAL_REASON_TOO_LARGE:
    case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
    case v1::REFUSAL_REASON_NOT_PERMITTED:
      return true;
    default:
      return false;
  }
}

}  // namespace

PipelinePut::PipelinePut(const PutRequest& request, nanoseconds until, PutCallback callback,
                         PutCallback late_callback)
    : message(encode_put_message(request)),
      deadline(until),
      done(std::move(callback)),
      late(std::move(late_callback)),
      has_source_key(!request.source_key.empty()) {}

void PutPipeline::add(PipelinePut put) {
  waiting_bytes_ += put.size();
  next_deadline_ = std::min(next_deadline_, put.deadline);
  waiting_.push_back(std::move(put));
}

void PutPipeline::set_credit(int64_t count, int64_t bytes) {
  // Half of the credit is for receives and settlements.
  in_flight_max_count_ = std::clamp<size_t>(static_cast<size_t>(std::max<int64_t>(count / 2, 1)), 1,
                                            options_.in_flight_max_count);
  credit_bytes_ = static_cast<size_t>(std::max<int64_t>(bytes, 0));
}

bool PutPipeline::may_send(nanoseconds now) const {
  if (is_draining_ || trouble_ != Trouble::kNone || waiting_.empty()) return false;
  if (now < hold_until_ || in_flight_.size() >= in_flight_max_count_) return false;
  if (in_flight_.empty()) return true;
  // One batch finds out whether the queue takes puts again.
  if (hold_ != Hold::kNone) return false;
  if (in_flight_bytes_ + options_.batch_max_bytes > credit_bytes_) return false;
  if (waiting_bytes_ >= options_.batch_max_bytes) return true;
  if (single_count_ > 0) return waiting_.size() >= options_.batch_max_count;
  // A partial batch goes beside others once it has as many puts as all of them: the callers of one
  // half are served while the other half is on its way, and no small batch costs a frame for long.
  // 64 threads that wait for their puts: 109,000 puts a second where one partial batch at a time
  // gave 65,000, and two of any size less than that.
  return waiting_.size() >= std::min(options_.batch_max_count, in_flight_count());
}

PutPipeline::Wanted PutPipeline::wanted() const {
  const bool is_held = is_draining_ || hold_ != Hold::kNone || trouble_ != Trouble::kNone;
  if (!is_connected_ || is_held || single_count_ > 0 || in_flight_.empty()) return {};
  if (in_flight_.size() >= in_flight_max_count_ ||
      in_flight_bytes_ + options_.batch_max_bytes > credit_bytes_) {
    return {.count = SIZE_MAX, .bytes = SIZE_MAX};  // only an answer helps
  }
  const auto missing = [](size_t target, size_t has) { return target > has ? target - has : 1; };
  return {.count = missing(std::min(options_.batch_max_count, in_flight_count()), waiting_.size()),
          .bytes = missing(options_.batch_max_bytes, waiting_bytes_)};
}

size_t PutPipeline::in_flight_count() const {
  size_t count = 0;
  for (const Batch& batch : in_flight_) count += batch.puts.size();
  return count;
}

std::optional<std::string> PutPipeline::next_frame(nanoseconds now, uint64_t& next_request_id) {
  if (!is_connected_) return std::nullopt;
  auto batch = std::find_if(in_flight_.begin(), in_flight_.end(),
                            [](const Batch& one) { return !one.is_sent; });
  // What is stored already is asked about again, but not before its time.
  if (batch != in_flight_.end() && now < hold_until_) return std::nullopt;
  if (batch == in_flight_.end()) {
    expire(now);
    if (!may_send(now)) return std::nullopt;
    hold_until_ = {};
    make_batch();
    batch = std::prev(in_flight_.end());
  }
  batch->is_sent = true;
  batch->request_id = next_request_id++;
  batch->sent = now;
  return encode(*batch);
}

void PutPipeline::make_batch() {
  Batch& batch = in_flight_.emplace_back();
  batch.first_sequence = next_sequence_;
  const size_t max_count = single_count_ > 0 ? 1 : options_.batch_max_count;
  batch.puts.reserve(std::min(max_count, waiting_.size()));
  while (!waiting_.empty() && batch.puts.size() < max_count) {
    const size_t bytes = waiting_.front().size();
    if (!batch.puts.empty() && batch.bytes + bytes > options_.batch_max_bytes) break;
    batch.bytes += bytes;
    batch.puts.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_bytes_ -= batch.bytes;
  in_flight_bytes_ += batch.bytes;
  if (single_count_ > 0) --single_count_;
  next_sequence_ += batch.puts.size();
}

std::string PutPipeline::encode(const Batch& batch) const {
  size_t bytes = 0;
  for (const PipelinePut& put : batch.puts) bytes += put.message.size();
  PutFrameBuilder frame({.request_id = batch.request_id,
                         .queue = options_.queue,
                         .producer = options_.producer,
                         .epoch = epoch_,
                         .first_sequence = batch.first_sequence},
                        bytes);
  for (const PipelinePut& put : batch.puts) frame.append(put.message);
  return std::move(frame).finish();
}

bool PutPipeline::on_reply(const v1::QueueFrame& frame, nanoseconds now) {
  const auto it = std::find_if(in_flight_.begin(), in_flight_.end(), [&](const Batch& batch) {
    return batch.is_sent && batch.request_id == frame.request_id();
  });
  if (it == in_flight_.end()) return false;
  if (it->is_refused) return true;
  if (frame.has_refused()) {
    it->is_known_lost =
        !it->is_stored && frame.refused().reason() != v1::REFUSAL_REASON_OUT_OF_SEQUENCE;
    if (it->is_stored && is_final(frame.refused().reason())) {
      end_stored(it, frame.refused());
    } else {
      on_refused(*it, frame.refused(), now);
    }
  } else if (frame.has_put_reply() &&
             frame.put_reply().results_size() == static_cast<int>(it->puts.size())) {
    on_results(*it, frame.put_reply());
    in_flight_bytes_ -= it->bytes;
    in_flight_.erase(it);
  } else {
    trouble_ = Trouble::kResync;
  }
  settle_refusals();
  return true;
}

void PutPipeline::on_results(Batch& batch, const v1::PutReply& reply) {
  hold_ = Hold::kNone;
  for (size_t i = 0; i < batch.puts.size(); ++i) {
    const v1::PutResult& result = reply.results(static_cast<int>(i));
    end(batch.puts[i], PutOutcome{.lookup_id = result.lookup_id(),
                                  .is_repeat = result.is_repeat(),
                                  .first_verdict = result.first_verdict()});
  }
}

void PutPipeline::on_refused(Batch& batch, const v1::Refused& refused, nanoseconds now) {
  const auto hold = [&](Hold why) {
    hold_ = why;
    hold_until_ =
        now + milliseconds(std::clamp<int64_t>(refused.retry_after_ms(), 1, kRetryDelayMaxMs));
  };
  switch (refused.reason()) {
    case v1::REFUSAL_REASON_FULL:
      hold(Hold::kFull);
      break;
    case v1::REFUSAL_REASON_PAUSED:
      hold(Hold::kPaused);
      break;
    case v1::REFUSAL_REASON_CREDIT_EXCEEDED:
    case v1::REFUSAL_REASON_STOPPING:
      hold_until_ = now + kRetryDelay;
      break;
    case v1::REFUSAL_REASON_OUT_OF_SEQUENCE:
      // Behind a refused batch this is what must come; at the front our numbers are wrong.
      if (&batch == &in_flight_.front() && !is_draining_) {
        trouble_ = Trouble::kResync;
        return;
      }
      break;
    case v1::REFUSAL_REASON_INVALID:
    case v1::REFUSAL_REASON_TOO_LARGE:
      refuse_for_good(batch,
                      invalid_argument("the queue refused the message: " + refused.detail()));
      break;
    case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
      refuse_for_good(batch, not_found("the queue service has no such queue: " + refused.detail()));
      break;
    case v1::REFUSAL_REASON_NOT_PERMITTED:
      refuse_for_good(batch, permission_denied("the put is not permitted: " + refused.detail()));
      break;
    case v1::REFUSAL_REASON_FENCED:
      trouble_ = Trouble::kFenced;
      return;
    default:
      trouble_ = Trouble::kResync;
      return;
  }
  batch.is_refused = true;
  is_draining_ = true;
}

// One message is refused; of several, each goes alone next time, so that only the culprit ends.
void PutPipeline::refuse_for_good(Batch& batch, const Status& error) {
  if (batch.puts.size() > 1) {
    single_count_ = batch.puts.size();
    return;
  }
  for (PipelinePut& put : batch.puts) end(put, error);
  batch.puts.clear();
}

// I5: the queue has these puts and will never again say how it answered them.
void PutPipeline::end_stored(std::deque<Batch>::iterator batch, const v1::Refused& refused) {
  const Status error(StatusCode::kUnavailable,
                     std::string(kInDoubt) + ": stored, but its answer was lost and the queue " +
                         "does not give it again: " + refused.detail());
  for (PipelinePut& put : batch->puts) end(put, error);
  in_flight_bytes_ -= batch->bytes;
  in_flight_.erase(batch);
}

// I2: once everything in flight is answered, what was refused goes back to what waits.
void PutPipeline::settle_refusals() {
  if (!is_draining_ || trouble_ != Trouble::kNone) return;
  const bool is_answered = std::all_of(in_flight_.begin(), in_flight_.end(),
                                       [](const Batch& batch) { return batch.is_refused; });
  if (!is_answered) return;
  is_draining_ = false;
  size_t stored = 0;
  while (stored < in_flight_.size() && in_flight_[stored].is_stored) {
    in_flight_[stored].is_refused = false;
    in_flight_[stored++].is_sent = false;
  }
  take_back(stored);
}

// Everything from this batch on is known not to be stored.
void PutPipeline::take_back(size_t first_batch) {
  if (first_batch >= in_flight_.size()) return;
  next_sequence_ = in_flight_[first_batch].first_sequence;
  while (in_flight_.size() > first_batch) {
    Batch& batch = in_flight_.back();
    for (size_t i = batch.puts.size(); i-- > 0;) {
      PipelinePut& put = batch.puts[i];
      if (put.is_reported) {
        end(put, deadline_exceeded(withdrawn()));
        continue;
      }
      waiting_bytes_ += put.size();
      waiting_.push_front(std::move(put));
    }
    in_flight_bytes_ -= batch.bytes;
    in_flight_.pop_back();
  }
}

void PutPipeline::on_disconnected() {
  is_connected_ = false;
  is_draining_ = false;
  hold_until_ = {};
  hold_ = Hold::kNone;
  if (trouble_ == Trouble::kResync) trouble_ = Trouble::kNone;
  for (Batch& batch : in_flight_) {
    batch.is_sent = false;
    batch.is_refused = false;
  }
  // Batches whose puts have all ended (refused for good) used no number that was stored.
  std::erase_if(in_flight_, [this](const Batch& batch) {
    if (batch.puts.empty()) in_flight_bytes_ -= batch.bytes;
    return batch.puts.empty();
  });
}

void PutPipeline::on_resumed(uint64_t last_sequence) {
  size_t stored = 0;
  while (stored < in_flight_.size() &&
         in_flight_[stored].first_sequence + in_flight_[stored].puts.size() - 1 <= last_sequence) {
    in_flight_[stored].is_known_lost = false;
    in_flight_[stored++].is_stored = true;
  }
  take_back(stored);
  next_sequence_ = last_sequence + 1;
  is_connected_ = true;
}

// I6. The caller tells its own, or sends it again if it can be recognised.
void PutPipeline::end_forgotten() {
  const Status error(StatusCode::kUnavailable,
                     std::string(kInDoubt) + ": sent, and the queue has forgotten its producer");
  for (Batch& batch : in_flight_) {
    if (batch.is_known_lost) return;
    std::vector<PipelinePut> again;
    for (PipelinePut& put : batch.puts) {
      if (put.has_source_key && !put.is_reported) {
        again.push_back(std::move(put));
      } else {
        end(put, error);
      }
    }
    batch.puts = std::move(again);
  }
}

void PutPipeline::on_opened(uint64_t epoch) {
  end_forgotten();
  take_back(0);
  epoch_ = epoch;
  next_sequence_ = 1;
  is_connected_ = true;
}

void PutPipeline::expire(nanoseconds now) {
  if (now < next_deadline_) return;
  nanoseconds next = nanoseconds::max();
  std::deque<PipelinePut> left;
  for (PipelinePut& put : waiting_) {
    if (put.deadline <= now) {
      waiting_bytes_ -= put.size();
      end(put, deadline_exceeded(withdrawn()));
    } else {
      next = std::min(next, put.deadline);
      left.push_back(std::move(put));
    }
  }
  waiting_ = std::move(left);
  for (Batch& batch : in_flight_) {
    for (PipelinePut& put : batch.puts) {
      if (put.is_reported) continue;
      if (put.deadline > now) {
        next = std::min(next, put.deadline);
        continue;
      }
      put.is_reported = true;
      ended_.push_back({std::move(put.done), deadline_exceeded(std::string(kInDoubt)), 0});
    }
  }
  next_deadline_ = std::max(next, now + kExpiryStep);
}

void PutPipeline::end_all(StatusCode code, std::string_view why) {
  const std::string cause = ": " + std::string(why);
  for (Batch& batch : in_flight_) {
    for (PipelinePut& put : batch.puts) end(put, Status(code, std::string(kInDoubt) + cause));
  }
  for (PipelinePut& put : waiting_) end(put, Status(code, std::string(kWithdrawn) + cause));
  in_flight_.clear();
  in_flight_bytes_ = 0;
  waiting_.clear();
  waiting_bytes_ = 0;
}

void PutPipeline::end(PipelinePut& put, Result<PutOutcome> outcome) {
  ended_.push_back({put.is_reported ? std::move(put.late) : std::move(put.done), std::move(outcome),
                    put.size()});
}

std::string PutPipeline::withdrawn() const {
  std::string text(kWithdrawn);
  if (hold_ == Hold::kFull) return text + ": the queue is full";
  if (hold_ == Hold::kPaused) return text + ": the queue is paused";
  if (is_connected_) return text + ": not sent in time";
  return text + ": " + (obstacle_.empty() ? "the queue service is away" : obstacle_);
}

nanoseconds PutPipeline::next_due() const {
  nanoseconds due = next_deadline_;
  if (is_connected_ && !is_draining_ && hold_until_ > nanoseconds::zero() &&
      (!waiting_.empty() || !in_flight_.empty())) {
    due = std::min(due, hold_until_);
  }
  return due;
}

std::optional<nanoseconds> PutPipeline::oldest_sent() const {
  std::optional<nanoseconds> oldest;
  for (const Batch& batch : in_flight_) {
    if (batch.is_sent && !batch.is_refused && (!oldest || batch.sent < *oldest)) {
      oldest = batch.sent;
    }
  }
  return oldest;
}

void PutPipeline::take_ended(std::vector<Ended>& ended) {
  ended.clear();
  ended.swap(ended_);
}

}  // namespace verbatim::queue
