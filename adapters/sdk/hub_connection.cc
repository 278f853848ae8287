#include "adapters/sdk/hub_connection.h"

#include <algorithm>
#include <utility>

#include "base/grpc_status.h"
#include "base/log.h"

namespace verbatim::adapters {
namespace {

// Batches (credit is one) and questions that may wait; more than that is a hub gone wrong.
constexpr size_t kInboxMaxCount = 64;
// A hub that sends nothing for so many of its own heartbeat intervals is gone.
constexpr int kSilenceIntervals = 10;
constexpr std::chrono::milliseconds kSilenceMin{2'000};

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const BatchLimits& limits) {
  grpc::ChannelArguments arguments;
  // One chunk may be one event of any size, and a begin holds the whole header.
  const uint64_t largest = std::max(limits.body_max_bytes, limits.header_max_bytes) + (1U << 20);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(largest));
  // The delays between attempts are ours: no back-off of an earlier channel may add to them.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

HubConnection::HubConnection(const std::string& address, const BatchLimits& limits)
    : channel_(make_channel(address, limits)),
      stub_(v1::AdapterHub::NewStub(channel_)),
      assembler_(limits),
      last_heard_ms_(now_ms()) {}

HubConnection::~HubConnection() {
  {
    base::MutexLock lock(mutex_);
    is_heartbeat_over_ = true;
    changed_.notify_all();
  }
  context_.TryCancel();
  if (reader_.joinable()) reader_.join();
  if (heartbeat_.joinable()) heartbeat_.join();
}

Status HubConnection::open(const v1::AdapterHello& hello,
                           std::chrono::milliseconds welcome_deadline) {
  stream_ = stub_->Attach(&context_);
  reader_ = std::thread([this] { read_loop(); });
  // Until the welcome tells the real interval, the deadline is the silence that ends it.
  watch(std::max(welcome_deadline / kSilenceIntervals, std::chrono::milliseconds(1)), false);
  v1::FromAdapter message;
  *message.mutable_hello() = hello;
  return write(message);
}

void HubConnection::start_heartbeat(std::chrono::milliseconds interval) { watch(interval, true); }

void HubConnection::watch(std::chrono::milliseconds interval, bool has_welcome) {
  if (heartbeat_.joinable()) {
    {
      base::MutexLock lock(mutex_);
      is_heartbeat_over_ = true;
      changed_.notify_all();
    }
    heartbeat_.join();
    base::MutexLock lock(mutex_);
    is_heartbeat_over_ = false;
  }
  heartbeat_ =
      std::thread([this, interval, has_welcome] { heartbeat_loop(interval, has_welcome); });
}

Result<HubInput> HubConnection::next() {
  base::MutexLock lock(mutex_);
  changed_.wait(
      mutex_, [this]() REQUIRES(mutex_) { return !inbox_.empty() || has_ended_ || is_stopping_; });
  if (is_stopping_) return cancelled("stopping");
  // A batch that came before the end of its stream could not be answered any more.
  if (has_ended_) return end_reason_;
  HubInput input = std::move(inbox_.front());
  inbox_.pop_front();
  return input;
}

Status HubConnection::write(const v1::FromAdapter& message) {
  base::MutexLock lock(write_mutex_);
  if (!is_writing_over_ && stream_->Write(message)) return {};
  return unavailable("the stream to the hub is gone");
}

void HubConnection::finish(std::chrono::milliseconds deadline) {
  {
    base::MutexLock lock(write_mutex_);
    if (!is_writing_over_) stream_->WritesDone();
    is_writing_over_ = true;
  }
  base::MutexLock lock(mutex_);
  changed_.wait_for(mutex_, deadline, [this]() REQUIRES(mutex_) { return has_ended_; });
}

Status HubConnection::end_reason_or(const Status& otherwise) {
  base::MutexLock lock(mutex_);
  const bool is_known = changed_.wait_for(mutex_, std::chrono::seconds(1),
                                          [this]() REQUIRES(mutex_) { return has_ended_; });
  return is_known ? end_reason_ : otherwise;
}

void HubConnection::stop_waiting() {
  base::MutexLock lock(mutex_);
  is_stopping_ = true;
  changed_.notify_all();
}

void HubConnection::read_loop() {
  v1::ToAdapter message;
  while (stream_->Read(&message)) {
    last_heard_ms_ = now_ms();
    if (!take(message)) context_.TryCancel();
  }
  {
    // A write that is under way has been told that the stream is gone; none may follow Finish().
    base::MutexLock lock(write_mutex_);
    is_writing_over_ = true;
  }
  const grpc::Status status = stream_->Finish();
  end_with(status.ok() ? unavailable("the hub ended the stream") : base::from_grpc(status));
}

bool HubConnection::take(v1::ToAdapter& message) {
  switch (message.kind_case()) {
    case v1::ToAdapter::kWelcome:
      return push(std::move(*message.mutable_welcome()));
    case v1::ToAdapter::kActivity:
      return push(message.activity());
    case v1::ToAdapter::kBegin:
      assembler_.begin(message.begin());
      return true;
    case v1::ToAdapter::kChunk: {
      const Status status = assembler_.chunk(std::move(*message.mutable_chunk()));
      if (!status.ok()) end_with(status);
      return status.ok();
    }
    case v1::ToAdapter::kEnd: {
      Result<AssembledBatch> batch = assembler_.end(message.end());
      if (!batch) end_with(batch.error());
      return batch && push(*std::move(batch));
    }
    case v1::ToAdapter::kBatchState:
      return push(std::move(*message.mutable_batch_state()));
    case v1::ToAdapter::kHeartbeat:
    case v1::ToAdapter::KIND_NOT_SET:  // from a newer hub
      return true;
  }
  return true;
}

bool HubConnection::push(HubInput input) {
  base::MutexLock lock(mutex_);
  if (std::holds_alternative<AssembledBatch>(input)) {
    const bool has_batch = std::any_of(inbox_.begin(), inbox_.end(), [](const HubInput& waiting) {
      return std::holds_alternative<AssembledBatch>(waiting);
    });
    if (has_batch || inbox_.size() >= kInboxMaxCount) {
      end_reason_ = failed_precondition("the hub sends more than the credit it was given");
      has_ended_ = true;
      changed_.notify_all();
      return false;
    }
  }
  inbox_.push_back(std::move(input));
  changed_.notify_all();
  return true;
}

void HubConnection::end_with(Status reason) {
  base::MutexLock lock(mutex_);
  if (has_ended_) return;
  end_reason_ = std::move(reason);
  has_ended_ = true;
  changed_.notify_all();
}

void HubConnection::heartbeat_loop(std::chrono::milliseconds interval, bool has_welcome) {
  const int64_t silence_max_ms = std::max(interval * kSilenceIntervals, kSilenceMin).count();
  v1::FromAdapter message;
  message.mutable_heartbeat();
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (changed_.wait_for(mutex_, interval / 2, [this]() REQUIRES(mutex_) {
            return is_heartbeat_over_ || has_ended_;
          })) {
        return;
      }
    }
    if (now_ms() - last_heard_ms_ > silence_max_ms) {
      end_with(deadline_exceeded("the hub is silent"));
      context_.TryCancel();
      return;
    }
    // A write that is under way, even a blocked one, must not keep this thread from watching.
    if (!has_welcome || !write_mutex_.try_lock()) continue;
    if (!is_writing_over_) stream_->Write(message);
    write_mutex_.unlock();
  }
}

int64_t HubConnection::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace verbatim::adapters
