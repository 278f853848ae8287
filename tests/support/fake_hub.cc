#include "tests/support/fake_hub.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include "base/check.h"
#include "base/grpc_server.h"
#include "base/mutex.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};

using GrpcStream = grpc::ServerReaderWriter<v1::ToAdapter, v1::FromAdapter>;

class StreamState final : public FakeHub::Stream {
 public:
  StreamState(grpc::ServerContext& context, GrpcStream& stream, v1::AdapterHello hello)
      : context_(&context), stream_(&stream) {
    hello_ = std::move(hello);
  }

  void send(const v1::ToAdapter& message) override {
    base::MutexLock lock(mutex_);
    if (stream_ != nullptr) stream_->Write(message);
  }
  void cancel() override {
    base::MutexLock lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  v1::FromAdapter wait_for(v1::FromAdapter::KindCase kind) override {
    base::MutexLock lock(inbox_mutex_);
    v1::FromAdapter found;
    const bool has_come = changed_.wait_for(inbox_mutex_, kPatience, [&]() REQUIRES(inbox_mutex_) {
      while (!inbox_.empty()) {
        found = std::move(inbox_.front());
        inbox_.pop_front();
        if (found.kind_case() == kind) return true;
      }
      return false;
    });
    CHECK(has_come, "the adapter did not send what was waited for");
    return found;
  }
  int count(v1::FromAdapter::KindCase kind) override {
    base::MutexLock lock(inbox_mutex_);
    return static_cast<int>(
        std::count_if(inbox_.begin(), inbox_.end(),
                      [kind](const auto& message) { return message.kind_case() == kind; }));
  }
  void wait_end() override {
    base::MutexLock lock(inbox_mutex_);
    const bool has_ended = changed_.wait_for(
        inbox_mutex_, kPatience, [this]() REQUIRES(inbox_mutex_) { return has_ended_; });
    CHECK(has_ended, "the adapter did not end the stream");
  }

  void push(v1::FromAdapter message) {
    base::MutexLock lock(inbox_mutex_);
    inbox_.push_back(std::move(message));
    changed_.notify_all();
  }
  void end() {
    {
      base::MutexLock lock(mutex_);
      context_ = nullptr;
      stream_ = nullptr;
    }
    base::MutexLock lock(inbox_mutex_);
    has_ended_ = true;
    changed_.notify_all();
  }

 private:
  base::Mutex mutex_;  // one writer at a time
  grpc::ServerContext* context_ GUARDED_BY(mutex_);
  GrpcStream* stream_ GUARDED_BY(mutex_);
  base::Mutex inbox_mutex_;
  base::CondVar changed_;
  std::deque<v1::FromAdapter> inbox_ GUARDED_BY(inbox_mutex_);
  bool has_ended_ GUARDED_BY(inbox_mutex_) = false;
};

}  // namespace

class FakeHub::Service final : public v1::AdapterHub::Service {
 public:
  grpc::Status Attach(grpc::ServerContext* context, GrpcStream* stream) override {
    v1::FromAdapter message;
    if (!stream->Read(&message) || !message.has_hello()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "no hello"};
    }
    auto state = std::make_shared<StreamState>(*context, *stream, message.hello());
    {
      base::MutexLock lock(mutex_);
      waiting_.push_back(state);
      changed_.notify_all();
    }
    while (stream->Read(&message)) state->push(std::move(message));
    state->end();
    return grpc::Status::OK;
  }

  std::shared_ptr<StreamState> wait_stream() {
    base::MutexLock lock(mutex_);
    const bool has_come = changed_.wait_for(
        mutex_, kPatience, [this]() REQUIRES(mutex_) { return !waiting_.empty(); });
    CHECK(has_come, "no adapter has attached");
    auto stream = waiting_.front();
    waiting_.pop_front();
    return stream;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::shared_ptr<StreamState>> waiting_ GUARDED_BY(mutex_);
};

struct FakeHub::State {
  Service service;
  std::unique_ptr<base::GrpcServer> server;
};

FakeHub::FakeHub(int port) : state_(std::make_unique<State>()) {
  base::GrpcServerOptions options;
  options.stop_deadline = std::chrono::milliseconds(0);
  options.message_size_max_bytes = 128 << 20;
  auto server =
      base::GrpcServer::start("127.0.0.1:" + std::to_string(port), {&state_->service}, options);
  CHECK(server.has_value(), "the fake hub could not listen: " + server.error().message());
  state_->server = *std::move(server);
}
FakeHub::~FakeHub() = default;

std::shared_ptr<FakeHub::Stream> FakeHub::wait_stream() { return state_->service.wait_stream(); }
int FakeHub::port() const { return state_->server->port(); }

void FakeHub::Stream::welcome(uint64_t store_epoch, uint64_t acked, const std::string& digest,
                              int64_t heartbeat_ms) {
  v1::ToAdapter message;
  message.mutable_welcome()->set_store_epoch(store_epoch);
  message.mutable_welcome()->set_last_acked_batch(acked);
  message.mutable_welcome()->set_last_acked_digest(digest);
  message.mutable_welcome()->set_heartbeat_ms(heartbeat_ms);
  send(message);
}

void FakeHub::Stream::set_active(bool is_active) {
  v1::ToAdapter message;
  message.mutable_activity()->set_is_active(is_active);
  send(message);
}

void FakeHub::Stream::send_batch(const adapters::Batch& batch, uint64_t store_epoch,
                                 const std::string& digest, size_t chunk_count) {
  v1::ToAdapter message;
  v1::BatchBegin& begin = *message.mutable_begin();
  begin.set_batch(batch.number());
  begin.set_store_epoch(store_epoch);
  begin.set_header(batch.header_bytes());
  begin.set_event_count(batch.event_count());
  for (size_t i = 0; i < batch.event_count(); ++i) {
    begin.set_body_bytes(begin.body_bytes() + batch.event_bytes(i).size());
  }
  send(message);
  for (size_t part = 0; part < chunk_count; ++part) {
    message.mutable_chunk()->set_batch(batch.number());
    message.mutable_chunk()->clear_events();
    for (size_t i = batch.event_count() * part / chunk_count;
         i < batch.event_count() * (part + 1) / chunk_count; ++i) {
      message.mutable_chunk()->add_events(batch.event_bytes(i));
    }
    send(message);
  }
  message.mutable_end()->set_batch(batch.number());
  message.mutable_end()->set_digest(digest.empty() ? batch.digest() : digest);
  send(message);
}

void FakeHub::Stream::ask_state(const adapters::Batch& batch) {
  v1::ToAdapter message;
  message.mutable_batch_state()->set_batch(batch.number());
  message.mutable_batch_state()->set_digest(batch.digest());
  send(message);
}

}  // namespace verbatim::testing
