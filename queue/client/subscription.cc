#include "queue/client/subscription.h"

#include <algorithm>
#include <utility>

#include "base/frame.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr int64_t kRetryDelayMinMs = 50;
constexpr int64_t kRetryDelayMaxMs = 60'000;

bool is_final(v1::RefusalReason reason) {
  return reason == v1::REFUSAL_REASON_INVALID || reason == v1::REFUSAL_REASON_UNKNOWN_QUEUE ||
         reason == v1::REFUSAL_REASON_NOT_PERMITTED;
}

}  // namespace

void Subscription::start(const SubscribeOptions& options, LeaseCallback on_lease) {
  options_ = options;
  on_lease_ = std::move(on_lease);
  must_tell_ = true;
  hold_until_ = {};
}

void Subscription::end() {
  on_lease_ = nullptr;
  must_tell_ = is_known_;
  hold_until_ = {};
}

void Subscription::on_disconnected() {
  is_known_ = false;
  request_id_ = 0;
  must_tell_ = on_lease_ != nullptr;
  hold_until_ = {};
}

std::optional<std::string> Subscription::next_frame(nanoseconds now, uint64_t& next_request_id) {
  if (!must_tell_ || now < hold_until_) return std::nullopt;
  must_tell_ = false;
  is_known_ = on_lease_ != nullptr;
  request_id_ = next_request_id++;
  v1::QueueFrame frame;
  frame.set_request_id(request_id_);
  v1::Subscribe& subscribe = *frame.mutable_subscribe();
  subscribe.set_queue(queue_);
  if (is_known_) {
    subscribe.set_credit_messages(options_.credit_messages);
    subscribe.set_credit_bytes(options_.credit_bytes);
    subscribe.set_lease_ms(options_.lease.count());
    subscribe.set_batch_max_messages(options_.batch_max_messages);
  }
  return base::encode_frame(frame);
}

nanoseconds Subscription::next_due() const {
  return must_tell_ && hold_until_ > nanoseconds::zero() ? hold_until_ : nanoseconds::max();
}

Subscription::Answer Subscription::on_reply(const v1::QueueFrame& frame, nanoseconds now) {
  if (frame.has_receive_reply()) {
    if (frame.receive_reply().lease_id() == 0) return Answer::kNone;
    return on_lease_ ? Answer::kPush : Answer::kGiveBack;
  }
  if (!frame.has_refused() || frame.request_id() != request_id_ || request_id_ == 0 || !on_lease_) {
    return Answer::kNone;
  }
  is_known_ = false;
  request_id_ = 0;
  if (is_final(frame.refused().reason())) return Answer::kEnded;
  must_tell_ = true;
  hold_until_ = now + milliseconds(std::clamp(frame.refused().retry_after_ms(), kRetryDelayMinMs,
                                              kRetryDelayMaxMs));
  return Answer::kNone;
}

Lease take_lease(v1::ReceiveReply& reply) {
  Lease lease{.id = reply.lease_id(), .messages = {}, .log_id = std::move(*reply.mutable_log_id())};
  lease.messages.reserve(static_cast<size_t>(reply.messages_size()));
  for (v1::QueueMessage& message : *reply.mutable_messages()) {
    lease.messages.push_back(std::move(message));
  }
  return lease;
}

}  // namespace verbatim::queue
