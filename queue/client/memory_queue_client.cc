#include "queue/client/memory_queue_client.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/endian.h"

namespace verbatim::queue {
namespace {

using base::MutexLock;

struct Stored {
  v1::QueueMessage message;
  uint64_t lease_id = 0;
};

struct SourceKeyEntry {
  uint64_t lookup_id = 0;
  std::string verdict;
};

// Each queue in memory is a folder of its own.
std::string make_log_id() {
  static std::atomic<uint64_t> last{0};
  std::string log_id;
  base::put_le64(log_id, ++last);
  return log_id;
}

size_t size_of(const PutRequest& request) {
  return request.order_key.size() + request.source_key.size() + request.source.size() +
         request.verdict.size() + request.envelope.size() + request.body.size();
}

}  // namespace

// The queue; outlives every client through shared ownership.
struct MemoryQueue::Core {
  explicit Core(base::Clock& c) : clock(c) {}

  base::Clock& clock;
  const std::string log_id = make_log_id();
  mutable base::Mutex mutex;
  base::CondVar changed;
  State state GUARDED_BY(mutex) = State::kUp;
  Status refusal GUARDED_BY(mutex);
  uint64_t next_lookup_id GUARDED_BY(mutex) = 1;
  uint64_t next_lease_id GUARDED_BY(mutex) = 1;
  uint64_t committed_count GUARDED_BY(mutex) = 0;
  std::map<uint64_t, Stored> messages GUARDED_BY(mutex);
  std::map<std::string, SourceKeyEntry> source_keys GUARDED_BY(mutex);
  std::map<std::string, uint64_t> source_counts GUARDED_BY(mutex);
  std::map<uint64_t, std::chrono::nanoseconds> leases GUARDED_BY(mutex);

  PutOutcome store(const PutRequest& request) REQUIRES(mutex) {
    if (!request.source_key.empty()) {
      const auto known = source_keys.find(request.source_key);
      if (known != source_keys.end()) {
        return {.lookup_id = known->second.lookup_id,
                .is_repeat = true,
                .first_verdict = known->second.verdict};
      }
      source_keys[request.source_key] = {next_lookup_id, request.verdict};
    }
    v1::QueueMessage message;
    message.set_lookup_id(next_lookup_id++);
    message.set_put_unix_ns(clock.unix_now_ns());
    message.set_source(request.source);
    message.set_source_count(++source_counts[request.source]);
    message.set_order_key(request.order_key);
    message.set_source_key(request.source_key);
    message.set_verdict(request.verdict);
    message.set_envelope(request.envelope);
    message.set_body(request.body);
    const uint64_t lookup_id = message.lookup_id();
    messages[lookup_id] = {.message = std::move(message)};
    changed.notify_all();
    return {.lookup_id = lookup_id, .is_repeat = false, .first_verdict = {}};
  }

  void end_lease(uint64_t lease_id) REQUIRES(mutex) {
    for (auto& [id, stored] : messages) {
      if (stored.lease_id == lease_id) stored.lease_id = 0;
    }
    leases.erase(lease_id);
    changed.notify_all();
  }

  void expire_leases() REQUIRES(mutex) {
    std::vector<uint64_t> ended;
    for (const auto& [id, until] : leases) {
      if (until <= clock.monotonic()) ended.push_back(id);
    }
    for (const uint64_t id : ended) end_lease(id);
  }

  Lease take(const ReceiveOptions& options) REQUIRES(mutex) {
    expire_leases();
    std::set<std::string> blocked;
    for (const auto& [id, stored] : messages) {
      if (stored.lease_id != 0) blocked.insert(stored.message.order_key());
    }
    Lease lease;
    int64_t bytes = 0;
    for (auto& [id, stored] : messages) {
      if (static_cast<int64_t>(lease.messages.size()) >= options.max_count) break;
      if (blocked.contains(stored.message.order_key())) continue;
      const auto size =
          static_cast<int64_t>(stored.message.body().size() + stored.message.envelope().size());
      if (!lease.messages.empty() && bytes + size > options.max_bytes) break;
      bytes += size;
      if (lease.id == 0) lease.id = next_lease_id++;
      stored.lease_id = lease.id;
      stored.message.set_delivery_count(stored.message.delivery_count() + 1);
      lease.messages.push_back(stored.message);
    }
    if (lease.id == 0) return lease;
    lease.log_id = log_id;
    leases[lease.id] = clock.monotonic() + options.lease;
    return lease;
  }
};

MemoryQueue::MemoryQueue(base::Clock& clock) : core_(std::make_shared<Core>(clock)) {}
MemoryQueue::~MemoryQueue() = default;

void MemoryQueue::set_state(State state) {
  MutexLock lock(core_->mutex);
  core_->state = state;
  core_->changed.notify_all();
}

void MemoryQueue::refuse_next(Status error) {
  MutexLock lock(core_->mutex);
  core_->refusal = std::move(error);
}

std::vector<v1::QueueMessage> MemoryQueue::messages() const {
  MutexLock lock(core_->mutex);
  std::vector<v1::QueueMessage> all;
  for (const auto& [id, stored] : core_->messages) all.push_back(stored.message);
  return all;
}

size_t MemoryQueue::depth() const {
  MutexLock lock(core_->mutex);
  return core_->messages.size();
}

uint64_t MemoryQueue::committed_count() const {
  MutexLock lock(core_->mutex);
  return core_->committed_count;
}

class MemoryQueueClient final : public QueueClient {
 public:
  MemoryQueueClient(MemoryQueue& queue, const MemoryClientOptions& options)
      : core_(queue.core_), options_(options), thread_([this] { run(); }) {}
  ~MemoryQueueClient() override { stop(); }

  Status put(PutRequest request, std::chrono::nanoseconds deadline, PutCallback done) override {
    MutexLock lock(core_->mutex);
    if (is_stopping_) return cancelled("the queue client is stopped");
    if (request.source.empty() || request.source.size() > 128) {
      return invalid_argument("source is 1 to 128 bytes");
    }
    const size_t size = size_of(request);
    if (held_bytes_ + size > options_.memory_max_bytes) {
      return resource_exhausted("too many puts wait in the queue client");
    }
    held_bytes_ += size;
    Pending& pending = puts_.emplace_back();
    pending.request = std::move(request);
    pending.done = std::move(done);
    pending.deadline = deadline;
    core_->changed.notify_all();
    return {};
  }

  Result<Lease> receive(const ReceiveOptions& options) override {
    MutexLock lock(core_->mutex);
    Lease lease;
    const auto is_ready = [&]() REQUIRES(core_->mutex) {
      if (is_stopping_ || core_->state != MemoryQueue::State::kUp) return true;
      lease = core_->take(options);
      return lease.id != 0;
    };
    // Leases of a fake clock expire without a notification, so look again now and then.
    for (auto left = options.wait;; left -= kLook) {
      const bool is_done = core_->changed.wait_for(core_->mutex, std::min(left, kLook), is_ready);
      if (is_done || left <= kLook) break;
    }
    if (is_stopping_) return cancelled("the queue client is stopped");
    if (lease.id == 0 && core_->state != MemoryQueue::State::kUp) {
      return unavailable("the queue service is away");
    }
    return lease;
  }

  Status commit(uint64_t lease_id) override {
    MutexLock lock(core_->mutex);
    RETURN_IF_ERROR(check_lease(lease_id));
    core_->committed_count += std::erase_if(core_->messages, [lease_id](const auto& entry) {
      return entry.second.lease_id == lease_id;
    });
    core_->end_lease(lease_id);
    return {};
  }

  Status abort(uint64_t lease_id, const std::vector<uint64_t>& lookup_ids) override {
    MutexLock lock(core_->mutex);
    RETURN_IF_ERROR(check_lease(lease_id));
    for (const uint64_t id : lookup_ids) {
      const auto it = core_->messages.find(id);
      if (it != core_->messages.end() && it->second.lease_id == lease_id) it->second.lease_id = 0;
    }
    if (lookup_ids.empty()) core_->end_lease(lease_id);
    core_->changed.notify_all();
    return {};
  }

  bool is_connected() const override {
    MutexLock lock(core_->mutex);
    return !is_stopping_ && core_->state != MemoryQueue::State::kDown;
  }

  void stop() override {
    {
      MutexLock lock(core_->mutex);
      is_stopping_ = true;
      core_->changed.notify_all();
    }
    MutexLock lock(join_mutex_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  static constexpr std::chrono::milliseconds kLook{5};

  struct Pending {
    PutRequest request;
    PutCallback done;
    std::chrono::nanoseconds deadline{};
    bool is_stored = false;    // answered when the queue answers again
    bool is_reported = false;  // as "in doubt"
    PutOutcome outcome;
  };
  struct Ended {
    std::function<void(Result<PutOutcome>)> callback;
    Result<PutOutcome> outcome;
  };

  Status check_lease(uint64_t lease_id) REQUIRES(core_->mutex) {
    if (is_stopping_) return cancelled("the queue client is stopped");
    if (core_->state != MemoryQueue::State::kUp && core_->state != MemoryQueue::State::kFull) {
      return unavailable("the queue service is away");
    }
    core_->expire_leases();
    if (!core_->leases.contains(lease_id)) return aborted("the lease was lost");
    return {};
  }

  void run() {
    while (true) {
      std::vector<Ended> ended;
      bool is_last = false;
      {
        MutexLock lock(core_->mutex);
        core_->changed.wait_for(core_->mutex, kLook, [this]() REQUIRES(core_->mutex) {
          return is_stopping_ || (!puts_.empty() && core_->state == MemoryQueue::State::kUp);
        });
        is_last = is_stopping_;
        advance(ended);
      }
      for (Ended& one : ended) {
        if (one.callback) one.callback(std::move(one.outcome));
      }
      if (is_last && ended.empty()) return;
    }
  }

  // Moves every put on as far as the queue's state allows; gives the callbacks to run.
  void advance(std::vector<Ended>& ended) REQUIRES(core_->mutex) {
    using State = MemoryQueue::State;
    std::deque<Pending> left;
    for (Pending& put : puts_) {
      const bool is_reached = core_->state == State::kUp || core_->state == State::kSilent;
      if (is_reached && !put.is_stored && !core_->refusal.ok()) {
        end(put, std::exchange(core_->refusal, Status()), ended);
        continue;
      }
      if (is_reached && !put.is_stored && !is_stopping_) {
        put.outcome = core_->store(put.request);
        put.is_stored = true;
      }
      if (put.is_stored && core_->state == State::kUp) {
        end(put, put.outcome, ended);
      } else if (is_stopping_) {
        end(put, cancelled(std::string(put.is_stored ? kInDoubt : kWithdrawn)), ended);
      } else if (core_->clock.monotonic() < put.deadline || put.is_reported) {
        left.push_back(std::move(put));
      } else if (put.is_stored) {
        ended.push_back({put.done, deadline_exceeded(std::string(kInDoubt))});
        put.is_reported = true;
        left.push_back(std::move(put));
      } else {
        end(put, deadline_exceeded(std::string(kWithdrawn)), ended);
      }
    }
    puts_ = std::move(left);
  }

  void end(Pending& put, Result<PutOutcome> outcome, std::vector<Ended>& ended)
      REQUIRES(core_->mutex) {
    held_bytes_ -= size_of(put.request);
    ended.push_back(
        {put.is_reported ? std::move(put.request.late) : std::move(put.done), std::move(outcome)});
  }

  const std::shared_ptr<MemoryQueue::Core> core_;
  const MemoryClientOptions options_;
  std::deque<Pending> puts_ GUARDED_BY(core_->mutex);
  size_t held_bytes_ GUARDED_BY(core_->mutex) = 0;
  bool is_stopping_ GUARDED_BY(core_->mutex) = false;
  base::Mutex join_mutex_;
  std::thread thread_;
};

std::unique_ptr<QueueClient> create_memory_queue_client(MemoryQueue& queue,
                                                        const MemoryClientOptions& options) {
  return std::make_unique<MemoryQueueClient>(queue, options);
}

}  // namespace verbatim::queue
