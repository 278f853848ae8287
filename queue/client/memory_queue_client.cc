#include "queue/client/memory_queue_client.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "queue/client/memory_queue_core.h"

namespace verbatim::queue {
namespace {

using base::MutexLock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using State = MemoryQueue::State;

// Deadlines, leases and delays of a fake clock pass without a notification.
constexpr milliseconds kLook{5};

Status stopped() { return cancelled("the queue client is stopped"); }
Status away() { return unavailable("the queue service is away"); }

size_t size_of(const PutRequest& request) {
  return request.order_key.size() + request.source_key.size() + request.source.size() +
         request.verdict.size() + request.envelope.size() + request.body.size();
}

class MemoryQueueClient final : public QueueClient {
 public:
  MemoryQueueClient(std::shared_ptr<MemoryQueueCore> core, const MemoryClientOptions& options)
      : core_(std::move(core)), options_(options), thread_([this] { run(); }) {}
  ~MemoryQueueClient() override { stop(); }

  Status put(PutRequest request, nanoseconds deadline, PutCallback done) override;
  Result<Lease> receive(const ReceiveOptions& options) override;
  Status subscribe(const SubscribeOptions& options, LeaseCallback on_lease) override;
  void unsubscribe() override;
  Status settle(Settlement settlement, SettleCallback done) override;
  Status extend(uint64_t lease_id, milliseconds time, ExtendCallback done) override;
  ClientState state() const override;
  void stop() override;

 private:
  struct Pending {
    PutRequest request;
    PutCallback done;
    nanoseconds deadline{};
    bool is_stored = false;    // answered when the queue answers again
    bool is_reported = false;  // as "in doubt"
    PutOutcome outcome;
  };
  using Callback = std::function<void()>;

  void run();
  void run_callbacks(std::vector<Callback> callbacks);
  void advance() REQUIRES(core_->mutex);
  bool advance_put(Pending& put) REQUIRES(core_->mutex);
  void end(Pending& put, Result<PutOutcome> outcome) REQUIRES(core_->mutex);
  void push();
  Status check_consumer() const REQUIRES(core_->mutex);

  const std::shared_ptr<MemoryQueueCore> core_;
  const MemoryClientOptions options_;
  std::deque<Pending> puts_ GUARDED_BY(core_->mutex);
  // Callbacks to run.
  std::vector<Callback> ended_ GUARDED_BY(core_->mutex);
  size_t held_bytes_ GUARDED_BY(core_->mutex) = 0;
  SubscribeOptions subscription_ GUARDED_BY(core_->mutex);
  std::shared_ptr<const LeaseCallback> on_lease_ GUARDED_BY(core_->mutex);
  bool is_pushing_ GUARDED_BY(core_->mutex) = false;
  bool is_stopping_ GUARDED_BY(core_->mutex) = false;
  base::Mutex join_mutex_;
  std::thread thread_;
};

Status MemoryQueueClient::put(PutRequest request, nanoseconds deadline, PutCallback done) {
  RETURN_IF_ERROR(check(request));
  RETURN_IF_ERROR(check_size(request.envelope.size() + request.body.size(),
                             core_->settings().message_max_bytes));
  const size_t size = size_of(request);
  MutexLock lock(core_->mutex);
  if (is_stopping_) return stopped();
  if (core_->state() == State::kNotPermitted) {
    return permission_denied("this client may not put to the queue");
  }
  if (held_bytes_ + size > options_.memory_max_bytes) {
    return resource_exhausted("too many puts wait in the queue client");
  }
  held_bytes_ += size;
  Pending& pending = puts_.emplace_back();
  pending.request = std::move(request);
  pending.done = std::move(done);
  pending.deadline = deadline;
  core_->touch();
  return {};
}

Status MemoryQueueClient::check_consumer() const {
  if (is_stopping_) return stopped();
  return core_->answers_consumers() ? Status() : away();
}

Result<Lease> MemoryQueueClient::receive(const ReceiveOptions& options) {
  MutexLock lock(core_->mutex);
  Lease lease;
  const auto is_ready = [&]() REQUIRES(core_->mutex) {
    if (!check_consumer().ok()) return true;
    lease = core_->take(this, {.max_count = options.max_count,
                               .max_bytes = options.max_bytes,
                               .lease = options.lease,
                               .lookup_id = options.lookup_id,
                               .behind = options.behind_lease_ids});
    return lease.id != 0 || options.lookup_id != 0;
  };
  for (auto left = options.wait;; left -= kLook) {
    const bool is_done = core_->changed.wait_for(core_->mutex, std::min(left, kLook), is_ready);
    if (is_done || left <= kLook) break;
  }
  if (lease.id == 0) RETURN_IF_ERROR(check_consumer());
  return lease;
}

Status MemoryQueueClient::settle(Settlement settlement, SettleCallback done) {
  RETURN_IF_ERROR(check(settlement));
  MutexLock lock(core_->mutex);
  if (is_stopping_) return stopped();
  Status status = check_consumer();
  if (status.ok()) status = core_->settle(this, settlement);
  if (done) ended_.push_back([done = std::move(done), status] { done(status); });
  core_->touch();
  return {};
}

Status MemoryQueueClient::extend(uint64_t lease_id, milliseconds time, ExtendCallback done) {
  if (time <= milliseconds(0)) return invalid_argument("a lease is extended by more than nothing");
  MutexLock lock(core_->mutex);
  if (is_stopping_) return stopped();
  const Status status = check_consumer();
  Result<milliseconds> left = status.ok() ? core_->extend(this, lease_id, time) : status;
  if (done) ended_.push_back([done = std::move(done), left = std::move(left)] { done(left); });
  core_->touch();
  return {};
}

Status MemoryQueueClient::subscribe(const SubscribeOptions& options, LeaseCallback on_lease) {
  RETURN_IF_ERROR(check(options));
  if (!on_lease) return invalid_argument("a subscription has a callback");
  MutexLock lock(core_->mutex);
  if (is_stopping_) return stopped();
  subscription_ = options;
  on_lease_ = std::make_shared<const LeaseCallback>(std::move(on_lease));
  core_->touch();
  return {};
}

void MemoryQueueClient::unsubscribe() {
  MutexLock lock(core_->mutex);
  on_lease_ = nullptr;
  if (std::this_thread::get_id() == thread_.get_id()) return;
  core_->changed.wait(core_->mutex, [this]() REQUIRES(core_->mutex) { return !is_pushing_; });
}

ClientState MemoryQueueClient::state() const {
  MutexLock lock(core_->mutex);
  if (is_stopping_) return {ClientCondition::kStopped, "the queue client is stopped"};
  switch (core_->state()) {
    case State::kDown:
      return {ClientCondition::kConnecting, "the queue service is away"};
    case State::kFull:
      return {ClientCondition::kFull, "the queue is full"};
    case State::kPaused:
      return {ClientCondition::kPaused, "the queue is paused"};
    case State::kNotPermitted:
      return {ClientCondition::kNotPermitted, "this client may not put to the queue"};
    case State::kUp:
    case State::kSilent:
      break;
  }
  return {ClientCondition::kReady, "the queue service answers"};
}

void MemoryQueueClient::stop() {
  {
    MutexLock lock(core_->mutex);
    is_stopping_ = true;
    core_->touch();
  }
  MutexLock lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

// --- the client's thread ---

void MemoryQueueClient::run() {
  uint64_t seen = 0;
  bool is_last = false;
  while (!is_last) {
    std::vector<Callback> callbacks;
    {
      MutexLock lock(core_->mutex);
      core_->changed.wait_for(core_->mutex, kLook, [&]() REQUIRES(core_->mutex) {
        return is_stopping_ || core_->change_count() != seen;
      });
      seen = core_->change_count();
      is_last = is_stopping_;
      advance();
      callbacks.swap(ended_);
    }
    for (const Callback& callback : callbacks) callback();
    if (!is_last) push();
  }
  MutexLock lock(core_->mutex);
  core_->end_leases_of(this);
}

// Moves every put on as far as the queue's state allows.
void MemoryQueueClient::advance() {
  std::deque<Pending> left;
  for (Pending& put : puts_) {
    if (!advance_put(put)) left.push_back(std::move(put));
  }
  puts_ = std::move(left);
}

// True when it has ended.
bool MemoryQueueClient::advance_put(Pending& put) {
  const bool is_reached = core_->is_up() || core_->state() == State::kSilent;
  if (is_reached && !put.is_stored && !is_stopping_) {
    Status refusal = std::exchange(core_->refusal, Status());
    if (refusal.ok() && !put.request.acknowledge.queue.empty()) {
      refusal = not_found("the queue service has no such acknowledgement queue");
    }
    if (!refusal.ok()) return end(put, std::move(refusal)), true;
    put.outcome = core_->store(put.request);
    put.is_stored = true;
  }
  if (put.is_stored && core_->is_up()) return end(put, put.outcome), true;
  const std::string words(put.is_stored ? kInDoubt : kWithdrawn);
  if (is_stopping_) return end(put, cancelled(words)), true;
  if (core_->state() == State::kNotPermitted) return end(put, permission_denied(words)), true;
  if (core_->clock().monotonic() < put.deadline || put.is_reported) return false;
  if (!put.is_stored) return end(put, deadline_exceeded(words)), true;
  put.is_reported = true;
  ended_.push_back([done = put.done, words] { done(deadline_exceeded(words)); });
  return false;
}

void MemoryQueueClient::end(Pending& put, Result<PutOutcome> outcome) {
  held_bytes_ -= size_of(put.request);
  PutCallback callback = put.is_reported ? std::move(put.request.late) : std::move(put.done);
  if (!callback) return;
  ended_.push_back(
      [callback = std::move(callback), outcome = std::move(outcome)] { callback(outcome); });
}

// One lease, within what is left of the credit.
void MemoryQueueClient::push() {
  Lease lease;
  std::shared_ptr<const LeaseCallback> on_lease;
  {
    MutexLock lock(core_->mutex);
    if (!on_lease_ || !check_consumer().ok()) return;
    const auto held = core_->unsettled(this);
    const int64_t batch_max = subscription_.batch_max_messages > 0
                                  ? subscription_.batch_max_messages
                                  : subscription_.credit_messages;
    lease = core_->take(
        this, {.max_count = std::min(batch_max, subscription_.credit_messages - held.count),
               .max_bytes = subscription_.credit_bytes - held.bytes,
               .is_first_free = held.count == 0,
               .lease = subscription_.lease});
    if (lease.id == 0) return;
    on_lease = on_lease_;
    is_pushing_ = true;
    // There may be more.
    core_->touch();
  }
  (*on_lease)(std::move(lease));
  MutexLock lock(core_->mutex);
  is_pushing_ = false;
  core_->touch();
}

}  // namespace

MemoryQueue::MemoryQueue(base::Clock& clock, const MemoryQueueSettings& settings)
    : core_(std::make_shared<MemoryQueueCore>(clock, settings)) {}
MemoryQueue::~MemoryQueue() = default;

void MemoryQueue::set_state(State state) {
  MutexLock lock(core_->mutex);
  core_->set_state(state);
}

void MemoryQueue::refuse_next(Status error) {
  MutexLock lock(core_->mutex);
  core_->refusal = std::move(error);
}

std::vector<v1::QueueMessage> MemoryQueue::messages() const {
  MutexLock lock(core_->mutex);
  return core_->all();
}

std::vector<v1::QueueMessage> MemoryQueue::dead_letters() const {
  MutexLock lock(core_->mutex);
  return core_->dead;
}

size_t MemoryQueue::depth() const {
  MutexLock lock(core_->mutex);
  return core_->depth();
}

uint64_t MemoryQueue::committed_count() const {
  MutexLock lock(core_->mutex);
  return core_->committed_count;
}

std::unique_ptr<QueueClient> create_memory_queue_client(MemoryQueue& queue,
                                                        const MemoryClientOptions& options) {
  return std::make_unique<MemoryQueueClient>(queue.core_, options);
}

}  // namespace verbatim::queue
