#include "queue/ops/probe.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"

namespace verbatim::queue {
namespace {

constexpr int kLateIntervals = 3;

// The answer to one put; the callback may come long after nobody waits any more.
struct PutAnswer {
  base::Mutex mutex;
  base::CondVar changed;
  std::optional<Result<PutOutcome>> outcome GUARDED_BY(mutex);
};

std::chrono::milliseconds left_until(const base::Clock& clock, std::chrono::nanoseconds until) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - clock.monotonic());
  return std::max(left, std::chrono::milliseconds(0));
}

}  // namespace

Probe::Probe(base::Clock& clock, ProbeOptions options)
    : clock_(clock), options_(std::move(options)), last_success_(clock.monotonic()) {}

std::unique_ptr<Probe> Probe::start(base::Clock& clock, ProbeOptions options) {
  std::unique_ptr<Probe> probe(new Probe(clock, std::move(options)));
  if (probe->options_.interval.count() == 0) return probe;
  Probe* self = probe.get();
  self->thread_ = std::thread([self] { self->run(); });
  return probe;
}

Probe::~Probe() { stop(); }

void Probe::stop() {
  std::shared_ptr<QueueClient> stopped;
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    stopped = client_;
    changed_.notify_all();
  }
  if (stopped != nullptr) stopped->stop();
  if (thread_.joinable()) thread_.join();
}

Probe::State Probe::state() const {
  base::MutexLock lock(mutex_);
  State state = state_;
  state.is_on = options_.interval.count() > 0;
  state.age = clock_.monotonic() - last_success_;
  return state;
}

std::vector<base::AlarmCondition> Probe::alarm_conditions() const {
  const State now = state();
  if (!now.is_on || now.age < kLateIntervals * options_.interval) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.age).count();
  return {{"probe-late", kProbeQueue,
           "no message has gone through the queue for " + std::to_string(seconds) + " s: " +
               (now.last_error.empty() ? "the last one is still on its way" : now.last_error)}};
}

void Probe::run() {
  do {
    const auto begin = clock_.monotonic();
    const Status status = make_round_trip();
    base::MutexLock lock(mutex_);
    if (is_stopping_) return;
    state_.last_error = status.ok() ? "" : status.to_string();
    if (status.ok()) {
      last_success_ = clock_.monotonic();
      state_.latency = last_success_ - begin;
      ++state_.success_count;
    } else {
      ++state_.failure_count;
    }
    lock.unlock();
    if (!status.ok()) LOG_WARN("probe: a message did not go through: {}", status.to_string());
  } while (wait_for_next());
}

bool Probe::wait_for_next() {
  base::MutexLock lock(mutex_);
  return !changed_.wait_for(mutex_, options_.interval,
                            [this]() REQUIRES(mutex_) { return is_stopping_; });
}

Status Probe::make_round_trip() {
  std::shared_ptr<QueueClient> client;
  {
    base::MutexLock lock(mutex_);
    client = client_;
  }
  if (client == nullptr) {
    ASSIGN_OR_RETURN(client, options_.connect());
    base::MutexLock lock(mutex_);
    if (is_stopping_) return cancelled("stopping");
    client_ = client;
  }
  const auto until = clock_.monotonic() + std::min(options_.time_max, options_.interval);
  ASSIGN_OR_RETURN(const uint64_t lookup_id, put(*client, until));
  return take(*client, lookup_id, until);
}

Result<uint64_t> Probe::put(QueueClient& client, std::chrono::nanoseconds until) {
  auto answer = std::make_shared<PutAnswer>();
  PutRequest request;
  request.source = kProbeQueue;
  request.body = "probe";
  RETURN_IF_ERROR(client.put(std::move(request), until, [answer](Result<PutOutcome> outcome) {
    base::MutexLock lock(answer->mutex);
    answer->outcome = std::move(outcome);
    answer->changed.notify_all();
  }));
  base::MutexLock lock(answer->mutex);
  // The client ends every put at its deadline, or when it is stopped.
  answer->changed.wait(answer->mutex,
                       [&]() REQUIRES(answer->mutex) { return answer->outcome.has_value(); });
  if (!*answer->outcome) return answer->outcome->error();
  return (*answer->outcome)->lookup_id;
}

// What earlier round trips have left is taken on the way.
Status Probe::take(QueueClient& client, uint64_t lookup_id, std::chrono::nanoseconds until) {
  while (clock_.monotonic() < until) {
    ReceiveOptions options;
    options.max_count = 100;
    options.wait = left_until(clock_, until);
    ASSIGN_OR_RETURN(const Lease lease, client.receive(options));
    if (lease.messages.empty()) continue;
    const auto foreign =
        std::find_if(lease.messages.begin(), lease.messages.end(),
                     [](const auto& message) { return message.source() != kProbeQueue; });
    if (foreign != lease.messages.end()) {
      RETURN_IF_ERROR(client.abort(lease.id, {.delay = options_.interval, .is_untried = true}));
      return failed_precondition("message " + std::to_string(foreign->lookup_id()) +
                                 " in verbatim.probe is not the probe's: move it where it belongs");
    }
    RETURN_IF_ERROR(client.commit(lease.id));
    for (const auto& message : lease.messages) {
      if (message.lookup_id() == lookup_id) return {};
    }
  }
  return deadline_exceeded("the message was stored and did not come out in time");
}

}  // namespace verbatim::queue
