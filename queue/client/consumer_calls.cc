#include "queue/client/consumer_calls.h"

#include <algorithm>
#include <utility>

#include "base/frame.h"

namespace verbatim::queue {

using std::chrono::nanoseconds;

namespace {

template <class Message>
void fill(Message& message, const Settlement& settlement, const std::string& queue) {
  message.set_queue(queue);
  message.set_lease_id(settlement.lease_id);
  message.mutable_lookup_ids()->Add(settlement.lookup_ids.begin(), settlement.lookup_ids.end());
}

}  // namespace

v1::QueueFrame to_frame(const Settlement& settlement, const std::string& queue) {
  v1::QueueFrame frame;
  switch (settlement.kind) {
    case Settlement::Kind::kCommit:
      fill(*frame.mutable_commit(), settlement, queue);
      break;
    case Settlement::Kind::kAbort:
      fill(*frame.mutable_abort(), settlement, queue);
      frame.mutable_abort()->set_delay_ms(settlement.delay.count());
      frame.mutable_abort()->set_is_untried(settlement.is_untried);
      break;
    case Settlement::Kind::kAbandon:
      fill(*frame.mutable_abandon(), settlement, queue);
      frame.mutable_abandon()->set_detail(settlement.detail);
      break;
  }
  return frame;
}

Status status_of(const v1::Refused& refused) {
  switch (refused.reason()) {
    case v1::REFUSAL_REASON_LEASE_LOST:
      return aborted("the lease was lost");
    case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
      return not_found("the queue service has no such queue");
    case v1::REFUSAL_REASON_INVALID:
      return invalid_argument("the queue refused the request: " + refused.detail());
    case v1::REFUSAL_REASON_NOT_PERMITTED:
      return permission_denied("the request is not permitted: " + refused.detail());
    default:
      return unavailable("the queue service refused for now: " + refused.detail());
  }
}

std::optional<std::string> ConsumerCalls::next_frame(nanoseconds now, uint64_t& next_request_id) {
  if (waiting_.empty() || sent_.size() >= sent_max_count_) return std::nullopt;
  ConsumerCall call = std::move(waiting_.front());
  waiting_.pop_front();
  const uint64_t id = next_request_id++;
  call.frame.set_request_id(id);
  sent_[id] = {.done = std::move(call.done), .due = now + call.wait + answer_timeout_};
  return base::encode_frame(call.frame);
}

bool ConsumerCalls::on_reply(v1::QueueFrame& frame) {
  const auto it = sent_.find(frame.request_id());
  if (it == sent_.end()) return false;
  if (frame.has_refused()) {
    ended_.push_back({std::move(it->second.done), status_of(frame.refused())});
  } else {
    ended_.push_back({std::move(it->second.done), std::move(frame)});
  }
  sent_.erase(it);
  return true;
}

void ConsumerCalls::on_disconnected() {
  for (auto& [id, sent] : sent_) {
    ended_.push_back(
        {std::move(sent.done), unavailable("the connection to the queue service was lost")});
  }
  sent_.clear();
}

void ConsumerCalls::expire(nanoseconds now, const std::string& why) {
  std::erase_if(waiting_, [&](ConsumerCall& call) {
    if (now < call.connect_until) return false;
    ended_.push_back(
        {std::move(call.done), unavailable(why.empty() ? "the queue service is away" : why)});
    return true;
  });
}

void ConsumerCalls::end_all(const Status& error) {
  for (auto& [id, sent] : sent_) ended_.push_back({std::move(sent.done), error});
  for (ConsumerCall& call : waiting_) ended_.push_back({std::move(call.done), error});
  sent_.clear();
  waiting_.clear();
}

bool ConsumerCalls::is_overdue(nanoseconds now) const {
  return std::any_of(sent_.begin(), sent_.end(),
                     [now](const auto& entry) { return now > entry.second.due; });
}

void ConsumerCalls::take_ended(std::vector<Ended>& ended) {
  ended.clear();
  ended.swap(ended_);
}

}  // namespace verbatim::queue
