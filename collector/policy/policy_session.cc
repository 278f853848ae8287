#include "collector/policy/policy_session.h"

#include <utility>

namespace verbatim::collector {

v1::ToPolicy PolicySession::Outgoing::take() {
  if (subject != nullptr) {
    v1::Event event = subject->shown();
    if (message.has_question()) {
      message.mutable_question()->mutable_event()->Swap(&event);
    } else {
      message.mutable_notice()->mutable_event()->Swap(&event);
    }
  }
  return std::move(message);
}

bool PolicySession::push(v1::ToPolicy message, std::shared_ptr<const PolicySubject> subject) {
  base::MutexLock lock(mutex_);
  if (is_closed_) return false;
  if (message.has_notice() && ++notice_count_ > kNoticesMaxCount) {
    --notice_count_;
    ++dropped_notice_count_;
    return true;
  }
  outbox_.push_back({std::move(message), std::move(subject)});
  if (outbox_.size() == 1) changed_.notify_all();
  return true;
}

std::vector<PolicySession::Outgoing> PolicySession::next() {
  base::MutexLock lock(mutex_);
  changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return is_closed_ || !outbox_.empty(); });
  notice_count_ = 0;
  return std::exchange(outbox_, {});
}

std::vector<PolicySession::Outgoing> PolicySession::try_next() {
  base::MutexLock lock(mutex_);
  notice_count_ = 0;
  return std::exchange(outbox_, {});
}

void PolicySession::close(Status reason) {
  {
    base::MutexLock lock(mutex_);
    if (is_closed_) return;
    is_closed_ = true;
    reason_ = std::move(reason);
    outbox_.clear();
    changed_.notify_all();
  }
  base::MutexLock lock(on_close_mutex_);
  if (on_close_) on_close_();
}

void PolicySession::set_on_close(std::function<void()> on_close) {
  base::MutexLock lock(on_close_mutex_);
  on_close_ = std::move(on_close);
}

bool PolicySession::is_closed() const {
  base::MutexLock lock(mutex_);
  return is_closed_;
}

Status PolicySession::close_reason() const {
  base::MutexLock lock(mutex_);
  return reason_;
}

}  // namespace verbatim::collector
