#include "processor/hub/session.h"

namespace verbatim::processor {
namespace {

// One batch, one question and heartbeats are all that can wait; more is a writer that has stopped.
constexpr size_t kOutboxMaxCount = 256;

}  // namespace

bool Session::push(v1::ToAdapter message) {
  return push_outgoing({std::move(message), nullptr, 0});
}

bool Session::push_batch(std::shared_ptr<const LoadedBatch> batch, uint64_t store_epoch) {
  return push_outgoing({{}, std::move(batch), store_epoch});
}

bool Session::push_outgoing(Outgoing outgoing) {
  {
    base::MutexLock lock(mutex_);
    if (is_closed_) return false;
    if (outbox_.size() < kOutboxMaxCount) {
      outbox_.push_back(std::move(outgoing));
      changed_.notify_all();
      return true;
    }
  }
  close(resource_exhausted("the adapter does not read its stream"));
  return false;
}

std::optional<Session::Outgoing> Session::next() {
  base::MutexLock lock(mutex_);
  changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return is_closed_ || !outbox_.empty(); });
  if (is_closed_) return std::nullopt;
  Outgoing outgoing = std::move(outbox_.front());
  outbox_.pop_front();
  return outgoing;
}

std::optional<Session::Outgoing> Session::try_next() {
  base::MutexLock lock(mutex_);
  if (is_closed_ || outbox_.empty()) return std::nullopt;
  Outgoing outgoing = std::move(outbox_.front());
  outbox_.pop_front();
  return outgoing;
}

void Session::close(Status reason) {
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

void Session::set_on_close(std::function<void()> on_close) {
  base::MutexLock lock(on_close_mutex_);
  on_close_ = std::move(on_close);
}

bool Session::is_closed() const {
  base::MutexLock lock(mutex_);
  return is_closed_;
}

Status Session::close_reason() const {
  base::MutexLock lock(mutex_);
  return reason_;
}

bool Session::wait_closed(std::chrono::milliseconds timeout) {
  base::MutexLock lock(mutex_);
  return changed_.wait_for(mutex_, timeout, [this]() REQUIRES(mutex_) { return is_closed_; });
}

}  // namespace verbatim::processor
