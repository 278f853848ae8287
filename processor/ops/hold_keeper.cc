#include "processor/ops/hold_keeper.h"

#include <algorithm>

#include "base/log.h"

namespace verbatim::processor {

HoldKeeper::HoldKeeper(Staging& staging, std::vector<QueueFlag> flags,
                       const HoldKeeperOptions& options)
    : staging_(staging), flags_(std::move(flags)), options_(options) {}

HoldKeeper::~HoldKeeper() { stop(); }

void HoldKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void HoldKeeper::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void HoldKeeper::look_now(std::chrono::milliseconds time_max) {
  base::MutexLock lock(mutex_);
  const uint64_t asked = ++asked_count_;
  changed_.notify_all();
  changed_.wait_for(mutex_, time_max, [this, asked]() REQUIRES(mutex_) {
    return is_stopping_ || answered_count_ >= asked;
  });
}

std::vector<v1::QueueHold> HoldKeeper::queues() const {
  base::MutexLock lock(mutex_);
  std::vector<v1::QueueHold> states;
  for (const auto& [name, state] : states_) states.push_back(state);
  return states;
}

void HoldKeeper::run() {
  std::chrono::milliseconds delay = options_.retry_min;
  while (true) {
    uint64_t asked = 0;
    {
      base::MutexLock lock(mutex_);
      if (is_stopping_) return;
      asked = asked_count_;
    }
    const bool is_well = look();
    delay = is_well ? options_.retry_min : std::min(2 * delay, options_.retry_max);
    base::MutexLock lock(mutex_);
    answered_count_ = asked;
    changed_.notify_all();
    changed_.wait_for(mutex_, is_well ? options_.look_interval : delay, [this]() REQUIRES(mutex_) {
      return is_stopping_ || asked_count_ > answered_count_;
    });
  }
}

bool HoldKeeper::look() {
  const bool is_wanted = staging_.has_holds();
  bool is_well = true;
  for (const QueueFlag& flag : flags_) {
    v1::QueueHold state = look_at(flag, is_wanted);
    is_well = is_well && state.pending_reason().empty();
    base::MutexLock lock(mutex_);
    v1::QueueHold& known = states_[flag.queue];
    if (known.pending_reason() != state.pending_reason() && !state.pending_reason().empty()) {
      LOG_WARN("the hold flag of a queue is pending queue={} wanted={}: {}", flag.queue, is_wanted,
               state.pending_reason());
    }
    known = std::move(state);
  }
  return is_well;
}

v1::QueueHold HoldKeeper::look_at(const QueueFlag& flag, bool is_wanted) {
  v1::QueueHold state;
  state.set_queue(flag.queue);
  state.set_is_wanted(is_wanted);
  const Status status = bring_about(flag, is_wanted, state);
  state.set_is_own(staging_.has_set_queue_hold(flag.queue));
  if (!status.ok()) state.set_pending_reason(status.message());
  return state;
}

Status HoldKeeper::bring_about(const QueueFlag& flag, bool is_wanted, v1::QueueHold& state) {
  const bool is_own = staging_.has_set_queue_hold(flag.queue);
  if (!is_wanted && !is_own) return {};
  ASSIGN_OR_RETURN(const bool is_held, flag.is_held());
  state.set_is_held(is_held);
  if (is_wanted != is_held && options_.has_room && !options_.has_room()) {
    return resource_exhausted("the disk of the staging store is full");
  }
  if (is_wanted && !is_held) {
    RETURN_IF_ERROR(staging_.note_queue_hold(flag.queue, true));
    RETURN_IF_ERROR(flag.set(true));
    state.set_is_held(true);
    LOG_INFO("the hold flag of a queue is set queue={}", flag.queue);
  } else if (!is_wanted) {
    if (is_held) RETURN_IF_ERROR(flag.set(false));
    state.set_is_held(false);
    RETURN_IF_ERROR(staging_.note_queue_hold(flag.queue, false));
    LOG_INFO("the hold flag of a queue is taken back queue={}", flag.queue);
  }
  return {};
}

}  // namespace verbatim::processor
