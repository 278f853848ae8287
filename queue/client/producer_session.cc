#include "queue/client/producer_session.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// A refused open is asked again so often: an operator may have made the queue or the rule.
constexpr milliseconds kAskAgain{500};

}  // namespace

std::optional<v1::QueueFrame> ProducerSession::next_step(nanoseconds now, int64_t unix_now_ns) {
  if (producer_.empty() || is_asked_ || is_fenced() || step_ == Step::kOpened ||
      now < hold_until_) {
    return std::nullopt;
  }
  v1::QueueFrame frame;
  v1::OpenProducer& open = *frame.mutable_open_producer();
  open.set_queue(queue_);
  open.set_producer(producer_);
  if (step_ == Step::kOpen) {
    opening_epoch_ = std::max(known_epoch_ + 1, static_cast<uint64_t>(unix_now_ns));
    open.set_epoch(opening_epoch_);
  }
  is_asked_ = true;
  return frame;
}

nanoseconds ProducerSession::next_due() const {
  const bool is_planned = hold_until_ > nanoseconds::zero() && !is_asked_ && !is_fenced();
  return is_planned ? hold_until_ : nanoseconds::max();
}

void ProducerSession::on_step(const v1::QueueFrame& answer, nanoseconds now) {
  is_asked_ = false;
  hold_until_ = {};
  if (!answer.has_open_producer_reply()) return on_refused(answer.refused(), now);
  obstacle_ = Obstacle::kNone;
  if (step_ == Step::kAsk) return on_asked(answer.open_producer_reply());
  step_ = Step::kOpened;
  pipeline_.on_opened(answer.open_producer_reply().epoch());
}

void ProducerSession::on_asked(const v1::OpenProducerReply& known) {
  const uint64_t epoch = pipeline_.epoch();
  if (epoch != 0 && known.epoch() == epoch) {
    step_ = Step::kOpened;
    return pipeline_.on_resumed(known.last_sequence());
  }
  // I2; an open whose answer was lost is ours.
  if (epoch != 0 && known.epoch() > epoch && known.epoch() != opening_epoch_) return fence();
  if (epoch != 0) {
    LOG_ERROR("queue client: the service has forgotten producer={} epoch={}", producer_, epoch);
  }
  known_epoch_ = known.epoch();
  step_ = Step::kOpen;
}

void ProducerSession::on_refused(const v1::Refused& refused, nanoseconds now) {
  step_ = Step::kAsk;
  hold_until_ = now + kAskAgain;
  detail_ = refused.detail();
  const Obstacle before = obstacle_;
  switch (refused.reason()) {
    case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
      obstacle_ = Obstacle::kUnknownQueue;
      break;
    case v1::REFUSAL_REASON_NOT_PERMITTED:
      obstacle_ = Obstacle::kNotPermitted;
      end_puts_if_barred();
      break;
    default:
      obstacle_ = Obstacle::kOther;
  }
  if (obstacle_ == before) return;
  LOG_ERROR("queue client: the producer is refused queue={} producer={}: {}", queue_, producer_,
            state().sentence);
}

void ProducerSession::on_disconnected() {
  step_ = Step::kAsk;
  is_asked_ = false;
  hold_until_ = {};
}

void ProducerSession::fence() {
  if (is_fenced()) return;
  obstacle_ = Obstacle::kFenced;
  LOG_ERROR("queue client: another client uses producer={}; this one puts no more", producer_);
  end_puts_if_barred();
}

void ProducerSession::end_puts_if_barred() {
  if (obstacle_ == Obstacle::kFenced) {
    pipeline_.end_all(StatusCode::kFailedPrecondition, state().sentence);
  } else if (obstacle_ == Obstacle::kNotPermitted) {
    pipeline_.end_all(StatusCode::kPermissionDenied, state().sentence);
  }
}

ClientState ProducerSession::state() const {
  switch (obstacle_) {
    case Obstacle::kFenced:
      return {.condition = ClientCondition::kFenced,
              .sentence = "another client uses this producer name"};
    case Obstacle::kNotPermitted:
      return {.condition = ClientCondition::kNotPermitted,
              .sentence = "this client may not put to the queue: " + detail_};
    case Obstacle::kUnknownQueue:
      return {.condition = ClientCondition::kUnknownQueue,
              .sentence = "the queue service has no queue of this name"};
    case Obstacle::kOther:
      return {.condition = ClientCondition::kConnecting,
              .sentence = "the queue service refuses the producer for now: " + detail_};
    case Obstacle::kNone:
      break;
  }
  if (!producer_.empty() && step_ != Step::kOpened) {
    return {.condition = ClientCondition::kConnecting,
            .sentence = "the producer's place in the queue is asked for"};
  }
  if (pipeline_.hold() == PutPipeline::Hold::kFull) {
    return {.condition = ClientCondition::kFull,
            .sentence = "the queue is full; puts are tried again until it takes them"};
  }
  if (pipeline_.hold() == PutPipeline::Hold::kPaused) {
    return {.condition = ClientCondition::kPaused,
            .sentence = "the queue is paused; puts are tried again until it takes them"};
  }
  return {.condition = ClientCondition::kReady, .sentence = "the queue service answers"};
}

}  // namespace verbatim::queue
