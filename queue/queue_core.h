// QueueCore: the queue service without sockets: requests go in, replies come out, the QueueStore
// with its log lies below. The service drives it; tests drive it alone.
//
//   handle() ─> records into the open group, reply held ─> seal() ─ write() ─> group_done()
//                                                                                  └─> replies
//
// I1 A reply leaves only after everything that was appended before it is synced.
// I2 A put is stored whole or not at all, under its producer's next numbers only.
// I3 Whatever decides an answer (numbers, source keys, verdicts, counts) is in the log before it.
// I4 A client's held requests are bounded by its credit; clients, polls and waiting requests are
//    bounded too.
// I5 A message ends by a commit, a move or a destruction that an operator has confirmed; nothing
//    else takes it away.
// I6 Once a read of the log has failed the open group may hold half of a unit: it is never written,
//    what waits behind it is never answered, and nothing is taken any more.
//
// Threads: one; only Log::write may run elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
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
#include "base/log_limit.h"
#include "base/status.h"
#include "queue/put_view.h"
#include "queue/receive_frame.h"
#include "queue/state/canaries.h"
#include "queue/state/queue_store.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

struct CoreOptions {
  LogOptions log;
  std::vector<std::string> queues = {"events"};
  // Called before one of them is made, which is not made after an error: for the audit log.
  std::function<Status(const std::string&)> before_queue_made;
  int64_t message_max_bytes = 4 * 1024 * 1024;
  std::chrono::milliseconds source_key_window{900'000};
  std::chrono::milliseconds lease_max{300'000};
  std::chrono::milliseconds consumer_silence_max{5'000};
  int64_t client_credit_bytes = 32 * 1024 * 1024;
  int64_t client_credit_count = 256;
  int64_t quota_bytes = int64_t{64} * 1024 * 1024 * 1024;
  int64_t quota_messages = 0;
  int low_mark_percent = 95;
  int64_t free_disk_min_bytes = 0;
  int64_t copy_bytes_per_second = 64 * 1024 * 1024;
  std::chrono::milliseconds full_retry_after{250};
  // Clients known at once.
  size_t client_max_count = 1'024;
  // Memory for source keys; above it puts with a source key are "full" until the window has moved.
  size_t source_key_max_bytes = size_t{2} * 1024 * 1024 * 1024;
  // Alarms.
  std::chrono::milliseconds alarm_age{900'000};
  int64_t alarm_dead_letters = 0;
  // May this key (its name; empty on plain connections) put to, or receive from, this queue? Empty:
  // everyone may everything.
  std::function<bool(std::string_view user, std::string_view queue)> may_put;
  std::function<bool(std::string_view user, std::string_view queue)> may_receive;
  Canaries canaries;
};

// A reply on its way out.
struct Outgoing {
  std::string peer;
  std::string frame;
  uint64_t lease_id = 0;  // the lease it gives, if any
};

class QueueCore {
 public:
  // Recovers the log and makes the configured queues. Errors: those of QueueStore::open.
  static Result<std::unique_ptr<QueueCore>> open(base::FileSystem& file_system, base::Clock& clock,
                                                 const CoreOptions& options);

  // One frame as it came; it is needed during the call only. `user` is the name of its key.
  void handle(const std::string& peer, std::string_view frame, const std::string& user = {});
  // A frame that could not be read; refused where its id could (> 0).
  void handle_garbage(const std::string& peer, uint64_t request_id);
  // Does what is due. Call it often; it is cheap when nothing is.
  void tick();

  // True if a request waits for room in the log: take no more before group_done().
  bool is_full_of_requests() const { return !waiting_.empty(); }
  Log& log() { return store_->log(); }
  const QueueStore& store() const { return *store_; }
  // Closes the open group, if there is one and none is in flight; the replies behind it wait. Null
  // once a read has failed: see fatal().
  std::unique_ptr<LogGroup> seal();
  std::unique_ptr<LogGroup> seal_mark();
  // The group is synced: its replies may leave.
  void group_done(const LogGroup& group);
  // seal, write and group_done at once. Errors: those of Log::write; fatal(), and then nothing is
  // written.
  Status commit_group();

  std::vector<Outgoing> take_outgoing();
  // True for a connection that has said hello.
  bool is_client(const std::string& peer) const { return peers_.contains(peer); }
  // The peer is gone: what it was given under a lease goes back, as not tried.
  void undeliverable(const Outgoing& outgoing);

  // From now on puts and receives are refused; what is in the log is finished as ever.
  void start_stopping();

  // A read of the log failed: the service must end, see I6.
  const Status& fatal() const { return fatal_; }
  // Reads a piece of what the start has taken from summaries, and checks it; for times with nothing
  // else to do. Damage is an alarm: what is whole goes on being delivered.
  void verify_some();
  uint64_t garbage_count() const { return garbage_count_; }

  // --- for QueueAdminService: queue_core_admin.cc. What changes something has appended its records
  // on return; they are durable when the group open then is done (QueueService::change waits for
  // it). Audit is the caller's part. Errors: admin.proto says them at the calls.
  Status create_queue(const v1::CreateQueueRequest& request);
  Status configure_queue(const v1::ConfigureQueueRequest& request);
  Status switch_queue(const v1::SwitchQueueRequest& request);
  // Gives the transfer that empties it and then takes it away.
  Result<uint64_t> delete_queue(const v1::DeleteQueueRequest& request);
  Result<uint64_t> start_transfer(const v1::TransferRequest& request);
  void stop_transfer(uint64_t transfer_id);
  // Of a transfer that has ended: is_done, for at least a minute. kNotFound after that.
  Result<v1::TransferProgress> transfer_progress(uint64_t transfer_id) const;
  Result<v1::DestroyDeadLettersResponse> destroy_dead_letters(
      const v1::DestroyDeadLettersRequest& request);
  // A portion: call it until nothing is trimmed any more.
  Result<v1::TrimJournalResponse> trim_journal(const v1::TrimJournalRequest& request);

  // --- looking: queue_core_view.cc ---
  v1::ListQueuesResponse list_queues(const v1::ListQueuesRequest& request = {}) const;
  Result<v1::PeekResponse> peek(const v1::PeekRequest& request);
  // Everything that is an alarm now.
  std::vector<base::AlarmCondition> alarm_conditions() const;
  // What needs a person's attention.
  std::vector<std::string> notices() const;

 private:
  struct Client {
    std::string name;
    std::string instance;
    std::string peer;
    std::string user;
    std::chrono::nanoseconds last_seen{};
    int64_t held_count = 0;
    int64_t held_bytes = 0;
  };
  struct Lease {
    uint32_t queue_id = 0;
    std::string client;
    std::vector<uint64_t> lookup_ids;  // ascending; some may have left it
    size_t left_count = 0;
    std::chrono::nanoseconds until{};
    uint64_t push_request_id = 0;  // of the subscription that it was pushed to
    int waiting_commit_count = 0;  // commits of it that wait for the journal
    bool is_untried = false;       // when it ends, its messages count as not tried
  };
  struct Request {
    std::string peer;
    std::string user;
    v1::QueueFrame frame = {};  // of a put only the id
    const PutView* put = nullptr;
    std::string kept = {};  // a put's bytes while it waits
    int64_t bytes = 0;
    int64_t settled_count = 0;  // by the parts of it that are done
  };
  // A reply that waits for its group, and what it held of the client's credit.
  struct HeldReply {
    Outgoing outgoing;
    int64_t held_bytes = 0;
    bool is_push = false;
  };
  // Messages on their way from queue to queue in the background: queue_core_transfer.cc.
  struct Transfer {
    v1::TransferRequest request;
    uint32_t from_id = 0;
    uint32_t to_id = 0;  // 0: where each came from
    v1::EndReason reason = v1::END_REASON_UNSPECIFIED;
    bool deletes_queue = false;
    uint64_t next_lookup_id = 0;
    uint64_t last_lookup_id = 0;
    v1::TransferProgress progress;
    double tokens = 0;
    std::chrono::nanoseconds last_step{};
    std::chrono::nanoseconds ended{};
  };
  struct DestroyToken {
    std::string request;               // serialised, without token and reason
    std::vector<uint64_t> lookup_ids;  // what was shown
    std::chrono::nanoseconds until{};
  };

  QueueCore(base::FileSystem& file_system, base::Clock& clock, const CoreOptions& options);
  Status check_options() const;
  Status make_configured_queues();
  // kResourceExhausted if the control state has no room for one more.
  Status check_room_for_queue(const std::string& name) const;
  Status recover_tries();
  Status end_cycles(NamedQueue& queue);

  // --- requests ---
  void take(Request request, std::string_view body);
  void refuse_unread(const std::string& peer, uint64_t request_id, v1::Refused refusal);
  bool is_of_stranger(const Request& request);
  // False: no room in the open group, try again later.
  bool dispatch(Request& request);
  void run_waiting();
  bool is_deaf(std::chrono::nanoseconds now);
  // queue_core_put.cc
  bool on_open_producer(const Request& request);
  bool on_put(const Request& request);
  static std::optional<v1::Refused> check_put(const NamedQueue& queue, const PutView& put);
  std::optional<v1::Refused> check_messages(const NamedQueue& queue, const Request& request,
                                            size_t repeat_count) const;
  std::optional<v1::Refused> check_new_producer(const NamedQueue& queue, std::string_view name,
                                                const std::string& user) const;
  std::optional<v1::Refused> check_new_sources(const NamedQueue& queue, const PutView& put) const;
  v1::Refused no_room_for_new(std::string detail) const;
  std::optional<v1::Refused> check_numbers(const NamedQueue& queue, const Request& request) const;
  std::optional<v1::Refused> check_full(NamedQueue& queue, const PutView& put);
  bool store_put(NamedQueue& queue, const PutView& put, size_t repeat_count, v1::PutReply& reply);
  // queue_core_receive.cc
  bool refuse_parked(const Request& request, NamedQueue& queue);
  bool on_receive(const Request& request);
  bool on_subscribe(const Request& request);
  bool on_commit(Request& request);
  bool on_abort(Request& request);
  bool on_abandon(Request& request);
  bool on_extend(const Request& request);
  bool serve(NamedQueue& queue, Demand& demand);
  bool may_serve(NamedQueue& queue, const Demand& demand);
  void serve_demands(NamedQueue& queue);
  void serve_all();
  bool fill_frame(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids, ReceiveFrame& frame);
  struct Leased {
    uint64_t lease_id = 0;
    Lease* lease = nullptr;
    NamedQueue* queue = nullptr;
  };
  std::optional<Leased> find_lease(const Request& request, uint64_t lease_id,
                                   const std::string& queue);
  // What the leases hold that a receive names, ascending.
  std::vector<uint64_t> held_of(const NamedQueue& queue, const Demand& demand) const;
  std::vector<uint64_t> wanted_of(const Leased& leased,
                                  const google::protobuf::RepeatedField<uint64_t>& named) const;
  void settle_reply(const Request& request);

  // --- messages that end: queue_core_end.cc ---
  bool may_copy() const;
  bool may_end() const;
  uint64_t commit_bytes(const NamedQueue& queue, uint64_t lookup_id) const;
  std::vector<uint64_t> commit_part_of(const NamedQueue& queue,
                                       const std::vector<uint64_t>& lookup_ids) const;
  bool reserve_commit(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids);
  bool commit_part(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids);
  bool reserve_move(NamedQueue& from, uint64_t lookup_id);
  bool acknowledge_end(NamedQueue& queue, uint64_t lookup_id, v1::EndReason reason);
  bool move_message(NamedQueue& from, uint64_t lookup_id, NamedQueue& to,
                    const QueueStore::Hop& hop);
  void acknowledge(const v1::AcknowledgementRequest& wanted, v1::Acknowledgement what,
                   std::string_view order_key);
  Result<NamedQueue*> target_of(const v1::TransferRequest& request);
  NamedQueue* sub_queue_of(NamedQueue& queue, std::string_view sub_name);
  NamedQueue* poison_queue_of(NamedQueue& queue);
  bool is_journal_full(const NamedQueue& queue) const;
  void retry_journal_commits();
  void end_poison();

  // --- clients and leases: queue_core_clients.cc ---
  void on_hello(const Request& request);
  Client* client_of(const std::string& peer);
  // Gives messages of a lease back, with what their tries ask for; false: no room.
  bool return_messages(const Leased& leased, const std::vector<uint64_t>& lookup_ids,
                       std::chrono::milliseconds delay, bool is_untried);
  void forget_leased(const Leased& leased, const std::vector<uint64_t>& lookup_ids);
  void return_credit(const Leased& leased, const std::vector<uint64_t>& lookup_ids);
  void end_lease_now(uint64_t lease_id, bool is_untried);
  void end_leases_of(const std::string& client);
  void drop_demands_of(const std::string& peer);
  void end_demands_of(const std::string& peer);
  void end_push(const Demand& demand, v1::Refused refusal);
  void forget_client(const std::string& name);
  void expire_leases();
  void expire_clients();
  void expire_receives();
  void release_active(NamedQueue& queue);
  void answer_empty(const Demand& demand);
  Demand* push_of(NamedQueue& queue, const std::string& client, uint64_t request_id);

  // --- replies ---
  void reply(const Request& request, v1::QueueFrame frame, uint64_t lease_id = 0);
  void hold_reply(HeldReply held);
  void refuse(const Request& request, v1::Refused refused, NamedQueue* queue = nullptr);
  void release_replies(std::vector<HeldReply>& replies);
  bool may(const std::string& user, std::string_view queue, bool is_put) const;
  // Without rules, on a plain socket, nobody owns anything.
  bool may_use(const std::string& user, const Producer* producer) const;
  void note_not_permitted(const Request& request, const std::string& why, const NamedQueue* queue);
  bool refuse_forbidden(const Request& request, std::string_view queue, bool is_put);
  bool refuse_unknown_or_forbidden(const Request& request, std::string_view queue, bool is_put);

  // --- looking ---
  int64_t oldest_age_ms(const NamedQueue& queue) const;
  void fill_log(v1::LogInfo& info) const;
  void fill_service(v1::ServiceQuota& quota) const;
  std::string what_waits_to_copy() const;
  void queue_alarms(const NamedQueue& queue, std::vector<base::AlarmCondition>& alarms) const;
  Status fill_message_info(const NamedQueue& queue, uint64_t lookup_id, v1::MessageInfo& info);

  // --- marks ---
  void update_marks();
  std::string full_reason() const;
  bool is_full_of_source_keys() const;

  // --- transfers ---
  void run_transfers();
  void step_transfer(Transfer& transfer);
  bool transfer_one(Transfer& transfer, NamedQueue& from, uint64_t lookup_id);
  void finish_transfer(Transfer& transfer, std::string error);
  void finish_deletion(Transfer& transfer);
  Status check_holds(const Transfer& transfer, const NamedQueue& from) const;
  Status check_transfer(const Transfer& transfer, const NamedQueue& from) const;
  bool call_off_deletion(NamedQueue& queue, std::string_view why);
  NamedQueue* target_of(const Transfer& transfer, NamedQueue& from, const StoredMessage& stored);
  void start_deletion(NamedQueue& queue);
  Result<bool> matches(const NamedQueue& queue, uint64_t lookup_id,
                       const v1::MessageFilter& filter);
  Result<NamedQueue*> queue_to_change(const std::string& name);
  Result<v1::DestroyDeadLettersResponse> destroy_named(NamedQueue& queue, const std::string& token,
                                                       const std::string& asked);
  bool is_held(const NamedQueue& queue) const;
  bool fail(const Status& status);

  base::FileSystem& file_system_;
  base::Clock& clock_;
  const CoreOptions options_;
  size_t put_max_count_ = 0;  // messages of one put: so many empty ones fit into a unit
  const std::string instance_;
  std::unique_ptr<QueueStore> store_;
  Status fatal_;
  bool is_stopping_ = false;
  int64_t recovery_ms_ = 0;

  std::unordered_map<std::string, std::string> peers_;  // to client name
  std::map<std::string, Client> clients_;
  std::map<uint64_t, Lease> leases_;
  std::set<std::pair<std::chrono::nanoseconds, uint64_t>> lease_ends_;
  uint64_t next_lease_id_;
  std::deque<Request> waiting_;
  // Since when nothing is read, and until when nobody counts as silent after that.
  std::chrono::nanoseconds deaf_since_{};
  std::chrono::nanoseconds listens_until_{};
  PutView put_;  // the one at hand; its memory is used again
  // Commits that wait until the journal has room.
  std::deque<Request> waiting_for_journal_;
  // Messages whose tries are used up, on their way to poison.
  std::deque<std::pair<uint32_t, uint64_t>> poison_;
  std::vector<HeldReply> behind_open_;
  std::vector<HeldReply> behind_flight_;
  std::vector<Outgoing> outgoing_;
  uint64_t garbage_count_ = 0;
  bool is_verified_ = false;
  int64_t damage_count_ = 0;
  std::string damage_;  // the first that was found
  int64_t not_permitted_count_ = 0;
  std::chrono::nanoseconds not_permitted_at_{};
  std::string not_permitted_who_;
  std::map<std::string, base::LogLimit> not_permitted_logged_;  // by key; those are listed
  // By administration queue that was gone.
  std::map<std::string, int64_t> lost_acknowledgements_;

  std::map<uint64_t, Transfer> transfers_;
  uint64_t next_transfer_id_ = 1;
  std::map<std::string, DestroyToken> tokens_;

  bool is_service_full_ = false;
  bool is_disk_full_ = false;
  int64_t free_disk_bytes_ = 0;
  std::chrono::nanoseconds next_disk_check_{};
  uint64_t checked_disk_bytes_ = 0;
  std::chrono::nanoseconds next_tick_{};
  uint64_t ticked_sync_count_ = 0;
};

}  // namespace verbatim::queue
