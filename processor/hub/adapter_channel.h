// AdapterChannel: everything the hub decides for one adapter, without a thread or a stream.
//
// I1 At most one session is active; batches go to it alone. The next in line takes over when it is
//    gone, by the end of its stream or by silence.
// I2 At most one batch is under way; it is sent again, byte for byte, until staging holds its
//    acknowledgement or its replacement.
// I3 An acknowledgement counts only from the active session, under the present store epoch, with
//    the batch's digest. Anything else ends the session.
// I4 A rejected batch is replaced only after the adapter has answered "not applied" to BatchState;
//    "applied" counts as the acknowledgement; no clear answer means that it is sent again.
//
// Threads: attach, detach, receive, poke and status from any; step from one (run() in
// channel_thread.h). step() blocks on the disk.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "processor/hub/session.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {

struct ChannelOptions {
  std::string adapter;
  std::map<std::string, std::string> settings;
  uint64_t batch_events_max_count = 10'000;
  uint64_t batch_max_bytes = 64ULL << 20;
  std::chrono::milliseconds interval{5'000};
  // Not 0: batches are cut at the ends of run intervals only, and `interval` means nothing.
  std::chrono::minutes run_interval{0};
  std::chrono::milliseconds heartbeat{2'000};
  std::chrono::milliseconds silence_max{10'000};
  std::chrono::milliseconds retry_max{30'000};
  // False while the disk has no room for a write: then nothing is sealed, and what the adapter
  // answers waits. Empty: there always is.
  std::function<bool()> has_room = {};
};

// For people.
struct ChannelStatus {
  std::string state = "detached";
  std::string instance;
  std::string software;
  std::string last_reason;
  int64_t retry_count = 0;
  size_t session_count = 0;
  // The batch under way cannot be read as it was sealed; nothing is delivered until a restart.
  bool is_damaged = false;
};

class AdapterChannel {
 public:
  // `staging` and `clock` outlive the channel.
  AdapterChannel(Staging& staging, ChannelOptions options, const base::Clock& clock);

  void attach(std::shared_ptr<Session> session);
  void detach(const std::shared_ptr<Session>& session);
  // Takes a message of a session; too many unread ones close the session.
  void receive(const std::shared_ptr<Session>& session, v1::FromAdapter message);
  // New events may be there.
  void poke();
  // While it drains, whatever waits is due at once.
  void set_draining(bool is_draining);

  // Does all there is to do now; gives the time until there may be more to do by itself.
  std::chrono::nanoseconds step();
  // Waits for one of the calls above, at most so long.
  void wait(std::chrono::nanoseconds timeout);

  ChannelStatus status() const;
  // Ends all sessions with this reason, and those that come later.
  void close_all(const Status& reason);

 private:
  struct Attached {};
  struct Detached {};
  struct Input {
    std::shared_ptr<Session> session;
    std::variant<Attached, Detached, v1::FromAdapter> what;
  };
  // What is under way at the active session.
  struct Sent {
    uint64_t batch = 0;
    std::string digest;
    bool is_asked = false;  // rejected; BatchState is asked
    std::vector<Rejected> culprits;
    std::string reason;
  };

  void post(Input input);
  void handle_all(std::deque<Input> inbox, bool has_room);
  void handle(Input& input);
  void handle_attach(const std::shared_ptr<Session>& session);
  void handle_message(const std::shared_ptr<Session>& session, const v1::FromAdapter& message);
  void handle_ack(const v1::BatchAck& ack);
  void handle_retry(const v1::BatchRetry& retry);
  void handle_reject(const v1::BatchReject& reject);
  void handle_state(const v1::BatchStateAnswer& answer);
  bool is_of_sent(uint64_t batch, uint64_t store_epoch, const char* what);
  void take_acknowledgement(uint64_t batch, const std::string& digest);
  void retry_later(std::chrono::milliseconds wish, const std::string& reason);
  void end_active(Status reason);

  void drop_gone_sessions();
  void choose_active();
  void beat();
  void deliver();
  void deliver_pending(const Pending& pending);
  bool is_due(const Pending& pending, BatchLimits& limits);
  bool is_new_due(const Pending& pending, std::string& reason);
  bool is_run_interval_over(const Pending& pending);
  bool pass_filtered();
  void seal_and_send(BatchLimits limits);
  void send(std::shared_ptr<const LoadedBatch> batch);
  void note_error(const Status& status);
  void publish();
  void due_in(std::chrono::nanoseconds time);
  bool is_active(const std::shared_ptr<Session>& session) const;

  Staging& staging_;
  const ChannelOptions options_;
  const base::Clock& clock_;
  const uint64_t epoch_;
  std::atomic<bool> is_draining_{false};

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Input> inbox_ GUARDED_BY(mutex_);
  bool is_poked_ GUARDED_BY(mutex_) = false;
  Status closed_ GUARDED_BY(mutex_);
  ChannelStatus status_ GUARDED_BY(mutex_);

  // Answers that wait for room on the disk, in order; they count as the inbox's.
  std::deque<Input> held_;  // stepping thread
  std::atomic<size_t> held_count_{0};

  // Of the stepping thread.
  std::vector<std::shared_ptr<Session>> sessions_;  // in order of arrival; the first is active
  std::shared_ptr<Session> active_;
  std::unique_ptr<Sent> sent_;
  int32_t credit_ = 1;
  std::chrono::nanoseconds next_beat_{0};
  std::chrono::nanoseconds retry_at_{0};
  int retries_in_a_row_ = 0;
  int64_t retry_count_ = 0;
  std::string last_reason_;
  bool is_too_old_ = false;
  bool is_paused_ = false;
  bool is_damaged_ = false;
  uint64_t watched_sequence_ = 0;
  std::chrono::nanoseconds seal_at_{0};
  std::chrono::nanoseconds wait_{0};
  uint64_t jitter_;
};

}  // namespace verbatim::processor
