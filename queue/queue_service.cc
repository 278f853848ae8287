#include "queue/queue_service.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace verbatim::queue {
namespace {

// Frames taken before the log gets its turn.
constexpr int kFramesPerRound = 256;
constexpr std::chrono::milliseconds kPollInterval{20};
// Beyond the credit: what a frame may have around its put.
constexpr int64_t kFrameSlackBytes = 1024 * 1024;
// A group of at most this size is small.
constexpr uint64_t kSmallGroupBytes = 128 * 1024;
// A disk that writes and syncs a small group in this time is fast.
constexpr std::chrono::microseconds kFastSync{400};
// Up to this time nobody misses this thread while it writes a small group itself.
constexpr std::chrono::microseconds kWriteHereMax{1'000};
constexpr int kSyncTimeSmoothing = 16;
// On a slow one a small group waits for company, at most so long and at most this part of a sync.
constexpr std::chrono::microseconds kCompanyMax{2'000};
constexpr int kCompanyPart = 4;
constexpr int kHighWaterMarkCount = 512;

base::ZmqOptions socket_options(const QueueServiceOptions& service) {
  base::ZmqOptions options;
  options.frame_size_max_bytes = service.core.client_credit_bytes + kFrameSlackBytes;
  options.high_water_mark_count = kHighWaterMarkCount;
  options.curve = service.curve;
  options.is_watched = true;
  return options;
}

}  // namespace

QueueService::QueueService(base::Clock& clock, const QueueServiceOptions& options,
                           std::unique_ptr<QueueCore> core)
    : clock_(clock), options_(options), core_(std::move(core)) {}

Result<std::unique_ptr<QueueService>> QueueService::start(base::FileSystem& file_system,
                                                          base::Clock& clock,
                                                          const QueueServiceOptions& options) {
  ASSIGN_OR_RETURN(auto core, QueueCore::open(file_system, clock, options.core));
  std::unique_ptr<QueueService> service(new QueueService(clock, options, std::move(core)));
  RETURN_IF_ERROR(service->listen());
  QueueService* self = service.get();
  self->writer_ = std::make_unique<LogWriter>(self->core_->log(), [self] { self->waker_.wake(); });
  self->thread_ = std::thread([self] { self->run(); });
  return service;
}

Status QueueService::listen() {
  ASSIGN_OR_RETURN(auto socket, base::ZmqSocket::create(context_, base::ZmqType::kRouter,
                                                        socket_options(options_)));
  socket_ = std::make_unique<base::ZmqSocket>(std::move(socket));
  ASSIGN_OR_RETURN(bound_endpoint_, socket_->bind(options_.listen));
  return {};
}

QueueService::~QueueService() { stop(); }

void QueueService::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
  }
  waker_.wake();
  if (thread_.joinable()) thread_.join();
  writer_.reset();
  base::MutexLock lock(mutex_);
  if (socket_ != nullptr) last_refusals_ = socket_->refusals();
  socket_.reset();
}

base::ZmqRefusals QueueService::refused_connections() const {
  base::MutexLock lock(mutex_);
  return socket_ != nullptr ? socket_->refusals() : last_refusals_;
}

Status QueueService::failure() const {
  base::MutexLock lock(mutex_);
  return failure_;
}

void QueueService::fail(Status status) {
  LOG_ERROR("queue: the log failed, the service ends; nothing unsynced was answered: {}",
            status.to_string());
  base::MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = std::move(status);
}

Status QueueService::call(const std::function<void(QueueCore&)>& work) {
  Call call{.work = &work};
  return run_call(call);
}

Status QueueService::change(const std::function<void(QueueCore&)>& work) {
  Call call{.work = &work, .must_be_durable = true};
  return run_call(call);
}

Status QueueService::run_call(Call& call) {
  base::MutexLock lock(mutex_);
  if (has_ended_) return unavailable("the queue service has ended");
  calls_.push_back(&call);
  waker_.wake();
  changed_.wait(mutex_, [&call] { return call.is_done; });
  return call.was_run ? Status() : unavailable("the queue service has ended");
}

void QueueService::run_calls() {
  std::deque<Call*> calls;
  {
    base::MutexLock lock(mutex_);
    calls.swap(calls_);
  }
  if (calls.empty()) return;
  std::vector<Call*> done;
  for (Call* call : calls) {
    (*call->work)(*core_);
    const Log& log = core_->log();
    if (call->must_be_durable && log.is_group_open()) {
      calls_behind_open_.push_back(call);
    } else if (call->must_be_durable && log.is_group_in_flight()) {
      calls_behind_flight_.push_back(call);
    } else {
      done.push_back(call);
    }
  }
  finish_calls(done);
}

void QueueService::finish_calls(std::vector<Call*>& calls) {
  if (calls.empty()) return;
  base::MutexLock lock(mutex_);
  for (Call* call : calls) call->is_done = call->was_run = true;
  calls.clear();
  changed_.notify_all();
}

void QueueService::run() {
  last_group_ = clock_.monotonic();
  while (true) {
    std::vector<base::PollItem> items;
    items.push_back({.fd = waker_.fd()});
    // A log that cannot take more is not given more: the senders' credit runs out instead.
    if (!core_->is_full_of_requests()) items.push_back({.socket = socket_.get()});
    const auto polled =
        base::poll(items, waits_for_company() ? std::chrono::milliseconds(0) : kPollInterval);
    if (!polled) fail(polled.error());
    waker_.clear();
    {
      base::MutexLock lock(mutex_);
      if (is_stopping_ || !failure_.ok()) break;
    }
    // Calls may take a while: what clients said meanwhile is heard before the tick looks for
    // silence.
    run_calls();
    read_frames();
    core_->tick();
    write_log();
    if (!core_->fatal().ok()) {
      fail(core_->fatal());
      continue;
    }
    send_replies();
    if (*polled == 0) core_->verify_some();
  }
  finish();
}

void QueueService::read_frames() {
  for (int i = 0; i < kFramesPerRound && !core_->is_full_of_requests(); ++i) {
    const auto has_one = socket_->receive_frame(message_);
    if (!has_one) return fail(has_one.error());
    if (!*has_one) return;
    read_frame(message_);
  }
}

void QueueService::read_frame(const base::ZmqMessage& message) {
  --expected_count_;
  if (message.frame_count != 1) return core_->handle_garbage(message.identity, 0);
  user_ = message.frame.user();
  core_->handle(message.identity, message.frame.bytes(), user_);
}

void QueueService::write_log() {
  if (auto done = writer_->take_done()) {
    if (!done->status.ok()) return fail(done->status);
    on_written(*done->group);
  }
  const Log& log = core_->log();
  if (!core_->fatal().ok() || log.is_group_in_flight() || waits_for_company()) return;
  submitted_ = clock_.monotonic();
  auto group = core_->seal();
  if (!group) {
    if (!log.ends_with_mark() && submitted_ - last_group_ >= options_.mark_after) {
      writer_->submit(core_->seal_mark());
    }
    return;
  }
  calls_behind_flight_ = std::exchange(calls_behind_open_, {});
  if (!is_written_here(*group)) return writer_->submit(std::move(group));
  if (const Status status = core_->log().write(*group); !status.ok()) return fail(status);
  on_written(*group);
}

// Two hand-overs to another thread take as long as a fast disk's sync; and a thread that is not
// asleep in a write is woken for each message that comes, where it would have taken them together
// (1.2 polls a message more, with 64 clients). A very slow disk, or a large group, is left to the
// writer: the next group fills meanwhile.
bool QueueService::is_written_here(const LogGroup& group) const {
  return group.bytes->size() <= kSmallGroupBytes && !group.begins_segment &&
         sync_time_ <= kWriteHereMax;
}

void QueueService::on_written(const LogGroup& group) {
  core_->group_done(group);
  finish_calls(calls_behind_flight_);
  last_group_ = clock_.monotonic();
  const auto taken = last_group_ - submitted_;
  if (group.bytes->size() <= kSmallGroupBytes && !group.begins_segment) {
    sync_time_ += (taken - sync_time_) / kSyncTimeSmoothing;
  }
  company_until_ = last_group_;
  if (taken > kFastSync) {
    company_until_ += std::min<std::chrono::nanoseconds>(taken / kCompanyPart, kCompanyMax);
  }
  send_replies();
}

bool QueueService::waits_for_company() const {
  const Log& log = core_->log();
  return expected_count_ > 0 && log.is_group_open() && !log.is_group_in_flight() &&
         log.open_bytes() < kSmallGroupBytes && clock_.monotonic() < company_until_;
}

// --- replies ---

void QueueService::send_replies() {
  retry_unsent();
  std::vector<Outgoing> replies = core_->take_outgoing();
  if (!replies.empty()) {
    // A consumer works on what it was given before it asks again.
    expected_count_ = std::count_if(replies.begin(), replies.end(),
                                    [](const Outgoing& one) { return one.lease_id == 0; });
  }
  for (Outgoing& outgoing : replies) {
#if defined(VERBATIM_FAULT_POINTS)
    if (options_.loses_answer && options_.loses_answer()) continue;
#endif
    const auto it = unsent_.find(outgoing.peer);
    if (it == unsent_.end() && send(outgoing)) continue;
    // Only clients have credit, and so a bound; for strangers nothing is kept.
    if (!core_->is_client(outgoing.peer)) {
      drop(outgoing);
      continue;
    }
    Unsent& unsent = unsent_[outgoing.peer];
    unsent.bytes += outgoing.frame.size();
    unsent.outgoing.push_back(std::move(outgoing));
    if (unsent.bytes <= options_.unsent_max_bytes) continue;
    const auto dropped = std::move(unsent.outgoing);
    unsent_.erase(dropped.front().peer);
    for (const Outgoing& lost : dropped) drop(lost);
  }
}

// False: the peer's buffer is full. A peer that is gone is dealt with here.
bool QueueService::send(Outgoing& outgoing) {
  base::ZmqFrame frame(std::move(outgoing.frame));
  const Status status = socket_->send_frame(outgoing.peer, frame);
  if (status.ok()) return true;
  if (status.code() == StatusCode::kResourceExhausted) {
    outgoing.frame = frame.bytes();
    return false;
  }
  drop(outgoing);
  return true;
}

void QueueService::drop(const Outgoing& outgoing) {
  ++dropped_count_;
  core_->undeliverable(outgoing);
}

void QueueService::retry_unsent() {
  for (auto it = unsent_.begin(); it != unsent_.end();) {
    Unsent& unsent = it->second;
    while (!unsent.outgoing.empty()) {
      const size_t bytes = unsent.outgoing.front().frame.size();
      if (!send(unsent.outgoing.front())) break;
      unsent.bytes -= bytes;
      unsent.outgoing.pop_front();
    }
    it = unsent.outgoing.empty() ? unsent_.erase(it) : std::next(it);
  }
}

// --- the end ---

void QueueService::finish() {
  core_->start_stopping();
  // The group on its way comes first; its writer is this service's own and ends by itself.
  while (core_->log().is_group_in_flight() && failure().ok()) {
    auto done = writer_->take_done();
    if (!done) {
      std::vector<base::PollItem> items;
      items.push_back({.fd = waker_.fd()});
      ignore_error(base::poll(items, kPollInterval), "a timeout only looks again");
      waker_.clear();
    } else if (!done->status.ok()) {
      fail(done->status);
    } else {
      core_->group_done(*done->group);
    }
  }
  if (failure().ok()) {
    Status status = core_->commit_group();
    if (status.ok()) status = core_->log().close();
    if (!status.ok()) fail(status);
  }
  if (failure().ok()) {
    send_replies();
    finish_calls(calls_behind_flight_);
    finish_calls(calls_behind_open_);
  }
  base::MutexLock lock(mutex_);
  has_ended_ = true;
  for (auto* calls : {&calls_behind_flight_, &calls_behind_open_}) {
    for (Call* call : *calls) call->is_done = true;
  }
  for (Call* call : calls_) call->is_done = true;
  calls_.clear();
  changed_.notify_all();
}

}  // namespace verbatim::queue
