// PeerStream: one client stream to a service of ours, from dialling to its end. Internal to the
// SDK: the hub's stream (hub_connection.h) and the policy broker's (policy_connection.h) are two of
// these.
//
// A reading thread hands what comes in to `take`, which fills the inbox; a heartbeat thread writes
// heartbeats and ends a stream whose other side is silent.
//
// I1 After the end of the stream next() gives the reason, whatever still waits in the inbox: it
//    could not be answered any more.
//
// Threads: next() from one thread; write(), stop_waiting() and end_with() from any; push() and
// wait_push() from `take` only, on the reading thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/grpc_status.h"
#include "base/mutex.h"
#include "base/status.h"

namespace verbatim::adapters {

// A channel without keys, on which nothing but our own delays slows an attempt down.
inline std::shared_ptr<grpc::Channel> make_peer_channel(const std::string& address,
                                                        uint64_t message_max_bytes) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_max_bytes));
  // The delays between attempts are ours: no back-off of an earlier channel may add to them.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Out and In: the messages of the stream. Input: what the session's loop acts on.
template <class Out, class In, class Input>
class PeerStream {
 public:
  struct Options {
    // For messages: "hub".
    std::string peer;
    Out heartbeat;
    // A peer that sends nothing for so many of its own heartbeat intervals is gone.
    int silence_intervals = 10;
    // Turns what came in into inputs; false ends the stream, and end_with() has said why.
    std::function<bool(In&)> take;
    // stop_waiting() lets next() first give what came in before it.
    bool has_last_inputs = false;
  };

  explicit PeerStream(Options options) : options_(std::move(options)), last_heard_ms_(now_ms()) {}
  // Cancels and joins.
  ~PeerStream() {
    {
      base::MutexLock lock(mutex_);
      is_heartbeat_over_ = true;
      is_closed_ = true;
      changed_.notify_all();
    }
    context_.TryCancel();
    if (reader_.joinable()) reader_.join();
    if (heartbeat_.joinable()) heartbeat_.join();
  }
  PeerStream(const PeerStream&) = delete;
  PeerStream& operator=(const PeerStream&) = delete;

  // Dials, says hello and starts reading. `attach(context)` opens the stream. Errors: kUnavailable.
  template <class Attach>
  Status open(Attach attach, const Out& hello, std::chrono::milliseconds welcome_deadline) {
    stream_ = attach(&context_);
    reader_ = std::thread([this] { read_loop(); });
    // Until the welcome tells the real interval, the deadline is the silence that ends it.
    watch(std::max(welcome_deadline / options_.silence_intervals, std::chrono::milliseconds(1)),
          false);
    return write(hello);
  }

  // Starts the heartbeats (after the welcome), and the watch over the peer's.
  void start_heartbeat(std::chrono::milliseconds interval) { watch(interval, true); }

  // Waits for the next input. Errors: kCancelled after stop_waiting(), else why the stream ended.
  Result<Input> next() {
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) {
      return !inbox_.empty() || has_ended_ || is_stopping_;
    });
    if (is_stopping_ && last_inputs_count_ == 0) return cancelled("stopping");
    if (has_ended_) return end_reason_;
    if (is_stopping_) --last_inputs_count_;
    Input input = std::move(inbox_.front());
    inbox_.pop_front();
    changed_.notify_all();
    return input;
  }
  // Something waits in the inbox, so that more will be written soon.
  bool has_next() {
    base::MutexLock lock(mutex_);
    return !inbox_.empty();
  }

  // Errors: kUnavailable when the stream is gone.
  Status write(const Out& message, grpc::WriteOptions options = {}) {
    base::MutexLock lock(write_mutex_);
    if (!is_writing_over_ && stream_->Write(message, options)) return {};
    return unavailable("the stream to the " + options_.peer + " is gone");
  }
  // Says that there is nothing more to send, and gives what is under way some time.
  void finish(std::chrono::milliseconds deadline) {
    {
      base::MutexLock lock(write_mutex_);
      if (!is_writing_over_) stream_->WritesDone();
      is_writing_over_ = true;
    }
    base::MutexLock lock(mutex_);
    is_closed_ = true;
    changed_.notify_all();
    changed_.wait_for(mutex_, deadline, [this]() REQUIRES(mutex_) { return has_ended_; });
  }

  // Why the stream ended; waits a moment where that is still under way, then gives `otherwise`.
  Status end_reason_or(const Status& otherwise) {
    base::MutexLock lock(mutex_);
    const bool is_known = changed_.wait_for(mutex_, std::chrono::seconds(1),
                                            [this]() REQUIRES(mutex_) { return has_ended_; });
    return is_known ? end_reason_ : otherwise;
  }
  // The first reason stays.
  void end_with(Status reason) {
    base::MutexLock lock(mutex_);
    end_locked(std::move(reason));
  }

  // Makes next() return, now or at its next call.
  void stop_waiting() {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    last_inputs_count_ = options_.has_last_inputs ? inbox_.size() : 0;
    changed_.notify_all();
  }

  // Adds to the inbox if `may_add(inbox)` says so, else ends the stream with `refusal`.
  template <class MayAdd>
  bool push(Input input, MayAdd may_add, const char* refusal) {
    base::MutexLock lock(mutex_);
    if (!may_add(std::as_const(inbox_))) {
      end_locked(failed_precondition(refusal));
      return false;
    }
    inbox_.push_back(std::move(input));
    changed_.notify_all();
    return true;
  }
  // Adds to the inbox, once fewer than `max_count` wait in it: the peer is slowed down.
  bool wait_push(Input input, size_t max_count) {
    base::MutexLock lock(mutex_);
    is_reader_waiting_ = true;
    changed_.wait(mutex_, [this, max_count]() REQUIRES(mutex_) {
      return inbox_.size() < max_count || has_ended_ || is_closed_;
    });
    is_reader_waiting_ = false;
    last_heard_ms_ = now_ms();
    if (is_closed_) return true;  // nobody takes it any more, but the end of the stream is read
    inbox_.push_back(std::move(input));
    changed_.notify_all();
    return true;
  }

 private:
  static constexpr std::chrono::milliseconds kSilenceMin{2'000};

  static int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void end_locked(Status reason) REQUIRES(mutex_) {
    if (has_ended_) return;
    end_reason_ = std::move(reason);
    has_ended_ = true;
    changed_.notify_all();
  }

  void read_loop() {
    In message;
    while (stream_->Read(&message)) {
      last_heard_ms_ = now_ms();
      if (!options_.take(message)) context_.TryCancel();
    }
    {
      // A write that is under way has been told that the stream is gone; none may follow Finish().
      base::MutexLock lock(write_mutex_);
      is_writing_over_ = true;
    }
    const grpc::Status status = stream_->Finish();
    end_with(status.ok() ? unavailable("the " + options_.peer + " ended the stream")
                         : base::from_grpc(status));
  }

  // Before the welcome it only watches.
  void watch(std::chrono::milliseconds interval, bool has_welcome) {
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

  void heartbeat_loop(std::chrono::milliseconds interval, bool has_welcome) {
    const int64_t silence_max_ms =
        std::max(interval * options_.silence_intervals, kSilenceMin).count();
    while (true) {
      {
        base::MutexLock lock(mutex_);
        if (changed_.wait_for(mutex_, interval / 2, [this]() REQUIRES(mutex_) {
              return is_heartbeat_over_ || has_ended_;
            })) {
          return;
        }
        // What the peer has sent lies unread while the inbox is full: that is no silence.
        if (is_reader_waiting_) last_heard_ms_ = now_ms();
      }
      if (now_ms() - last_heard_ms_ > silence_max_ms) {
        end_with(deadline_exceeded("the " + options_.peer + " is silent"));
        context_.TryCancel();
        return;
      }
      // A write that is under way, even a blocked one, must not keep this thread from watching.
      if (!has_welcome || !write_mutex_.try_lock()) continue;
      if (!is_writing_over_) stream_->Write(options_.heartbeat);
      write_mutex_.unlock();
    }
  }

  const Options options_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Out, In>> stream_;

  base::Mutex write_mutex_;  // one writer at a time
  bool is_writing_over_ GUARDED_BY(write_mutex_) = false;
  std::atomic<int64_t> last_heard_ms_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Input> inbox_ GUARDED_BY(mutex_);
  Status end_reason_ GUARDED_BY(mutex_);
  bool has_ended_ GUARDED_BY(mutex_) = false;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  size_t last_inputs_count_ GUARDED_BY(mutex_) = 0;
  bool is_closed_ GUARDED_BY(mutex_) = false;
  bool is_reader_waiting_ GUARDED_BY(mutex_) = false;
  bool is_heartbeat_over_ GUARDED_BY(mutex_) = false;

  std::thread reader_;
  std::thread heartbeat_;
};

}  // namespace verbatim::adapters
