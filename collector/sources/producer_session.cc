#include "collector/sources/producer_session.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

namespace verbatim::collector {
namespace {

constexpr size_t kProducerNameMaxBytes = 128;
constexpr int64_t kRetryAfterMs = 500;

v1::Refusal make_refusal(uint64_t sequence, const Answer& answer) {
  v1::Refusal refusal;
  refusal.set_sequence(sequence);
  refusal.set_detail(answer.reason);
  if (answer.kind == Answer::Kind::kRefused) {
    refusal.set_reason(answer.cause == Answer::Cause::kTooLarge ? v1::Refusal::REASON_TOO_LARGE
                                                                : v1::Refusal::REASON_INVALID);
    return refusal;
  }
  refusal.set_reason(answer.cause == Answer::Cause::kFull ? v1::Refusal::REASON_FULL
                                                          : v1::Refusal::REASON_UNAVAILABLE);
  refusal.set_retry_after_ms(std::max<int64_t>(answer.retry_after.count(), 1));
  return refusal;
}

Answer unavailable_answer() {
  Answer answer;
  answer.kind = Answer::Kind::kError;
  answer.cause = Answer::Cause::kUnavailable;
  answer.reason = "the queue has not confirmed the event in time";
  answer.retry_after = std::chrono::milliseconds(kRetryAfterMs);
  return answer;
}

}  // namespace

std::shared_ptr<Producer> ProducerBook::find_or_add(const std::string& name) {
  base::MutexLock lock(mutex_);
  const auto found = producers_.find(name);
  if (found != producers_.end()) return found->second;
  for (auto old = producers_.begin();
       old != producers_.end() && producers_.size() >= kProducersMaxCount;) {
    old = old->second.use_count() == 1 ? producers_.erase(old) : std::next(old);
  }
  if (producers_.size() >= kProducersMaxCount) return nullptr;
  return producers_[name] = std::make_shared<Producer>(name, clock_);
}

std::vector<v1::SourceInfo> ProducerBook::info() const {
  base::MutexLock lock(mutex_);
  std::vector<v1::SourceInfo> rows;
  for (const auto& [name, producer] : producers_) rows.push_back(producer->info());
  return rows;
}

ProducerSession::ProducerSession(Options options, std::function<void()> notify)
    : options_(std::move(options)),
      notify_(std::move(notify)),
      created_(options_.broker->clock().monotonic()) {}

Status ProducerSession::on_request(v1::SendRequest request) {
  {
    base::MutexLock lock(mutex_);
    if (is_gone_) return aborted("the session has ended");
    if (end_status_) return end_status_->ok() ? aborted("the session has ended") : *end_status_;
  }
  switch (request.kind_case()) {
    case v1::SendRequest::kHello:
      return on_hello(request.hello());
    case v1::SendRequest::kBatch:
      if (!producer_) return invalid_argument("the first message must be a hello");
      return on_batch(std::move(*request.mutable_batch()));
    default:
      return invalid_argument("a message that is neither hello nor batch");
  }
}

Status ProducerSession::on_hello(const v1::ProducerHello& hello) {
  if (producer_) return invalid_argument("a second hello");
  if (hello.producer().empty() || hello.producer().size() > kProducerNameMaxBytes) {
    return invalid_argument("hello.producer: must have 1 to 128 bytes");
  }
  if (hello.epoch() == 0) return invalid_argument("hello.epoch: must be greater than 0");
  auto producer = options_.book->find_or_add(hello.producer());
  if (!producer) return resource_exhausted("too many producers");
  producer_ = std::move(producer);
  epoch_ = hello.epoch();
  if (const auto previous = producer_->attach(shared_from_this()); previous) {
    previous->end(aborted("a newer connection of this producer has taken over"));
  }
  RETURN_IF_ERROR(close_orphans());
  {
    base::MutexLock lock(mutex_);
    has_hello_ = true;
    is_welcome_due_ = true;
    welcome_.set_collector(options_.broker->collector_name());
    welcome_.set_credit_events(options_.credit_events);
    welcome_.set_last_sequence(producer_->last_answered(epoch_));
  }
  notify_();
  return {};
}

// Before anything of the new epoch, so that a roster never has someone from before the restart.
// Where the outbox has no room the hello is refused, for with the first event of the new epoch
// nobody would know any more whom to close; those that were taken then leave twice.
Status ProducerSession::close_orphans() {
  if (!producer_->is_first_hello(epoch_)) return {};
  const auto is_dropped = std::make_shared<std::atomic<bool>>(false);
  for (v1::Event& event : options_.broker->roster().orphans(producer_->name(), epoch_)) {
    event.mutable_source()->set_name(producer_->name());
    event.mutable_source()->set_protocol(options_.protocol);
    event.mutable_source()->set_node(options_.node);
    PendingEvent pending;
    pending.event = std::move(event);
    pending.is_awaited = false;
    pending.done = [is_dropped](const Answer& answer) {
      if (answer.kind == Answer::Kind::kError) *is_dropped = true;
    };
    options_.broker->submit(std::move(pending));
    if (!*is_dropped) continue;
    producer_->forget_hello(epoch_);
    return unavailable(
        "the collector's outbox has no room for the leaves of the producer's last "
        "epoch: try again producer=" +
        producer_->name());
  }
  return {};
}

Status ProducerSession::on_batch(v1::EventBatch batch) {
  if (batch.first_sequence() == 0) return invalid_argument("batch.first_sequence: 0");
  if (batch.events_size() > kBatchMaxEvents) {
    return invalid_argument("batch.events: more than 65,536");
  }
  const auto count = static_cast<uint64_t>(batch.events_size());
  if (batch.first_sequence() > UINT64_MAX - count) {
    return invalid_argument("batch.first_sequence: too large");
  }
  const auto deadline = options_.broker->clock().monotonic() + options_.event_deadline;
  uint64_t slot = 0;
  {
    base::MutexLock lock(mutex_);
    if (slots_.size() + count > static_cast<uint64_t>(options_.credit_events)) {
      return resource_exhausted("more events in flight than the credit of " +
                                std::to_string(options_.credit_events));
    }
    slot = first_slot_ + slots_.size();
    for (uint64_t i = 0; i < count; ++i) {
      slots_.push_back({batch.first_sequence() + i, deadline, std::nullopt});
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    take_event(batch.first_sequence() + i, slot + i,
               std::move(*batch.mutable_events(static_cast<int>(i))));
  }
  return {};
}

void ProducerSession::take_event(uint64_t sequence, uint64_t slot, v1::Event event) {
  const Producer::Admission admission =
      producer_->admit(epoch_, sequence, {weak_from_this(), slot});
  if (admission.gap) {
    options_.broker->submit_gap({producer_->name(), options_.protocol, *admission.gap});
  }
  if (admission.kind == Producer::Admission::Kind::kMerged) return;
  if (admission.kind == Producer::Admission::Kind::kRefused) {
    producer_->counters().count_answer(admission.refusal);
    resolve(slot, admission.refusal);
    return;
  }
  PendingEvent pending;
  event.mutable_source()->set_name(producer_->name());
  event.mutable_source()->set_protocol(options_.protocol);
  if (event.source().node().empty()) event.mutable_source()->set_node(options_.node);
  v1::SourceKey::Numbered& numbered = *event.mutable_source_key()->mutable_numbered();
  numbered.set_producer(producer_->name());
  numbered.set_epoch(epoch_);
  numbered.set_sequence(sequence);
  pending.event = std::move(event);
  pending.is_resent_after_error = true;
  pending.done = [producer = producer_, epoch = epoch_, sequence](const Answer& answer) {
    producer->complete(epoch, sequence, answer);
  };
  options_.broker->submit(std::move(pending));
}

void ProducerSession::resolve(uint64_t slot, const Answer& answer) {
  {
    base::MutexLock lock(mutex_);
    if (slot < first_slot_ || slot - first_slot_ >= slots_.size()) return;  // answered before
    Slot& place = slots_[slot - first_slot_];
    if (place.answer) return;
    place.answer = answer;
    // Only the front can be told; the others follow it.
    if (is_gone_ || slot != first_slot_) return;
  }
  notify_();
}

std::optional<v1::SendReply> ProducerSession::next_reply() {
  base::MutexLock lock(mutex_);
  v1::SendReply reply;
  if (is_welcome_due_) {
    is_welcome_due_ = false;
    *reply.mutable_welcome() = welcome_;
    return reply;
  }
  if (slots_.empty() || !slots_.front().answer) return std::nullopt;
  v1::ReceiptBatch& receipts = *reply.mutable_receipts();
  receipts.set_first_sequence(slots_.front().sequence);
  uint64_t next = slots_.front().sequence;
  while (!slots_.empty() && slots_.front().answer && slots_.front().sequence == next) {
    const Answer& answer = *slots_.front().answer;
    if (answer.kind != Answer::Kind::kAccepted) {
      *receipts.add_refusals() = make_refusal(next, answer);
    }
    slots_.pop_front();
    ++first_slot_;
    ++next;
  }
  receipts.set_count(next - receipts.first_sequence());
  return reply;
}

void ProducerSession::end_when_idle(const Status& status) {
  base::MutexLock lock(mutex_);
  if (!idle_status_) idle_status_ = status;
}

void ProducerSession::on_gone(const std::string& reason) {
  {
    base::MutexLock lock(mutex_);
    is_gone_ = true;
  }
  if (producer_) producer_->detach(this, reason);
}

std::optional<Status> ProducerSession::end_status() const {
  base::MutexLock lock(mutex_);
  if (end_status_) return end_status_;
  return slots_.empty() && !is_welcome_due_ ? idle_status_ : std::nullopt;
}

void ProducerSession::end(const Status& status) {
  {
    base::MutexLock lock(mutex_);
    if (end_status_ || is_gone_) return;
    end_status_ = status;
  }
  notify_();
}

void ProducerSession::tick() {
  const auto now = options_.broker->clock().monotonic();
  bool is_late = false;
  {
    base::MutexLock lock(mutex_);
    is_late = !has_hello_ && now - created_ > kHelloPatience;
  }
  if (is_late) end(deadline_exceeded("no hello came"));
  expire(now);
}

void ProducerSession::expire_all() { expire(std::chrono::nanoseconds::max()); }

void ProducerSession::expire(std::chrono::nanoseconds now) {
  bool has_reply = false;
  {
    base::MutexLock lock(mutex_);
    for (Slot& slot : slots_) {
      if (slot.deadline > now) break;  // in the order of arrival
      if (!slot.answer) slot.answer = unavailable_answer();
    }
    has_reply = !is_gone_ && !slots_.empty() && slots_.front().answer;
  }
  if (has_reply) notify_();
}

bool ProducerSession::is_idle() const {
  base::MutexLock lock(mutex_);
  return slots_.empty() && !is_welcome_due_;
}

}  // namespace verbatim::collector
