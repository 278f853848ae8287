#include "collector/sources/producer.h"

#include <algorithm>

#include "collector/sources/producer_session.h"

namespace verbatim::collector {
namespace {

// Older epochs are forgotten, the smallest first: a producer has one, or two while it restarts.
constexpr size_t kEpochsMaxCount = 4;

bool is_final(const Answer& answer) { return answer.kind != Answer::Kind::kError; }

}  // namespace

Producer::Epoch& Producer::epoch_locked(uint64_t epoch) {
  const auto found = epochs_.find(epoch);
  if (found != epochs_.end()) return found->second;
  for (auto old = epochs_.begin(); old != epochs_.end() && epochs_.size() >= kEpochsMaxCount;) {
    old = old->second.under_way.empty() ? epochs_.erase(old) : std::next(old);
  }
  return epochs_[epoch];
}

Producer::Admission Producer::admit(uint64_t epoch_number, uint64_t sequence, Waiter waiter) {
  counters_.count_received(clock_);
  Admission admission;
  base::MutexLock lock(mutex_);
  // In the first epoch that this run sees, numbers before the first were answered by another run.
  const bool is_numbering_known = !epochs_.empty() && epochs_.begin()->first < epoch_number;
  Epoch& epoch = epoch_locked(epoch_number);
  const int64_t now = clock_.unix_now_ns();
  const uint64_t expected = epoch.highest_seen + 1;
  if (sequence > expected && (epoch.highest_seen > 0 || is_numbering_known)) {
    v1::CaptureGap gap;
    gap.set_start_unix_ns(last_seen_unix_ns_);
    gap.set_end_unix_ns(now);
    gap.set_reason(v1::CaptureGap::REASON_SOURCE_GAP);
    gap.set_missing_count(static_cast<int64_t>(
        std::min<uint64_t>(sequence - expected, static_cast<uint64_t>(INT64_MAX))));
    gap.set_detail("the producer's numbers jumped from " + std::to_string(epoch.highest_seen) +
                   " to " + std::to_string(sequence));
    admission.gap = std::move(gap);
    counters_.count_gap();
  }
  last_seen_unix_ns_ = now;
  epoch.highest_seen = std::max(epoch.highest_seen, sequence);
  if (const auto found = epoch.under_way.find(sequence); found != epoch.under_way.end()) {
    found->second.push_back(std::move(waiter));
    admission.kind = Admission::Kind::kMerged;
    return admission;
  }
  if (epoch.resume_at && sequence > *epoch.resume_at) {
    epoch.resume_until = std::max(epoch.resume_until, sequence);
    admission.kind = Admission::Kind::kRefused;
    admission.refusal = epoch.resume_answer;
    return admission;
  }
  if (epoch.resume_at && sequence == *epoch.resume_at) {
    ++*epoch.resume_at;
    if (*epoch.resume_at > epoch.resume_until) epoch.resume_at.reset();
  }
  epoch.under_way[sequence].push_back(std::move(waiter));
  return admission;
}

void Producer::complete(uint64_t epoch_number, uint64_t sequence, const Answer& answer) {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    Epoch& epoch = epoch_locked(epoch_number);
    if (const auto found = epoch.under_way.find(sequence); found != epoch.under_way.end()) {
      waiters = std::move(found->second);
      epoch.under_way.erase(found);
    }
    if (is_final(answer)) {
      epoch.last_answered = std::max(epoch.last_answered, sequence);
    } else {
      epoch.resume_until = std::max({epoch.resume_until, epoch.highest_seen, sequence});
      epoch.resume_at = std::min(epoch.resume_at.value_or(sequence), sequence);
      epoch.resume_answer = answer;
    }
  }
  for (const Waiter& waiter : waiters) {
    counters_.count_answer(answer);
    if (const auto session = waiter.session.lock()) session->resolve(waiter.slot, answer);
  }
}

std::shared_ptr<ProducerSession> Producer::attach(const std::shared_ptr<ProducerSession>& session) {
  base::MutexLock lock(mutex_);
  auto previous = attached_.lock();
  attached_ = session;
  is_attached_ = true;
  reason_ = "attached";
  since_unix_ns_ = clock_.unix_now_ns();
  return previous;
}

void Producer::detach(const ProducerSession* session, const std::string& reason) {
  base::MutexLock lock(mutex_);
  const auto attached = attached_.lock();
  if (attached && attached.get() != session) return;
  if (!is_attached_) return;
  is_attached_ = false;
  reason_ = reason;
  since_unix_ns_ = clock_.unix_now_ns();
}

bool Producer::is_first_hello(uint64_t epoch) {
  base::MutexLock lock(mutex_);
  if (epoch <= newest_hello_) return false;
  newest_hello_ = epoch;
  return true;
}

void Producer::forget_hello(uint64_t epoch) {
  base::MutexLock lock(mutex_);
  if (newest_hello_ == epoch) newest_hello_ = epoch - 1;
}

uint64_t Producer::last_answered(uint64_t epoch) const {
  base::MutexLock lock(mutex_);
  const auto found = epochs_.find(epoch);
  return found == epochs_.end() ? 0 : found->second.last_answered;
}

v1::SourceInfo Producer::info() const {
  v1::SourceInfo info;
  info.set_name(name_);
  counters_.fill(info);
  base::MutexLock lock(mutex_);
  info.set_state(is_attached_ ? v1::SourceInfo::LINK_STATE_ACTIVE
                              : v1::SourceInfo::LINK_STATE_GONE);
  info.set_reason(reason_);
  info.set_since_unix_ns(since_unix_ns_);
  return info;
}

}  // namespace verbatim::collector
