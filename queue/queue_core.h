// QueueCore: all queues of the service, without sockets: requests go in, replies come out, the log
// lies below. The service drives it; tests drive it alone.
//
//   handle() ─> records into the open group, reply held ─> seal() ─ write() ─> group_done()
//                                                                                  └─> replies
//
// I1 A reply leaves only after everything that was appended before it is synced.
// I2 A put is stored whole or not at all, under its producer's next numbers only.
// I3 Whatever decides an answer (numbers, source keys, verdicts, counts) is in the log before it.
// I4 A client's held requests are bounded by its credit; clients, polls and waiting requests are
//    bounded too.
//
// Threads: one; only Log::write may run elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/alarms.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"
#include "queue/log/log.h"
#include "queue/message_index.h"
#include "queue/message_record.h"
#include "queue/producers.h"
#include "queue/source_keys.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

struct CoreOptions {
  LogOptions log;
  std::vector<std::string> queues = {"events"};
  int64_t message_max_bytes = 4 * 1024 * 1024;
  std::chrono::milliseconds source_key_window{900'000};
  std::chrono::milliseconds lease_max{300'000};
  std::chrono::milliseconds consumer_silence_max{5'000};
  int64_t client_credit_bytes = 32 * 1024 * 1024;
  int64_t client_credit_count = 256;
  int64_t quota_bytes = int64_t{64} * 1024 * 1024 * 1024;
  int64_t free_disk_min_bytes = 0;
  std::chrono::milliseconds full_retry_after{250};
  // Clients known at once.
  size_t client_max_count = 1'024;
  // Memory for source keys; above it puts with a source key are "full" until the window has moved.
  size_t source_key_max_bytes = size_t{2} * 1024 * 1024 * 1024;
};

// A reply on its way out.
struct Outgoing {
  std::string peer;
  std::string frame;
  uint64_t lease_id = 0;  // the lease it gives, if any
};

// One named queue.
struct NamedQueue {
  NamedQueue(std::chrono::milliseconds window, size_t run_max_count)
      : producers(run_max_count), source_keys(window) {}
  uint32_t id = 0;
  std::string name;
  uint64_t next_lookup_id = 1;
  int64_t accepted_count = 0;
  int64_t committed_count = 0;
  int64_t repeat_count = 0;
  int64_t redelivered_count = 0;
  std::map<std::string, uint64_t, std::less<>> accepted_by_source;
  std::map<std::string, int64_t> refused;
  MessageIndex index;
  Producers producers;
  SourceKeys source_keys;

  struct Poll {
    std::string peer;
    uint64_t request_id = 0;
    v1::Receive request;
    std::chrono::nanoseconds until{};
  };
  std::deque<Poll> polls;
};

class QueueCore final : private LogOwner {
 public:
  // Recovers the log and makes the configured queues. Errors: those of Log::open.
  static Result<std::unique_ptr<QueueCore>> open(base::FileSystem& file_system, base::Clock& clock,
                                                 const CoreOptions& options);
  ~QueueCore() override;

  // One request; `frame_bytes` counts for the client's credit.
  void handle(const std::string& peer, const v1::QueueFrame& frame, size_t frame_bytes);
  // A frame that could not be read; refused where its id could (> 0).
  void handle_garbage(const std::string& peer, uint64_t request_id);
  // Expires what is due. Call it often.
  void tick();

  // True if a request waits for room in the log: take no more before group_done().
  bool is_full_of_requests() const { return !waiting_.empty(); }
  Log& log() { return *log_; }
  // Closes the open group, if there is one and none is in flight; the replies behind it wait.
  std::unique_ptr<LogGroup> seal();
  std::unique_ptr<LogGroup> seal_mark();
  // The group is synced: its replies may leave.
  void group_done(const LogGroup& group);
  // seal, write and group_done at once.
  Status commit_group();

  std::vector<Outgoing> take_outgoing();
  // True for a connection that has said hello.
  bool is_client(const std::string& peer) const { return peers_.contains(peer); }
  // The peer is gone: what it was given under a lease goes back.
  void undeliverable(const Outgoing& outgoing);

  // From now on puts and receives are refused; what is in the log is finished as ever.
  void start_stopping();

  // A read of the log failed: the service must end.
  const Status& fatal() const { return fatal_; }

  // --- for QueueAdminService: queue_core_admin.cc. What changes something has appended its records
  // on return; they are durable when the group open then is done (QueueService::change waits for
  // it). Audit is the caller's part. Errors: admin.proto says them at the calls.
  Status create_queue(const v1::CreateQueueRequest& request);
  Status configure_queue(const v1::ConfigureQueueRequest& request);
  Status switch_queue(const v1::SwitchQueueRequest& request);
  // Gives the transfer that empties it, 0 if it was empty and is gone.
  Result<uint64_t> delete_queue(const v1::DeleteQueueRequest& request);
  Result<uint64_t> start_transfer(const v1::TransferRequest& request);
  void stop_transfer(uint64_t transfer_id);
  // Of a transfer that has ended: is_done, for at least a minute. kNotFound after that.
  Result<v1::TransferProgress> transfer_progress(uint64_t transfer_id) const;
  Result<v1::DestroyDeadLettersResponse> destroy_dead_letters(
      const v1::DestroyDeadLettersRequest& request);
  Result<v1::TrimJournalResponse> trim_journal(const v1::TrimJournalRequest& request);
  v1::ListQueuesResponse list_queues(const v1::ListQueuesRequest& request = {}) const;
  Result<v1::PeekResponse> peek(const v1::PeekRequest& request);
  // Everything that is an alarm now.
  std::vector<base::AlarmCondition> alarm_conditions() const;
  // What needs a person's attention.
  std::vector<std::string> notices() const;
  uint64_t garbage_count() const { return garbage_count_; }

 private:
  struct Client {
    std::string name;
    std::string instance;
    std::string peer;
    std::chrono::nanoseconds last_seen{};
    int64_t held_count = 0;
    int64_t held_bytes = 0;
    bool is_silent = false;
  };
  struct Lease {
    NamedQueue* queue = nullptr;
    std::string client;
    std::set<uint64_t> lookup_ids;
    std::chrono::nanoseconds until{};
  };
  struct Request {
    std::string peer;
    v1::QueueFrame frame;
    int64_t bytes = 0;
  };
  struct SegmentUse {
    int64_t message_count = 0;
    int64_t bytes = 0;
  };
  // A reply that waits for its group, and what it held of the client's credit.
  struct HeldReply {
    Outgoing outgoing;
    int64_t held_bytes = 0;
  };

  QueueCore(base::FileSystem& file_system, base::Clock& clock, const CoreOptions& options);

  // --- LogOwner ---
  Status replay(RecordType type, std::string_view payload, LogPosition position) override;
  Status replay_digest(RecordType type, std::string_view digest, LogPosition position,
                       uint32_t payload_size) override;
  std::string snapshot() override;
  Status replay_message(std::string_view payload, LogPosition position, bool is_copy);
  Status replay_snapshot(std::string_view payload);
  void replay_put(const v1::LogPut& put);
  void replay_ranges(const v1::LogRanges& ranges, bool is_commit);

  // --- requests; queue_core_requests.cc ---
  // False: no room in the open group, try again later.
  bool dispatch(const Request& request);
  void on_hello(const Request& request);
  bool on_open_producer(const Request& request);
  bool on_put(const Request& request);
  bool on_receive(const Request& request);
  bool on_settle(const Request& request, bool is_commit);
  std::optional<v1::Refused> check_put(const NamedQueue& queue, const v1::Put& put) const;
  std::optional<v1::Refused> check_numbers(const NamedQueue& queue, const v1::Put& put) const;
  void store_put(NamedQueue& queue, const v1::Put& put, size_t repeat_count, v1::PutReply& reply);
  uint64_t store_message(NamedQueue& queue, const v1::PutMessage& message, int64_t now);
  bool serve(NamedQueue& queue, const NamedQueue::Poll& poll);
  void serve_polls(NamedQueue& queue);
  void fill_messages(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                     v1::ReceiveReply& reply);
  void append_ranges(RecordType type, NamedQueue& queue, const std::vector<uint64_t>& lookup_ids);
  void commit_messages(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids);
  void run_waiting();

  // --- replies ---
  void reply(const Request& request, v1::QueueFrame frame, uint64_t lease_id = 0);
  void reply(const std::string& peer, uint64_t request_id, int64_t held_bytes, v1::QueueFrame frame,
             uint64_t lease_id);
  void refuse(const Request& request, v1::Refused refused, NamedQueue* queue = nullptr);
  void release_replies(std::vector<HeldReply>& replies);

  // --- clients and leases ---
  Client* client_of(const std::string& peer);
  void end_lease(uint64_t lease_id);
  void end_leases_of(const std::string& client);
  void drop_polls_of(const std::string& peer);
  void end_polls_of(const std::string& peer);
  void expire_leases();
  void expire_clients();
  void expire_polls();

  // --- space; queue_core_space.cc ---
  bool is_full() const;
  void update_full();
  void use_segment(const LogPosition& position, uint32_t bytes, int64_t sign);
  void recycle();
  bool wants_recycling() const;
  void copy_messages(uint64_t generation, uint64_t& budget_bytes);
  void copy_keys(uint64_t generation, uint64_t& budget_bytes);
  bool is_unused(uint64_t generation) const;

  size_t run_max_count() const;
  size_t source_max_count() const;
  NamedQueue* find_queue(const std::string& name);
  NamedQueue* find_queue(uint32_t id);
  NamedQueue& make_queue(uint32_t id, const std::string& name);

  base::FileSystem& file_system_;
  base::Clock& clock_;
  const CoreOptions options_;
  const std::string instance_;
  std::unique_ptr<Log> log_;
  Status fatal_;
  bool is_stopping_ = false;
  int64_t recovery_ms_ = 0;

  std::map<uint32_t, std::unique_ptr<NamedQueue>> queues_;
  std::unordered_map<std::string, std::string> peers_;  // to client name
  std::map<std::string, Client> clients_;
  std::map<uint64_t, Lease> leases_;
  std::set<std::pair<std::chrono::nanoseconds, uint64_t>> lease_ends_;
  uint64_t next_lease_id_;
  std::deque<Request> waiting_;
  std::vector<HeldReply> behind_open_;
  std::vector<HeldReply> behind_flight_;
  std::vector<Outgoing> outgoing_;
  uint64_t garbage_count_ = 0;

  std::map<uint64_t, SegmentUse> segment_use_;
  struct Copying {
    uint64_t generation = 0;
    uint32_t queue_id = 0;  // where the search goes on
    uint64_t lookup_id = 0;
    uint64_t sync_count = 0;  // one portion for each group
  };
  std::optional<Copying> copying_;
  bool is_disk_full_ = false;
  bool is_quota_full_ = false;
  std::chrono::nanoseconds next_disk_check_{};
};

}  // namespace verbatim::queue
