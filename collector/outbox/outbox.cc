#include "collector/outbox/outbox.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace verbatim::collector {
namespace {

constexpr auto kNoDeadline = std::chrono::nanoseconds::max();
constexpr std::chrono::milliseconds kRetryPause{200};

}  // namespace

// Wakes the thread and collects the queue's answers, by ticket.
struct Outbox::Shared {
  base::Mutex mutex;
  base::CondVar changed;
  bool is_woken GUARDED_BY(mutex) = false;
  bool is_stopping GUARDED_BY(mutex) = false;
  uint64_t first_ticket GUARDED_BY(mutex) = 0;
  // Answers of tickets first_ticket, first_ticket + 1, …; none while the queue has not answered.
  std::deque<std::optional<Status>> answers GUARDED_BY(mutex);
  std::chrono::milliseconds pause GUARDED_BY(mutex){0};

  void wake() {
    base::MutexLock lock(mutex);
    is_woken = true;
    changed.notify_one();
  }
};

Outbox::Outbox(Options options, queue::QueueClient& client)
    : options_(std::move(options)), client_(client), shared_(std::make_shared<Shared>()) {}

Outbox::~Outbox() { stop(); }

Result<std::unique_ptr<Outbox>> Outbox::open(base::FileSystem& file_system, Options options,
                                             queue::QueueClient& client) {
  std::unique_ptr<Outbox> outbox(new Outbox(std::move(options), client));
  OutboxFile::Options file_options{.directory = outbox->options_.directory};
  file_options.segment_bytes =
      std::min<uint64_t>(file_options.segment_bytes, outbox->options_.max_bytes / 8 + 1);
  ASSIGN_OR_RETURN(outbox->file_, OutboxFile::open(file_system, file_options));
  base::MutexLock lock(outbox->mutex_);
  for (uint64_t i = 0; i < outbox->file_->count(); ++i) {
    ASSIGN_OR_RETURN(const std::string bytes, outbox->file_->read(i));
    v1::PutMessage message;
    if (!message.ParseFromString(bytes)) return data_loss("outbox message that does not parse");
    outbox->key_of_.push_back(message.order_key());
    ++outbox->keys_[message.order_key()];
  }
  outbox->file_bytes_ = outbox->file_->bytes();
  outbox->file_count_ = outbox->file_->count();
  return outbox;
}

void Outbox::start(Hooks hooks) {
  hooks_ = std::move(hooks);
  thread_ = std::thread([this] { run(); });
}

void Outbox::stop() {
  {
    base::MutexLock lock(mutex_);
    is_open_ = false;
  }
  {
    base::MutexLock lock(shared_->mutex);
    shared_->is_stopping = true;
    shared_->changed.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

Status Outbox::enqueue(v1::PutMessage message, Done done) {
  const uint64_t bytes = message.ByteSizeLong() + kOutboxHeaderSize;
  {
    base::MutexLock lock(mutex_);
    if (!is_open_) return unavailable("outbox: stopped");
    if (file_bytes_ + pending_bytes_ + bytes > options_.max_bytes) {
      return resource_exhausted("outbox: full");
    }
    ++keys_[message.order_key()];
    pending_bytes_ += bytes;
    pending_.push_back({std::move(message), std::move(done), bytes});
  }
  shared_->wake();
  return {};
}

bool Outbox::holds(const std::string& order_key) const {
  base::MutexLock lock(mutex_);
  return keys_.contains(order_key);
}

v1::OutboxInfo Outbox::info() const {
  base::MutexLock lock(mutex_);
  v1::OutboxInfo info;
  info.set_event_count(static_cast<int64_t>(file_count_ + pending_.size()));
  info.set_bytes(static_cast<int64_t>(file_bytes_ + pending_bytes_));
  return info;
}

void Outbox::run() {
  while (true) {
    if (!write_pending()) return;
    if (!settle()) return;
    bool is_stopping = false;
    {
      base::MutexLock lock(shared_->mutex);
      is_stopping = shared_->is_stopping;
    }
    if (!is_stopping && !fill()) return;
    if (std::exchange(is_fenced_, false) && hooks_.fenced) hooks_.fenced();
    base::MutexLock lock(shared_->mutex);
    if (is_stopping && !shared_->is_woken) return;
    const auto is_due = [this]() REQUIRES(shared_->mutex) {
      return shared_->is_woken || shared_->is_stopping;
    };
    if (shared_->pause.count() > 0) {
      shared_->changed.wait_for(shared_->mutex, shared_->pause, is_due);
      shared_->pause = std::chrono::milliseconds(0);
    } else {
      shared_->changed.wait(shared_->mutex, is_due);
    }
    shared_->is_woken = false;
  }
}

// Appends everything that waits and syncs it once; then answers.
bool Outbox::write_pending() {
  std::deque<Pending> taken;
  {
    base::MutexLock lock(mutex_);
    taken.swap(pending_);
    pending_bytes_ = 0;
    for (const Pending& pending : taken) file_bytes_ += pending.bytes;
    file_count_ += taken.size();
  }
  if (taken.empty()) return true;
  Status status;
  for (const Pending& pending : taken) {
    status = file_->append(pending.message.SerializeAsString());
    if (!status.ok()) break;
    key_of_.push_back(pending.message.order_key());
  }
  if (status.ok()) status = file_->sync();
  for (const Pending& pending : taken) {
    if (pending.done) pending.done(status);
  }
  if (!status.ok()) fail(status);
  return status.ok();
}

// Counts the messages at the front that the queue has answered for good.
uint64_t Outbox::take_answers() {
  uint64_t count = 0;
  base::MutexLock lock(shared_->mutex);
  auto& answers = shared_->answers;
  while (!answers.empty() && answers.front().has_value()) {
    const Status& status = *answers.front();
    if (!status.ok() && status.code() != StatusCode::kInvalidArgument) {
      if (status.code() == StatusCode::kFailedPrecondition) is_fenced_ = true;
      // Away for now (stopped, no such queue): everything from here on goes again, in order, once
      // all that is under way has come back.
      const bool is_all_back = std::all_of(answers.begin(), answers.end(),
                                           [](const auto& answer) { return answer.has_value(); });
      if (is_all_back) {
        shared_->first_ticket += answers.size();
        answers.clear();
      }
      shared_->pause = kRetryPause;
      break;
    }
    if (!status.ok()) refused_.emplace_back(count, status);
    answers.pop_front();
    ++shared_->first_ticket;
    ++count;
  }
  return count;
}

// Hands out a message that the queue will never take, before it is dropped.
bool Outbox::report_lost(uint64_t index, const Status& status) {
  LOG_ERROR("outbox: the queue refused a message for good: {}", status.to_string());
  const auto bytes = file_->read(index);
  v1::PutMessage message;
  if (!bytes.has_value() || !message.ParseFromString(*bytes)) {
    fail(data_loss("outbox message that cannot be read"));
    return false;
  }
  if (hooks_.lost) hooks_.lost(message, status);
  return true;
}

// Drops what the queue has.
bool Outbox::settle() {
  const uint64_t count = take_answers();
  if (count == 0) return true;
  for (const auto& [index, refusal] : std::exchange(refused_, {})) {
    if (!report_lost(index, refusal)) return false;
  }
  Status status = file_->confirm(count);
  if (status.ok() && file_->count() == 0) status = file_->sync();
  std::vector<std::string> released;
  {
    base::MutexLock lock(mutex_);
    for (uint64_t i = 0; i < count; ++i) {
      const auto found = keys_.find(key_of_.front());
      if (--found->second == 0) {
        released.push_back(found->first);
        keys_.erase(found);
      }
      key_of_.pop_front();
    }
    file_bytes_ = file_->bytes();
    file_count_ = file_->count();
  }
  if (!status.ok()) {
    fail(status);
    return false;
  }
  for (const std::string& key : released) {
    if (hooks_.released) hooks_.released(key);
  }
  return true;
}

bool Outbox::fill() {
  while (true) {
    {
      base::MutexLock lock(shared_->mutex);
      if (shared_->pause.count() > 0) return true;
      const size_t in_flight = shared_->answers.size();
      if (in_flight >= options_.in_flight_max_count || in_flight >= file_->count()) return true;
    }
    if (!put_next()) return false;
  }
}

bool Outbox::put_next() {
  uint64_t index = 0;
  uint64_t ticket = 0;
  {
    base::MutexLock lock(shared_->mutex);
    index = shared_->answers.size();
    ticket = shared_->first_ticket + index;
    shared_->answers.emplace_back();
  }
  Status status;
  auto bytes = file_->read(index);
  v1::PutMessage message;
  if (!bytes.has_value()) {
    status = bytes.error();
  } else if (!message.ParseFromString(*bytes)) {
    status = data_loss("outbox message that does not parse");
  } else {
    queue::PutRequest request;
    request.order_key = std::move(*message.mutable_order_key());
    request.source_key = std::move(*message.mutable_source_key());
    request.source = std::move(*message.mutable_source());
    request.verdict = std::move(*message.mutable_verdict());
    request.envelope = std::move(*message.mutable_envelope());
    request.body = std::move(*message.mutable_body());
    const auto done = [shared = shared_, ticket](Result<queue::PutOutcome> outcome) {
      base::MutexLock lock(shared->mutex);
      if (ticket < shared->first_ticket) return;
      shared->answers[ticket - shared->first_ticket] = outcome.error();
      shared->is_woken = true;
      shared->changed.notify_one();
    };
    status = client_.put(std::move(request), kNoDeadline, done);
  }
  if (status.ok()) return true;
  base::MutexLock lock(shared_->mutex);
  if (status.code() == StatusCode::kInvalidArgument) {
    shared_->answers.back() = status;  // refused for good: settle() reports it
    shared_->is_woken = true;
    return true;
  }
  if (status.code() == StatusCode::kFailedPrecondition) is_fenced_ = true;
  shared_->answers.pop_back();
  shared_->pause = kRetryPause;
  if (status.code() != StatusCode::kDataLoss) return true;
  lock.unlock();
  fail(status);
  return false;
}

void Outbox::fail(const Status& status) {
  LOG_ERROR("outbox: the disk failed, nothing is taken any more: {}", status.to_string());
  std::deque<Pending> refused;
  {
    base::MutexLock lock(mutex_);
    is_open_ = false;
    refused.swap(pending_);
    pending_bytes_ = 0;
  }
  for (const Pending& pending : refused) {
    if (pending.done) pending.done(status);
  }
  if (hooks_.failed) hooks_.failed(status);
}

}  // namespace verbatim::collector
