#include "queue/client/put_pipeline.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Partial batches go out while fewer than this are in flight; the next group of the service's log
// then never waits for us.
constexpr size_t kEagerCount = 2;
constexpr milliseconds kRetryDelay{50};

}  // namespace

size_t PutPipeline::size_of(const PutRequest& request) {
  return request.order_key.size() + request.source_key.size() + request.source.size() +
         request.verdict.size() + request.envelope.size() + request.body.size() + 64;
}

void PutPipeline::add(PutRequest request, nanoseconds deadline, PutCallback done) {
  Put& put = waiting_.emplace_back();
  put.bytes = size_of(request);
  put.deadline = deadline;
  put.done = std::move(done);
  put.late = std::move(request.late);
  put.message.set_order_key(std::move(request.order_key));
  put.message.set_source_key(std::move(request.source_key));
  put.message.set_source(std::move(request.source));
  put.message.set_verdict(std::move(request.verdict));
  put.message.set_envelope(std::move(request.envelope));
  put.message.set_body(std::move(request.body));
  waiting_bytes_ += put.bytes;
  next_deadline_ = std::min(next_deadline_, deadline);
}

bool PutPipeline::may_send(nanoseconds now) const {
  if (!is_connected_ || is_draining_ || trouble_ != Trouble::kNone || waiting_.empty()) {
    return false;
  }
  if (now < hold_until_ || in_flight_.size() >= in_flight_max_count_) return false;
  // One batch always fits: a queue takes no message that its credit does not cover.
  if (!in_flight_.empty() && in_flight_bytes() + options_.batch_max_bytes > credit_bytes_) {
    return false;
  }
  const bool is_full_batch =
      waiting_bytes_ >= options_.batch_max_bytes || waiting_.size() >= options_.batch_max_count;
  return in_flight_.size() < kEagerCount || is_full_batch;
}

std::optional<v1::QueueFrame> PutPipeline::next_frame(nanoseconds now, uint64_t& next_request_id) {
  if (!is_connected_) return std::nullopt;
  for (Batch& batch : in_flight_) {
    if (batch.is_resent) continue;
    batch.is_resent = true;
    batch.request_id = next_request_id++;
    batch.sent = now;
    batch.frame.set_request_id(batch.request_id);
    return batch.frame;
  }
  expire(now);
  if (now >= hold_until_) hold_until_ = {};
  if (!may_send(now)) return std::nullopt;
  return make_batch(now, next_request_id++);
}

void PutPipeline::set_credit(int64_t count, int64_t bytes) {
  // One request is left for a receive that waits.
  in_flight_max_count_ = std::clamp<size_t>(static_cast<size_t>(std::max<int64_t>(count - 2, 1)), 1,
                                            options_.in_flight_max_count);
  credit_bytes_ = static_cast<size_t>(std::max<int64_t>(bytes, 0));
}

size_t PutPipeline::in_flight_bytes() const {
  size_t bytes = 0;
  for (const Batch& batch : in_flight_) {
    for (const Put& put : batch.puts) bytes += put.bytes;
  }
  return bytes;
}

v1::QueueFrame PutPipeline::make_batch(nanoseconds now, uint64_t request_id) {
  Batch& batch = in_flight_.emplace_back();
  batch.request_id = request_id;
  batch.first_sequence = next_sequence_;
  batch.sent = now;
  batch.is_resent = true;
  batch.frame.set_request_id(request_id);
  v1::Put& frame = *batch.frame.mutable_put();
  frame.set_queue(options_.queue);
  frame.set_producer(options_.producer);
  frame.set_epoch(epoch_);
  frame.set_first_sequence(batch.first_sequence);
  size_t bytes = 0;
  const size_t max_count = single_count_ > 0 ? 1 : options_.batch_max_count;
  while (!waiting_.empty() && batch.puts.size() < max_count) {
    Put& put = waiting_.front();
    if (!batch.puts.empty() && bytes + put.bytes > options_.batch_max_bytes) break;
    bytes += put.bytes;
    waiting_bytes_ -= put.bytes;
    *frame.add_messages() = std::move(put.message);
    batch.puts.push_back(std::move(put));
    waiting_.pop_front();
  }
  if (single_count_ > 0) --single_count_;
  next_sequence_ += batch.puts.size();
  return batch.frame;
}

bool PutPipeline::on_reply(const v1::QueueFrame& frame, nanoseconds now) {
  const auto it = std::find_if(in_flight_.begin(), in_flight_.end(), [&](const Batch& batch) {
    return batch.request_id == frame.request_id();
  });
  if (it == in_flight_.end() || !it->is_resent) return false;
  if (frame.has_refused()) {
    on_refused(*it, frame.refused(), now);
    settle_refusals();
    return true;
  }
  const bool is_whole = frame.has_put_reply() &&
                        frame.put_reply().results_size() == static_cast<int>(it->puts.size());
  if (!is_whole) {
    trouble_ = Trouble::kResync;
    return true;
  }
  for (int i = 0; i < frame.put_reply().results_size(); ++i) {
    const v1::PutResult& result = frame.put_reply().results(i);
    end(it->puts[static_cast<size_t>(i)], PutOutcome{.lookup_id = result.lookup_id(),
                                                     .is_repeat = result.is_repeat(),
                                                     .first_verdict = result.first_verdict()});
  }
  in_flight_.erase(it);
  settle_refusals();
  return true;
}

void PutPipeline::on_refused(Batch& batch, const v1::Refused& refused, nanoseconds now) {
  const bool is_first = &batch == &in_flight_.front();
  switch (refused.reason()) {
    case v1::REFUSAL_REASON_FULL:
      hold_until_ = now + milliseconds(std::max<int64_t>(1, refused.retry_after_ms()));
      break;
    case v1::REFUSAL_REASON_CREDIT_EXCEEDED:
    case v1::REFUSAL_REASON_STOPPING:
      hold_until_ = now + kRetryDelay;
      break;
    case v1::REFUSAL_REASON_OUT_OF_SEQUENCE:
      // Behind a refused batch this is what must come; at the front our numbers are wrong.
      if (is_first && !is_draining_) {
        trouble_ = Trouble::kResync;
        return;
      }
      break;
    case v1::REFUSAL_REASON_INVALID:
    case v1::REFUSAL_REASON_TOO_LARGE:
      if (batch.puts.size() == 1) {
        end(batch.puts[0], invalid_argument("the queue refused the message: " + refused.detail()));
        batch.puts.clear();
      } else {
        single_count_ = batch.puts.size();
      }
      break;
    case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
      for (Put& put : batch.puts) end(put, not_found("the queue service has no such queue"));
      batch.puts.clear();
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

// I2: once everything in flight is answered, what was refused goes back to what waits.
void PutPipeline::settle_refusals() {
  if (!is_draining_ || trouble_ != Trouble::kNone) return;
  const bool is_answered = std::all_of(in_flight_.begin(), in_flight_.end(),
                                       [](const Batch& batch) { return batch.is_refused; });
  if (!is_answered) return;
  is_draining_ = false;
  take_back(0);
}

// Everything from this batch on is known not to be stored.
void PutPipeline::take_back(size_t first_batch) {
  if (first_batch >= in_flight_.size()) return;
  next_sequence_ = in_flight_[first_batch].first_sequence;
  while (in_flight_.size() > first_batch) {
    Batch& batch = in_flight_.back();
    for (size_t i = batch.puts.size(); i-- > 0;) {
      Put& put = batch.puts[i];
      if (put.is_reported) {
        end(put, deadline_exceeded(std::string(kWithdrawn)));
        continue;
      }
      put.message = std::move(*batch.frame.mutable_put()->mutable_messages(static_cast<int>(i)));
      waiting_bytes_ += put.bytes;
      waiting_.push_front(std::move(put));
    }
    in_flight_.pop_back();
  }
}

void PutPipeline::on_disconnected() {
  is_connected_ = false;
  is_draining_ = false;
  hold_until_ = {};
  if (trouble_ == Trouble::kResync) trouble_ = Trouble::kNone;
  for (Batch& batch : in_flight_) {
    batch.is_resent = false;
    batch.request_id = 0;
    batch.is_refused = false;
  }
  // Batches whose puts have all ended (refused for good) used no number that was stored.
  std::erase_if(in_flight_, [](const Batch& batch) { return batch.puts.empty(); });
}

void PutPipeline::on_resumed(uint64_t last_sequence) {
  size_t stored = 0;
  while (stored < in_flight_.size() &&
         in_flight_[stored].first_sequence + in_flight_[stored].puts.size() - 1 <= last_sequence) {
    ++stored;
  }
  take_back(stored);
  next_sequence_ = last_sequence + 1;
  is_connected_ = true;
}

void PutPipeline::on_opened(uint64_t epoch) {
  take_back(0);
  epoch_ = epoch;
  next_sequence_ = 1;
  is_connected_ = true;
}

void PutPipeline::expire(nanoseconds now) {
  if (now < next_deadline_) return;
  next_deadline_ = nanoseconds::max();
  std::deque<Put> left;
  for (Put& put : waiting_) {
    if (put.deadline <= now) {
      waiting_bytes_ -= put.bytes;
      end(put, deadline_exceeded(std::string(kWithdrawn)));
    } else {
      next_deadline_ = std::min(next_deadline_, put.deadline);
      left.push_back(std::move(put));
    }
  }
  waiting_ = std::move(left);
  for (Batch& batch : in_flight_) {
    for (Put& put : batch.puts) {
      if (put.is_reported) continue;
      if (put.deadline > now) {
        next_deadline_ = std::min(next_deadline_, put.deadline);
        continue;
      }
      put.is_reported = true;
      ended_.push_back({std::move(put.done), deadline_exceeded(std::string(kInDoubt)), 0});
    }
  }
}

void PutPipeline::end_all(StatusCode code) {
  for (Batch& batch : in_flight_) {
    for (Put& put : batch.puts) end(put, Status(code, std::string(kInDoubt)));
  }
  for (Put& put : waiting_) end(put, Status(code, std::string(kWithdrawn)));
  in_flight_.clear();
  waiting_.clear();
  waiting_bytes_ = 0;
}

void PutPipeline::end(Put& put, Result<PutOutcome> outcome) {
  ended_.push_back(
      {put.is_reported ? std::move(put.late) : std::move(put.done), std::move(outcome), put.bytes});
}

nanoseconds PutPipeline::next_due() const {
  nanoseconds due = next_deadline_;
  if (is_connected_ && !waiting_.empty() && hold_until_ > nanoseconds::zero()) {
    due = std::min(due, hold_until_);
  }
  return due;
}

std::optional<nanoseconds> PutPipeline::oldest_sent() const {
  std::optional<nanoseconds> oldest;
  for (const Batch& batch : in_flight_) {
    if (batch.is_resent && !batch.is_refused && (!oldest || batch.sent < *oldest)) {
      oldest = batch.sent;
    }
  }
  return oldest;
}

std::vector<PutPipeline::Ended> PutPipeline::take_ended() { return std::exchange(ended_, {}); }

}  // namespace verbatim::queue
