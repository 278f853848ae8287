// FakeStream and FakeAttach: the server's side of a bidirectional stream that a plugin dials,
// played by a test step by step. fake_hub.h and fake_policy_broker.h are made of these.
//
// Threads: a test drives it from one; gRPC's own threads are behind it. Waits end after 20 s.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/mutex.h"

namespace verbatim::testing {

inline constexpr std::chrono::seconds kStreamPatience{20};

// Base: the interface that a test sees, with send(), cancel(), wait_for(), count(), wait_end(), and
// the member hello_. To, From: the messages.
template <class Base, class To, class From>
class FakeStream final : public Base {
 public:
  using GrpcStream = grpc::ServerReaderWriter<To, From>;
  using Kind = typename From::KindCase;

  FakeStream(grpc::ServerContext& context, GrpcStream& stream, const From& hello)
      : context_(&context), stream_(&stream) {
    this->hello_ = hello.hello();
  }

  void send(const To& message) override {
    base::MutexLock lock(mutex_);
    if (stream_ != nullptr) stream_->Write(message);
  }
  void cancel() override {
    base::MutexLock lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  From wait_for(Kind kind) override {
    base::MutexLock lock(inbox_mutex_);
    From found;
    const auto has_found = [&]() REQUIRES(inbox_mutex_) {
      while (!inbox_.empty()) {
        found = std::move(inbox_.front());
        inbox_.pop_front();
        if (found.kind_case() == kind) return true;
      }
      return false;
    };
    const bool has_come = changed_.wait_for(inbox_mutex_, kStreamPatience, has_found);
    CHECK(has_come, "the plugin did not send what was waited for");
    return found;
  }
  int count(Kind kind) override {
    base::MutexLock lock(inbox_mutex_);
    return static_cast<int>(
        std::count_if(inbox_.begin(), inbox_.end(),
                      [kind](const From& message) { return message.kind_case() == kind; }));
  }
  void wait_end() override {
    base::MutexLock lock(inbox_mutex_);
    const bool has_ended = changed_.wait_for(
        inbox_mutex_, kStreamPatience, [this]() REQUIRES(inbox_mutex_) { return has_ended_; });
    CHECK(has_ended, "the plugin did not end the stream");
  }

  void push(From message) {
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
  std::deque<From> inbox_ GUARDED_BY(inbox_mutex_);
  bool has_ended_ GUARDED_BY(inbox_mutex_) = false;
};

// Service: the generated service with the method Attach.
template <class Service, class Stream, class To, class From>
class FakeAttach final : public Service {
 public:
  grpc::Status Attach(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<To, From>* stream) override {
    From message;
    if (!stream->Read(&message) || !message.has_hello()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "no hello"};
    }
    auto state = std::make_shared<Stream>(*context, *stream, message);
    {
      base::MutexLock lock(mutex_);
      waiting_.push_back(state);
      changed_.notify_all();
    }
    while (stream->Read(&message)) state->push(std::move(message));
    state->end();
    return grpc::Status::OK;
  }

  // The next stream that a plugin opens, its hello read. CHECKs that it comes.
  std::shared_ptr<Stream> wait_stream() {
    base::MutexLock lock(mutex_);
    const bool has_come = changed_.wait_for(
        mutex_, kStreamPatience, [this]() REQUIRES(mutex_) { return !waiting_.empty(); });
    CHECK(has_come, "no plugin has attached");
    auto stream = waiting_.front();
    waiting_.pop_front();
    return stream;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::shared_ptr<Stream>> waiting_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::testing
