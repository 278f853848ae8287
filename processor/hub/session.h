// Session: one attached stream as the hub's logic sees it. The logic pushes, the stream's writer
// takes; nothing of gRPC is in here.
//
// I1 After close() nothing more is given out and every push is refused; the first reason stands.
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/status.h"
#include "processor/staging/sealed_batch.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::processor {

class Session {
 public:
  // Either a message or a whole batch, which the writer turns into frames (batch_frames.h).
  struct Outgoing {
    v1::ToAdapter message;
    std::shared_ptr<const LoadedBatch> batch;
    uint64_t store_epoch = 0;
  };

  explicit Session(v1::AdapterHello hello = {}) : hello_(std::move(hello)) {}

  // Set once, before the session is shared.
  void set_hello(v1::AdapterHello hello) { hello_ = std::move(hello); }
  const v1::AdapterHello& hello() const { return hello_; }

  // False when it is closed, or full (the writer has stopped; the session is closed then).
  bool push(v1::ToAdapter message);
  bool push_batch(std::shared_ptr<const LoadedBatch> batch, uint64_t store_epoch);

  // Waits for the next thing to write; nothing once closed.
  std::optional<Outgoing> next();
  // The same without waiting, for tests.
  std::optional<Outgoing> try_next();

  void close(Status reason);
  // Called once closed, by whoever closes; must not block. Once replaced it is called no more.
  void set_on_close(std::function<void()> on_close);
  bool is_closed() const;
  Status close_reason() const;
  // Waits until closed; false when the time ran out.
  bool wait_closed(std::chrono::milliseconds timeout);

  // When the adapter was heard last, on the hub's monotonic clock.
  void heard_at(std::chrono::nanoseconds now) { heard_ns_ = now.count(); }
  std::chrono::nanoseconds last_heard() const { return std::chrono::nanoseconds(heard_ns_.load()); }

 private:
  bool push_outgoing(Outgoing outgoing);

  v1::AdapterHello hello_;
  std::atomic<int64_t> heard_ns_{0};
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Outgoing> outbox_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
  Status reason_ GUARDED_BY(mutex_);
  base::Mutex on_close_mutex_;
  std::function<void()> on_close_ GUARDED_BY(on_close_mutex_);
};

}  // namespace verbatim::processor
