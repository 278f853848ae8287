#include "queue/ops/queue_watch.h"

#include <utility>

namespace verbatim::queue {
namespace {

constexpr std::chrono::milliseconds kLookInterval{1'000};
// So long after the last of them the alarm stays raised.
constexpr std::chrono::minutes kStrangerLife{10};

void add(std::vector<base::AlarmCondition>& to, std::vector<base::AlarmCondition> more) {
  for (base::AlarmCondition& condition : more) to.push_back(std::move(condition));
}

// A pause is made on purpose, and easily forgotten.
std::vector<base::AlarmCondition> pause_conditions(const v1::ListQueuesResponse& answer) {
  std::vector<base::AlarmCondition> conditions;
  for (const auto& queue : answer.queues()) {
    if (!queue.is_put_paused() && !queue.is_receive_paused()) continue;
    conditions.push_back({"paused", queue.name(),
                          "an operator has paused it; verbatimctl audit list says who and why, "
                          "verbatimctl queues resume ends it"});
  }
  return conditions;
}

}  // namespace

QueueWatch::QueueWatch(base::Clock& clock, const Parts& parts) : clock_(clock), parts_(parts) {}

std::unique_ptr<QueueWatch> QueueWatch::start(base::Clock& clock, const Parts& parts) {
  std::unique_ptr<QueueWatch> watch(new QueueWatch(clock, parts));
  QueueWatch* self = watch.get();
  self->thread_ = std::thread([self] { self->run(); });
  return watch;
}

QueueWatch::~QueueWatch() { stop(); }

void QueueWatch::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const QueueSnapshot> QueueWatch::snapshot() const {
  base::MutexLock lock(mutex_);
  return snapshot_;
}

void QueueWatch::run() {
  bool is_stopping = false;
  while (!is_stopping) {
    look();
    base::MutexLock lock(mutex_);
    is_stopping = changed_.wait_for(mutex_, kLookInterval,
                                    [this]() REQUIRES(mutex_) { return is_stopping_; });
  }
}

// The core never hears of who has no key that it knows.
std::vector<base::AlarmCondition> QueueWatch::stranger_conditions() {
  const uint64_t count = parts_.service.refused_connections().unknown_key;
  if (count > stranger_count_) stranger_seen_ = clock_.monotonic();
  stranger_count_ = count;
  if (!stranger_seen_ || clock_.monotonic() - *stranger_seen_ > kStrangerLife) return {};
  return {{"not-permitted", "unknown-key",
           "a connection came with a key that queue.security.clients does not name"}};
}

void QueueWatch::look() {
  auto snapshot = std::make_shared<QueueSnapshot>();
  std::vector<base::AlarmCondition> conditions;
  const Status status = parts_.service.call([&](QueueCore& core) {
    snapshot->queues = core.list_queues();
    snapshot->garbage_count = core.garbage_count();
    conditions = core.alarm_conditions();
  });
  // A core that has ended says nothing; what it said last neither holds nor is over.
  if (!status.ok()) return;
  snapshot->taken = clock_.monotonic();
  add(conditions, pause_conditions(snapshot->queues));
  add(conditions, stranger_conditions());
  add(conditions, parts_.audit.alarm_conditions());
  add(conditions, parts_.probe.alarm_conditions());
  if (const std::string error = parts_.command.last_error(); !error.empty()) {
    conditions.push_back({"alarm-command", "queue.alarm_command", error});
  }
  {
    base::MutexLock lock(mutex_);
    snapshot_ = std::move(snapshot);
  }
  for (const v1::Alarm& alarm : parts_.alarms.update(conditions)) parts_.command.tell(alarm);
}

}  // namespace verbatim::queue
