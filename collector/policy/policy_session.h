// PolicySession: one attached plugin stream as the chain sees it. The chain pushes, the stream's
// writer takes; nothing of gRPC is in here. A component link that we dialled looks the same.
//
// I1 After close() nothing more is given out and every push is refused; the first reason stands.
// I2 At most kNoticesMaxCount notices wait; beyond that the newest is dropped and counted, as no
// one
//    waits for it. Questions are bounded by the credit.
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "collector/policy/policy_question.h"
#include "verbatim/v1/policy.pb.h"

namespace verbatim::collector {

class PolicySession {
 public:
  static constexpr size_t kNoticesMaxCount = 4'096;

  // A message; of a question or notice all but the event, which the subject gives when it is
  // written.
  struct Outgoing {
    v1::ToPolicy message;
    std::shared_ptr<const PolicySubject> subject;

    // The whole message.
    v1::ToPolicy take();
  };

  explicit PolicySession(v1::PolicyHello hello = {}) : hello_(std::move(hello)) {}

  // Set once, before the session is shared.
  void set_hello(v1::PolicyHello hello) { hello_ = std::move(hello); }
  const v1::PolicyHello& hello() const { return hello_; }

  // False once it is closed.
  bool push(v1::ToPolicy message, std::shared_ptr<const PolicySubject> subject = nullptr);

  // Waits for all there is to write; empty once closed.
  std::vector<Outgoing> next();
  // The same without waiting.
  std::vector<Outgoing> try_next();

  void close(Status reason);
  // Called once closed, by whoever closes; must not block. Null: no more.
  void set_on_close(std::function<void()> on_close);
  bool is_closed() const;
  Status close_reason() const;

  void heard_at(std::chrono::nanoseconds now) { heard_ns_ = now.count(); }
  std::chrono::nanoseconds last_heard() const { return std::chrono::nanoseconds(heard_ns_.load()); }
  int64_t dropped_notice_count() const { return dropped_notice_count_; }

 private:
  v1::PolicyHello hello_;
  std::atomic<int64_t> heard_ns_{0};
  std::atomic<int64_t> dropped_notice_count_{0};
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<Outgoing> outbox_ GUARDED_BY(mutex_);
  size_t notice_count_ GUARDED_BY(mutex_) = 0;
  bool is_closed_ GUARDED_BY(mutex_) = false;
  Status reason_ GUARDED_BY(mutex_);
  base::Mutex on_close_mutex_;
  std::function<void()> on_close_ GUARDED_BY(on_close_mutex_);
};

}  // namespace verbatim::collector
