#include "processor/intake_worker.h"

#include <algorithm>

#include "base/fault_point.h"
#include "base/log.h"

namespace verbatim::processor {

using std::chrono::milliseconds;

IntakeWorker::IntakeWorker(Staging& staging, StagingMarks& marks, IntakeOptions options,
                           QueueDoor door, std::function<void()> on_staged)
    : staging_(staging),
      marks_(marks),
      options_(std::move(options)),
      door_(std::move(door)),
      on_staged_(std::move(on_staged)) {}

IntakeWorker::~IntakeWorker() { stop(); }

void IntakeWorker::start() {
  thread_ = std::thread([this] {
    run();
    next_ = {};  // before its client ends
  });
}

void IntakeWorker::stop() {
  std::shared_ptr<queue::QueueClient> client;
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    client = client_;
    changed_.notify_all();
  }
  if (client != nullptr) client->stop();
  if (thread_.joinable()) thread_.join();
}

std::string IntakeWorker::notice() const {
  base::MutexLock lock(mutex_);
  return notice_;
}

void IntakeWorker::set_notice(std::string notice) {
  base::MutexLock lock(mutex_);
  notice_ = std::move(notice);
}

// False when it is to stop.
bool IntakeWorker::wait(milliseconds time) {
  base::MutexLock lock(mutex_);
  return !changed_.wait_for(mutex_, time, [this]() REQUIRES(mutex_) { return is_stopping_; });
}

void IntakeWorker::run() {
  milliseconds delay{0};
  while (wait(delay)) {
    if (!staging_.fatal().ok()) return;
    if (is_full()) {
      give_back_next();
      delay = milliseconds(100);
      continue;
    }
    const Status status = take_once();
    if (status.ok()) {
      delay = milliseconds(0);
      continue;
    }
    if (delay.count() == 0 && status.code() != StatusCode::kCancelled) {
      LOG_WARN("the queue gives nothing, trying again queue={}: {}", options_.queue,
               status.to_string());
      set_notice("queue '" + options_.queue + "' gives nothing: " + status.message());
    }
    delay = std::clamp(2 * delay, options_.retry_min, options_.retry_max);
  }
}

bool IntakeWorker::is_full() {
  const StagingMarks::State mark = marks_.look();
  if (mark != mark_) {
    const std::string why = StagingMarks::sentence(mark);
    LOG_WARN("{} queue={}", why, options_.queue);
    set_notice(mark == StagingMarks::State::kTakes
                   ? ""
                   : why + ": nothing is taken from queue '" + options_.queue + "'");
    mark_ = mark;
  }
  return mark != StagingMarks::State::kTakes;
}

Status IntakeWorker::ensure_client() {
  ASSIGN_OR_RETURN(const std::string address, door_.address());
  {
    base::MutexLock lock(mutex_);
    if (is_stopping_) return cancelled("stopping");
    if (client_ != nullptr && address == address_) return {};
  }
  ASSIGN_OR_RETURN(auto made, door_.connect(address));
  std::shared_ptr<queue::QueueClient> fresh = std::move(made);
  base::MutexLock lock(mutex_);
  if (client_ != nullptr) client_->stop();
  if (is_stopping_) fresh->stop();
  // What the old one was given is of its connection, and comes again.
  next_ = {};
  client_ = std::move(fresh);
  address_ = address;
  return {};
}

Status IntakeWorker::take_once() {
  std::shared_ptr<queue::QueueClient> client;
  {
    base::MutexLock lock(mutex_);
    client = client_;
  }
  if (client == nullptr || !client->is_connected()) {
    RETURN_IF_ERROR(ensure_client());
    base::MutexLock lock(mutex_);
    client = client_;
  }
  if (!next_.valid()) next_ = client->receive_later(options_.receive);
  ASSIGN_OR_RETURN(queue::Lease lease, next_.get());
  set_notice("");
  if (lease.messages.empty()) return {};
  // Somebody else may have filled the disk while this waited for messages.
  if (marks_.look() == StagingMarks::State::kDiskFull) return give_back(*client, lease);
  next_ = client->receive_later(behind(lease.id));
  FAULT_POINT("processor.received_before_stage");
  ASSIGN_OR_RETURN(const StageOutcome outcome,
                   staging_.stage(options_.queue, lease.messages, lease.log_id));
  FAULT_POINT("processor.staged_before_commit");
  if (outcome.stored_count > 0) on_staged_();
  return commit(*client, lease);
}

queue::ReceiveOptions IntakeWorker::behind(uint64_t lease_id) const {
  queue::ReceiveOptions options = options_.receive;
  options.behind_lease_ids = {lease_id};
  return options;
}

void IntakeWorker::give_back_next() {
  if (!next_.valid()) return;
  const auto lease = next_.get();
  if (!lease || lease->messages.empty()) return;
  std::shared_ptr<queue::QueueClient> client;
  {
    base::MutexLock lock(mutex_);
    client = client_;
  }
  ignore_error(give_back(*client, *lease), "its messages come again when the lease ends");
}

Status IntakeWorker::give_back(queue::QueueClient& client, const queue::Lease& lease) {
  return client.settle(
      {.kind = queue::Settlement::Kind::kAbort, .lease_id = lease.id, .is_untried = true}, {});
}

Status IntakeWorker::commit(queue::QueueClient& client, const queue::Lease& lease) {
  const queue::Settlement settlement{.lease_id = lease.id};
  return client.settle(settlement, [this, count = lease.messages.size()](const Status& committed) {
    FAULT_POINT("processor.committed");
    if (committed.ok()) return;
    LOG_WARN("a lease was not committed, its messages come again queue={} count={}: {}",
             options_.queue, count, committed.to_string());
  });
}

}  // namespace verbatim::processor
