#include "adapters/check/check_hub.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "base/grpc_server.h"
#include "base/mutex.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::adapters::check {
namespace {

using Clock = std::chrono::steady_clock;
using GrpcStream = grpc::ServerReaderWriter<v1::ToAdapter, v1::FromAdapter>;

constexpr size_t kChunkEvents = 50;

class LiveStream final : public HubStream {
 public:
  LiveStream(grpc::ServerContext& context, GrpcStream& stream)
      : context_(&context), stream_(&stream), heard_at_(Clock::now()) {}
  ~LiveStream() override { end(); }

  bool send(const v1::ToAdapter& message) override {
    base::MutexLock lock(write_mutex_);
    return stream_ != nullptr && stream_->Write(message);
  }
  Result<v1::FromAdapter> next(milliseconds timeout) override {
    base::MutexLock lock(mutex_);
    changed_.wait_for(mutex_, timeout,
                      [this]() REQUIRES(mutex_) { return has_ended_ || !inbox_.empty(); });
    if (!inbox_.empty()) {
      v1::FromAdapter message = std::move(inbox_.front());
      inbox_.pop_front();
      return message;
    }
    if (has_ended_) return unavailable("the adapter ended the stream");
    return deadline_exceeded("nothing came for " + std::to_string(timeout.count()) + " ms");
  }
  // Without the write lock: it frees a write that is stuck.
  void cut() override {
    base::MutexLock lock(mutex_);
    if (!has_ended_) context_->TryCancel();
  }
  bool has_ended() override {
    base::MutexLock lock(mutex_);
    return has_ended_;
  }
  Heard take_heard() override {
    base::MutexLock lock(mutex_);
    note_gap();
    return std::exchange(heard_, Heard());
  }

  void push(v1::FromAdapter message) {
    base::MutexLock lock(mutex_);
    note_gap();
    ++heard_.count;
    const bool is_first = !std::exchange(has_heard_, true);
    if (message.kind_case() == v1::FromAdapter::kHeartbeat && !is_first) return;
    inbox_.push_back(std::move(message));
    changed_.notify_all();
  }
  // The handler returns: nothing of gRPC may be touched any more.
  void end() {
    {
      base::MutexLock lock(mutex_);
      has_ended_ = true;
      changed_.notify_all();
    }
    {
      base::MutexLock lock(write_mutex_);
      stream_ = nullptr;
    }
    if (beating_.joinable()) beating_.join();
  }

 protected:
  void beat(milliseconds interval) override {
    beating_ = std::thread([this, interval] {
      v1::ToAdapter message;
      message.mutable_heartbeat();
      while (send(message)) {
        base::MutexLock lock(mutex_);
        if (changed_.wait_for(mutex_, interval, [this]() REQUIRES(mutex_) { return has_ended_; })) {
          return;
        }
      }
    });
  }

 private:
  void note_gap() REQUIRES(mutex_) {
    const Clock::time_point now = Clock::now();
    heard_.longest_gap =
        std::max(heard_.longest_gap, std::chrono::duration_cast<milliseconds>(now - heard_at_));
    heard_at_ = now;
  }

  grpc::ServerContext* const context_;
  base::Mutex write_mutex_;
  GrpcStream* stream_ GUARDED_BY(write_mutex_);
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<v1::FromAdapter> inbox_ GUARDED_BY(mutex_);
  bool has_ended_ GUARDED_BY(mutex_) = false;
  Clock::time_point heard_at_ GUARDED_BY(mutex_);
  Heard heard_ GUARDED_BY(mutex_);
  bool has_heard_ GUARDED_BY(mutex_) = false;
  std::thread beating_;
};

}  // namespace

void HubStream::welcome(const Welcome& welcome) {
  v1::ToAdapter message;
  v1::AdapterWelcome& fields = *message.mutable_welcome();
  fields.set_store_epoch(welcome.store_epoch);
  fields.set_heartbeat_ms(welcome.heartbeat.count());
  fields.set_last_acked_batch(welcome.last_acked_batch);
  fields.set_last_acked_digest(welcome.last_acked_digest);
  *fields.mutable_settings() = {welcome.settings.begin(), welcome.settings.end()};
  send(message);
  beat(welcome.heartbeat);
}

void HubStream::stand_by() {
  v1::ToAdapter message;
  message.mutable_activity()->set_is_active(false);
  send(message);
}

void HubStream::activate(uint64_t last_acked_batch, const std::string& last_acked_digest) {
  v1::ToAdapter message;
  v1::Activity& activity = *message.mutable_activity();
  activity.set_is_active(true);
  activity.set_last_acked_batch(last_acked_batch);
  activity.set_last_acked_digest(last_acked_digest);
  send(message);
}

void HubStream::send_batch(const TestBatch& batch, uint64_t store_epoch, Damage damage) {
  v1::ToAdapter message;
  v1::BatchBegin& begin = *message.mutable_begin();
  begin.set_batch(batch.number());
  begin.set_store_epoch(store_epoch);
  begin.set_header(batch.header_bytes);
  begin.set_event_count(batch.event_count());
  for (const std::string& event : batch.events) {
    begin.set_body_bytes(begin.body_bytes() + event.size());
  }
  send(message);
  const size_t sent = batch.events.size() - (damage == Damage::kMissingEvent ? 1 : 0);
  for (size_t at = 0; at < sent; at += kChunkEvents) {
    v1::BatchChunk& chunk = *message.mutable_chunk();
    chunk.Clear();
    chunk.set_batch(batch.number());
    for (size_t i = at; i < std::min(at + kChunkEvents, sent); ++i) {
      chunk.add_events(batch.events[i]);
    }
    send(message);
  }
  v1::BatchEnd& end = *message.mutable_end();
  end.set_batch(batch.number());
  std::string digest = batch.digest;
  if (damage == Damage::kDigest) digest[0] = static_cast<char>(digest[0] ^ 1);
  end.set_digest(digest);
  send(message);
}

void HubStream::ask_state(uint64_t batch, const std::string& digest) {
  v1::ToAdapter message;
  message.mutable_batch_state()->set_batch(batch);
  message.mutable_batch_state()->set_digest(digest);
  send(message);
}

class CheckHub::Service final : public v1::AdapterHub::Service {
 public:
  grpc::Status Attach(grpc::ServerContext* context, GrpcStream* stream) override {
    const auto live = std::make_shared<LiveStream>(*context, *stream);
    {
      base::MutexLock lock(mutex_);
      waiting_.push_back(live);
      changed_.notify_all();
    }
    v1::FromAdapter message;
    while (stream->Read(&message)) live->push(std::move(message));
    live->end();
    return grpc::Status::OK;
  }

  Result<std::shared_ptr<HubStream>> wait_stream(milliseconds timeout) {
    base::MutexLock lock(mutex_);
    // A stream that has ended before anybody took it is of no use.
    const auto drop_ended = [this]() REQUIRES(mutex_) {
      std::erase_if(waiting_, [](const auto& stream) { return stream->has_ended(); });
      return !waiting_.empty();
    };
    if (!changed_.wait_for(mutex_, timeout, drop_ended)) {
      return deadline_exceeded("no adapter has attached within " + std::to_string(timeout.count()) +
                               " ms");
    }
    std::shared_ptr<HubStream> stream = waiting_.front();
    waiting_.pop_front();
    return stream;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::shared_ptr<LiveStream>> waiting_ GUARDED_BY(mutex_);
};

struct CheckHub::State {
  Service service;
  std::unique_ptr<base::GrpcServer> server;
};

CheckHub::CheckHub(std::unique_ptr<State> state) : state_(std::move(state)) {}

CheckHub::~CheckHub() { state_->server->stop(); }

Result<std::unique_ptr<CheckHub>> CheckHub::start(const std::string& address) {
  auto state = std::make_unique<State>();
  base::GrpcServerOptions options;
  options.stop_deadline = milliseconds(100);
  ASSIGN_OR_RETURN(state->server, base::GrpcServer::start(address, {&state->service}, options));
  return std::unique_ptr<CheckHub>(new CheckHub(std::move(state)));
}

const std::string& CheckHub::address() const { return state_->server->bound_address(); }

Result<std::shared_ptr<HubStream>> CheckHub::wait_stream(milliseconds timeout) {
  return state_->service.wait_stream(timeout);
}

}  // namespace verbatim::adapters::check
