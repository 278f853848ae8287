// Staging: the store between the queues and the archive, and the only user of RocksDB.
//
// I1 Order: every event gets the next number of one contiguous sequence, whatever queue it came
//    through. It is stored in one synced write with its queue's position, its source key,
//    participation and counters; stage() returns after that, and only then may the queue forget it.
// I2 A message is stored unless its own lookup id was taken before under the same log_id of its
//    queue, or its source key is known.
// I3 Per adapter at most one batch is sealed and not acknowledged. A sealed batch never changes:
//    its header is stored, its body is the events' stored bytes, the digest over both is checked at
//    every load.
// I4 An event is deleted only after every required adapter has acknowledged it (or has it in
//    quarantine, where a copy stays), durably; with no required adapter nothing is deleted. What a
//    hold covers then is copied to the family `kept` in the same write; what no required adapter's
//    filter takes is copied to `unrouted` before, and stays until one takes it after all.
// I5 Each event is in exactly one state: archived > quarantined > staged. The counters change in
//    the same write as the rows; accounting(recount) counts the rows and compares.
// I6 After a failed write the object refuses everything (fatal()): memory may be ahead of the disk.
//
// Layout, and what a crash at each step leaves: docs/formats/staging.md.
// Threads: any; one mutex, held during writes. Bodies are read outside it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/caller.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "processor/conversation/participation_book.h"
#include "processor/conversation/slice_builder.h"
#include "processor/staging/adapter_filter.h"
#include "processor/staging/event_index.h"
#include "processor/staging/event_info.h"
#include "processor/staging/rocks_store.h"
#include "processor/staging/sealed_batch.h"
#include "processor/staging/staging_parts.h"
#include "processor/staging/staging_types.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/config.pb.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::processor {

class Staging {
 public:
  // Opens or creates the store, raises its epoch durably and finishes a deletion that a crash has
  // cut off. Errors: kFailedPrecondition (open elsewhere; a newer format), kDataLoss (damage).
  static Result<std::unique_ptr<Staging>> open(const StagingOptions& options);
  ~Staging();

  uint64_t epoch() const;
  // The error that ended the store's use; OK while it is in use.
  Status fatal() const;

  // Intake. Takes messages of one queue in the order of delivery; may move bytes out of them.
  // `log_id` says which numbering their lookup ids belong to (queue::Lease); empty: not told, taken
  // for the same as before. Durable: everything, at return. Errors: the store is of no more use.
  Result<StageOutcome> stage(const std::string& queue, std::vector<v1::QueueMessage>& messages,
                             const std::string& log_id = {});
  uint64_t last_sequence() const;
  StagingCounts counts() const;
  // Bytes of what is not deleted yet, and of all that was ever taken.
  uint64_t staged_bytes() const;
  uint64_t taken_bytes() const;
  // What the disk must still take of what is stored already, and what the store takes of it ahead.
  static constexpr uint64_t kDiskAheadBytes = RocksStore::kAheadBytes;
  uint64_t unwritten_bytes() const { return store_->unwritten_bytes(); }
  // Gives space of what is deleted back to the disk, as far as there is room to do so; blocks.
  void reclaim_space();
  // Writes an audit row of a command that the store itself has no part in. Durable.
  Status note_command(v1::AuditRow row);
  // Waits until an event above `sequence` is stored, wake() is called or the time is over.
  void wait_for_events(uint64_t sequence, std::chrono::milliseconds timeout);
  void wake();

  // The required set. Adds what the configuration names and the store does not know; of others the
  // store's word counts. Gives sentences for people about what differs. Errors: kInvalidArgument.
  Result<std::vector<std::string>> reconcile(const std::vector<v1::AdapterSettings>& configured);
  // Audited, durably, before it takes effect. Errors: kNotFound, kInvalidArgument.
  Status update_adapter(const v1::UpdateAdapterRequest& request, const base::Caller& caller);

  // Batches of one adapter; callers take turns per adapter.
  Result<Pending> pending(const std::string& adapter) const;
  // Seals the next batch. Durable: the seal, at return. Errors: kNotFound (no such adapter),
  // kFailedPrecondition (one is under way), kAborted (overtaken meanwhile: look again).
  Result<SealOutcome> seal(const std::string& adapter, const BatchLimits& limits);
  // Moves the cursor past what the adapter's filter leaves out; true if that lets anything be
  // deleted. Unsynced: a crash leaves it to the next call. Errors: kNotFound.
  Result<bool> pass_filtered(const std::string& adapter);
  // Reads the batch under way again, byte for byte. Errors: kNotFound, kDataLoss (the digest).
  Result<std::shared_ptr<const LoadedBatch>> load_sealed(const std::string& adapter) const;
  // Durable: the acknowledgement, the cursor and the counters. An acknowledgement of the last
  // acknowledged batch again is OK. Errors: kFailedPrecondition (another batch or digest).
  Status acknowledge(const std::string& adapter, uint64_t batch, const std::string& digest);
  // Voids the batch under way, of which nothing took effect: the culprits go to quarantine, the
  // rest is planned anew; with no culprit among its members it is halved, and a single event is
  // the culprit. Durable. Gives true if the adapter is paused now.
  Result<bool> replace(const std::string& adapter, uint64_t batch,
                       const std::vector<Rejected>& culprits, const std::string& reason);
  // Gives events in quarantine to their adapter again. Gives how many wait for it now. Audited and
  // durable. Errors: kNotFound (adapter, or a sequence; then nothing is released),
  // kInvalidArgument.
  Result<uint64_t> release(const v1::ReleaseQuarantineRequest& request, const base::Caller& caller);
  // What the adapter says at hello. Errors: kFailedPrecondition (it has applied what this store
  // never sealed).
  Status check_hello(const std::string& adapter, uint64_t last_applied_batch,
                     const std::string& last_applied_digest);
  // The last acknowledged batch and its digest.
  Result<std::pair<uint64_t, std::string>> last_acked(const std::string& adapter) const;

  // Gives an adapter again what it was given and the store still has: staged events and copies kept
  // for holds, in batches of their own, outside of its account. Audited and durable. Deletion waits
  // for a replay. Errors: kNotFound, kInvalidArgument, kFailedPrecondition (one is under way;
  // nothing was acknowledged yet).
  Result<v1::ReplayAdapterResponse> replay(const v1::ReplayAdapterRequest& request,
                                           const base::Caller& caller);

  // Deletes what all have passed; see I4. A crash leaves the rest for the next call.
  Status delete_archived();

  // Holds. Audited, durably, before they take effect; durable at return. Errors: kInvalidArgument,
  // kNotFound.
  Result<v1::HoldInfo> add_hold(const v1::AddHoldRequest& request, const base::Caller& caller);
  // Deletes the copies that no other hold covers before it returns; a crash leaves the rest to the
  // next opening.
  Result<v1::ReleaseHoldResponse> release_hold(const v1::ReleaseHoldRequest& request,
                                               const base::Caller& caller);
  // Without what only the keeper of the queues' flags knows.
  Result<v1::ListHoldsResponse> holds() const;
  bool has_holds() const;
  // Whether this store has set the hold flag of the queue, and so may take it back. Durable.
  bool has_set_queue_hold(const std::string& queue) const;
  Status note_queue_hold(const std::string& queue, bool is_set);

  // Reading for people.
  Result<v1::GetAccountingResponse> accounting(bool recount);
  // Without what only the hub knows (state, instance, retries).
  std::vector<v1::AdapterInfo> adapters() const;
  Result<std::vector<v1::QuarantinedEvent>> quarantined(const std::string& adapter) const;
  // Metadata of the newest events, oldest first; and of those above `sequence`.
  Result<std::vector<v1::EventInfo>> newest_events(int count) const;
  Result<std::vector<v1::EventInfo>> events_above(uint64_t sequence, int count) const;
  std::vector<std::string> notices() const;
  // What the store has, by filter; bounded parts (admin.proto).
  Result<v1::ListStagedResponse> list_staged(const v1::ListStagedRequest& request) const;
  // Without what only the files folder knows.
  Result<v1::ListFilesResponse> list_files(const v1::ListFilesRequest& request) const;
  // Of these digests, those that no event names which the store has: staged, not deleted yet, kept
  // for a hold, unrouted or in quarantine. Durable at return: that the events that named them are
  // deleted.
  Result<std::set<std::string>> unnamed_files(const std::vector<std::string>& digests);
  Result<v1::ListBatchesResponse> batches(const v1::ListBatchesRequest& request) const;
  Result<v1::ListAuditResponse> audit(const v1::ListAuditRequest& request) const;
  // With content: an audit row is durable before they return. Errors: kNotFound, kInvalidArgument.
  Result<v1::ShowEventResponse> show_event(const v1::ShowEventRequest& request,
                                           const base::Caller& caller);
  Result<v1::TraceMessageResponse> trace_message(const v1::TraceMessageRequest& request,
                                                 const base::Caller& caller);

 private:
  using Adapter = staging_parts::Adapter;
  using Changes = staging_parts::Changes;
  using Draft = staging_parts::Draft;
  using IntervalPlan = staging_parts::IntervalPlan;
  using LeftOut = staging_parts::LeftOut;
  using Queue = staging_parts::Queue;

  Staging(const StagingOptions& options, std::unique_ptr<RocksStore> store);

  // staging_open.cc
  Status load() REQUIRES(mutex_);
  Status load_state() REQUIRES(mutex_);
  Status load_positions() REQUIRES(mutex_);
  Status load_adapters() REQUIRES(mutex_);
  Status load_quarantine() REQUIRES(mutex_);
  Status load_participation() REQUIRES(mutex_);
  Status begin_epoch() REQUIRES(mutex_);
  Status join_exceptions() REQUIRES(mutex_);

  // staging.cc
  Status commit(Changes& changes, bool is_synced) REQUIRES(mutex_);
  Status spoil(Status error) REQUIRES(mutex_);
  Result<Adapter*> find_adapter(const std::string& name) REQUIRES(mutex_);
  Result<const Adapter*> find_adapter(const std::string& name) const REQUIRES(mutex_);
  uint64_t deleted_through() const;
  Status put_audit(v1::AuditRow row, WriteSet& writes) REQUIRES(mutex_);
  // Durable at return: the entry of a change that comes next.
  Status audit_first(v1::AuditRow row) REQUIRES(mutex_);
  Result<EventIndex> index_of(uint64_t sequence) const;

  // staging_intake.cc
  Result<StageOutcome> stage_locked(const std::string& queue,
                                    std::vector<v1::QueueMessage>& messages,
                                    const std::string& log_id) REQUIRES(mutex_);
  uint32_t source_ref(const std::string& queue, const std::string& source) REQUIRES(mutex_);
  bool is_taken(const Queue& queue, uint64_t lookup_id) const REQUIRES(mutex_);
  void take_position(Queue& queue, const std::string& name, const v1::QueueMessage& message,
                     uint32_t reference, Changes& changes) REQUIRES(mutex_);
  void stamp(const Queue& queue, uint32_t reference, const v1::TakenOfSource& taken,
             Changes& changes) REQUIRES(mutex_);
  // Of each message, as stored before this write.
  Result<std::vector<std::optional<v1::SourceKeyRow>>> load_source_keys(
      const std::vector<v1::QueueMessage>& messages) const;
  bool is_known_key(const std::string& key, const std::optional<v1::SourceKeyRow>& row,
                    int64_t now_unix_ns, Changes& changes) REQUIRES(mutex_);
  void store_event(const std::string& queue, v1::QueueMessage& message, uint32_t reference,
                   Changes& changes, StageOutcome& outcome) REQUIRES(mutex_);
  void enter_numbering(Queue& taken, const std::string& name, const std::string& log_id,
                       Changes& changes) REQUIRES(mutex_);
  void begin_anew(Queue& taken, const std::string& name, Changes& changes) REQUIRES(mutex_);
  void put_source_key(const std::string& source_key, uint64_t sequence, int64_t now_unix_ns,
                      Changes& changes) REQUIRES(mutex_);
  void note_conversation(const v1::Envelope& envelope, Changes& changes) REQUIRES(mutex_);
  Status expire_source_keys(size_t max_count, int64_t now_unix_ns, Changes& changes)
      REQUIRES(mutex_);

  // staging_seal.cc
  Result<Draft> draft(const Adapter& adapter, const BatchLimits& limits) const REQUIRES(mutex_);
  using TakeEvent = std::function<Status(std::string_view)>;
  // Hands out the stored bytes in order. Errors: kNotFound (one is missing); what `take` gives.
  Status visit_events(const std::vector<uint64_t>& members, const TakeEvent& take) const;
  Result<std::vector<std::string>> load_events(const std::vector<uint64_t>& members) const;
  Result<std::shared_ptr<const LoadedBatch>> seal_draft(const std::string& name, const Draft& draft,
                                                        std::string header,
                                                        std::vector<std::string> events)
      REQUIRES(mutex_);
  // Seals nothing and tells the count if the header of so many members is too large.
  Result<SealOutcome> seal_once(const std::string& name, const BatchLimits& limits,
                                uint64_t& too_many_count);
  std::string make_header(const std::string& name, const Adapter& adapter, Draft& draft,
                          const SliceBuilder& slices) const REQUIRES(mutex_);
  Status name_slices(SliceBuilder& slices) const;

  // staging_acknowledge.cc
  Status pass_quarantined(Adapter& adapter) REQUIRES(mutex_);
  Status advance_archive(Changes& changes) REQUIRES(mutex_);
  Status archive_event(uint64_t sequence, const EventIndex& index, Changes& changes)
      REQUIRES(mutex_);
  Status delete_archived_locked() REQUIRES(mutex_);
  Status finish_waiting_releases() REQUIRES(mutex_);
  Status delete_piece(uint64_t target, Changes& changes, bool is_synced) REQUIRES(mutex_);
  uint64_t deletion_target(uint64_t archived_bytes, std::vector<std::string>& overtaken) const
      REQUIRES(mutex_);
  Result<uint64_t> count_given(const Adapter& adapter, uint64_t through) const REQUIRES(mutex_);
  Status accept_overtaken(const std::string& name) REQUIRES(mutex_);
  Status settle_quarantined() REQUIRES(mutex_);
  Status overtake(const std::string& name, uint64_t target, uint64_t target_bytes, Changes& changes)
      REQUIRES(mutex_);

  // staging_reject.cc
  Status quarantine(const std::string& name, Adapter& adapter, uint64_t batch,
                    const Rejected& rejected, Changes& changes) REQUIRES(mutex_);
  static void plan_again(google::protobuf::RepeatedPtrField<v1::PlannedBatch>& plan,
                         const SealedBatch& rejected, bool is_halved);

  // staging_release.cc
  Result<v1::QuarantineRow> load_quarantined(const std::string& name, uint64_t sequence) const;
  Result<std::set<uint64_t>> choose_released(const Adapter& adapter,
                                             const v1::ReleaseQuarantineRequest& request) const
      REQUIRES(mutex_);
  Status write_released(const std::string& name, const std::set<uint64_t>& chosen,
                        const v1::AuditRow& audit) REQUIRES(mutex_);
  uint64_t next_released(const Adapter& adapter) const REQUIRES(mutex_);
  Result<Draft> draft_release(const std::string& name, const Adapter& adapter,
                              uint64_t sequence) const REQUIRES(mutex_);
  // Of a batch, from where its members are.
  Result<std::vector<std::string>> load_bodies(const std::string& name, const v1::SealRow& row,
                                               const std::vector<uint64_t>& members) const;

  // staging_replay.cc
  struct ReplayReach {
    uint64_t first = 0;
    uint64_t last = 0;
    int64_t event_count = 0;
    int64_t kept_count = 0;
    int64_t bytes = 0;
  };
  Result<uint64_t> replay_start(const v1::ReplayAdapterRequest& request) const REQUIRES(mutex_);
  Result<ReplayReach> replay_reach(uint64_t from, uint64_t to) const REQUIRES(mutex_);
  Result<v1::ReplayAdapterResponse> end_replay(const v1::ReplayAdapterRequest& request,
                                               const base::Caller& caller) REQUIRES(mutex_);
  static uint64_t replay_position(const Adapter& adapter);
  bool is_under_replay(uint64_t sequence) const REQUIRES(mutex_);
  Result<Draft> draft_replay(const Adapter& adapter, const BatchLimits& limits) const
      REQUIRES(mutex_);
  // False: a copy did not go in, so nothing that comes after it may.
  Result<bool> draft_kept(const Adapter& adapter, const BatchLimits& limits, Draft& plan) const
      REQUIRES(mutex_);
  static bool add_replayed(const v1::Replay& replay, uint64_t sequence, uint64_t size,
                           int32_t schema_revision, const BatchLimits& limits, Draft& plan);
  Result<std::vector<std::string>> load_replayed(const std::vector<uint64_t>& members) const;
  Status pass_empty_part(const std::string& name) REQUIRES(mutex_);
  Status settle_replay(const std::string& name, Adapter& adapter, Changes& changes)
      REQUIRES(mutex_);
  Status finish_part(const std::string& name, v1::AdapterRow& row, Changes& changes)
      REQUIRES(mutex_);
  void replan_replay(Adapter& adapter, const SealedBatch& rejected,
                     const std::map<uint64_t, std::string>& culprits) REQUIRES(mutex_);
  void drop_holder(const std::string& name, uint64_t sequence, uint32_t source_ref,
                   Changes& changes) REQUIRES(mutex_);
  Status settle_release(const std::string& name, Adapter& adapter, Changes& changes)
      REQUIRES(mutex_);
  Status keep_quarantined(const std::string& name, Adapter& adapter, const SealedBatch& rejected,
                          const std::string& reason, Changes& changes) REQUIRES(mutex_);

  // staging_holds.cc
  Status load_holds() REQUIRES(mutex_);
  bool is_held(const v1::Envelope& envelope) const REQUIRES(mutex_);
  static v1::HoldInfo describe_hold(uint64_t number, const v1::HoldRow& row);
  Result<v1::ReleaseHoldResponse> finish_releases();
  Result<uint64_t> release_some(uint64_t from, v1::ReleaseHoldResponse& response) REQUIRES(mutex_);
  Result<uint64_t> keep_held(uint64_t first, uint64_t last, Changes& changes, bool& is_any)
      REQUIRES(mutex_);
  void keep(uint64_t sequence, std::string stored_event, uint32_t source_ref, Changes& changes)
      REQUIRES(mutex_);
  Status keep_leaving(uint64_t sequence, const std::string& stored_event, uint32_t source_ref,
                      Changes& changes) REQUIRES(mutex_);

  // staging_visit.cc
  struct FoundEvent {
    uint64_t sequence = 0;
    v1::EventInfo::Place place = v1::EventInfo::PLACE_UNSPECIFIED;
    std::string_view stored_event;
  };
  // Calls `visit` for each event from `from` on that the store has, copies included, each once, in
  // order, from one view of the store, until it gives false. With a conversation it need not see
  // what is staged of others; copies come all.
  using VisitEvent = std::function<bool(const FoundEvent&)>;
  Status for_each_event(uint64_t from, const std::string& conversation,
                        const VisitEvent& visit) const;

  // staging_list.cc
  using VisitOpened = std::function<void(const OpenedEvent&, const FoundEvent&)>;
  Status for_each_opened(uint64_t from, const std::string& conversation,
                         const VisitOpened& visit) const;
  std::map<uint64_t, v1::HoldFilter> hold_filters() const;
  Result<std::set<std::string>> conversations_of_message(const std::string& id) const;

  // staging_files.cc
  static void name_files(const v1::Envelope& envelope, uint64_t sequence, Changes& changes);
  Result<bool> drop_old_names(const std::string& digest, const std::set<uint64_t>& quarantined,
                              Changes& changes) REQUIRES(mutex_);
  Result<bool> has_event(uint64_t sequence, const std::set<uint64_t>& quarantined) const
      REQUIRES(mutex_);
  Status add_rows_of_format_2() REQUIRES(mutex_);

  // staging_batches.cc
  Status add_batches(const std::string& name, const Adapter& adapter, uint64_t only,
                     v1::ListBatchesResponse& response) const REQUIRES(mutex_);
  // staging_filter.cc
  uint64_t leave_out(const v1::Envelope& envelope, uint64_t size, Changes& changes)
      REQUIRES(mutex_);
  Status set_filter(const std::string& name, const v1::AdapterFilter& filter, Changes& changes)
      REQUIRES(mutex_);
  Result<uint32_t> free_filter_slot() const REQUIRES(mutex_);
  Status apply_new_filter(const std::string& name) REQUIRES(mutex_);
  Status apply_new_filters() REQUIRES(mutex_);
  Result<LeftOut> count_left_out(const Adapter& adapter, uint64_t after, uint64_t through) const
      REQUIRES(mutex_);
  Status pass_left_out(Adapter& adapter) REQUIRES(mutex_);
  Result<uint64_t> first_pending(const Adapter& adapter, uint64_t after) const REQUIRES(mutex_);
  bool is_routed(uint64_t sequence, const EventIndex& index) const REQUIRES(mutex_);
  Status keep_unrouted(uint64_t sequence, uint32_t reference, Changes& changes) REQUIRES(mutex_);

  // staging_reroute.cc
  Status apply_new_routes() REQUIRES(mutex_);
  Status route_all(const std::string& name, bool is_withdrawn) REQUIRES(mutex_);
  Result<uint64_t> route_some(const std::string& name, uint64_t from, bool is_withdrawn,
                              Changes& changes) REQUIRES(mutex_);
  Status route_one(const std::string& name, uint64_t sequence, v1::KeptRow row, bool is_withdrawn,
                   Changes& changes) REQUIRES(mutex_);
  Status reroute_had(const std::string& name, uint64_t sequence, v1::KeptRow row, bool is_withdrawn,
                     Changes& changes) REQUIRES(mutex_);
  Status note_answer(const std::string& name, uint64_t sequence, v1::KeptRow row, Changes& changes)
      REQUIRES(mutex_);
  Status leave_unrouted(uint64_t sequence, v1::KeptRow row, Changes& changes) REQUIRES(mutex_);
  Result<v1::KeptRow> load_unrouted(uint64_t sequence) const;
  Result<Draft> draft_owed(const std::string& name, Adapter& adapter, const BatchLimits& limits)
      REQUIRES(mutex_);
  Status draft_owed_part(const std::string& name, const Adapter& adapter, const BatchLimits& limits,
                         uint64_t first, uint64_t last, Draft& plan) const REQUIRES(mutex_);
  Result<std::vector<std::string>> load_owed(const v1::SealRow& row,
                                             const std::vector<uint64_t>& members) const;
  Status settle_row(const std::string& name, uint64_t sequence, v1::KeptRow row, Changes& changes)
      REQUIRES(mutex_);
  Status settle_owed(const std::string& name, Adapter& adapter, Changes& changes) REQUIRES(mutex_);
  Status quarantine_owed(const std::string& name, Adapter& adapter, uint64_t batch,
                         const Rejected& rejected, Changes& changes) REQUIRES(mutex_);

  // staging_interval.cc
  Status plan_interval(const std::string& name, const BatchLimits& limits);
  static bool is_planned(const Adapter& adapter, const BatchLimits& limits);
  void number_parts(const Adapter& adapter, const SliceBuilder& slices, Draft& draft,
                    v1::BatchHeader& header) const REQUIRES(mutex_);

  // staging_adapters.cc
  Status add_adapter(const v1::AdapterSettings& settings, Changes& changes) REQUIRES(mutex_);
  Result<uint64_t> end_earlier_quarantine(const std::string& name, uint64_t start, Changes& changes)
      REQUIRES(mutex_);
  Result<uint64_t> start_cursor(const v1::AdapterSettings& settings) const REQUIRES(mutex_);
  Status change_adapter(const v1::UpdateAdapterRequest& request, Changes& changes) REQUIRES(mutex_);
  Status remove_adapter(const std::string& name, Changes& changes) REQUIRES(mutex_);

  // With so many filtered events behind its last member a batch is sealed: the scan holds the
  // mutex.
  static constexpr uint64_t kGapMaxCount = 100'000;

  const StagingOptions options_;
  const std::unique_ptr<RocksStore> store_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  uint64_t wake_count_ GUARDED_BY(mutex_) = 0;
  Status fatal_ GUARDED_BY(mutex_);
  v1::StoreState state_ GUARDED_BY(mutex_);
  std::map<std::string, Queue> queues_ GUARDED_BY(mutex_);
  std::map<uint32_t, v1::SourceCounters> sources_ GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, uint32_t> source_refs_ GUARDED_BY(mutex_);
  std::map<std::string, Adapter> adapters_ GUARDED_BY(mutex_);
  // Above archived_through: the adapters that have the event in quarantine, by sequence.
  std::map<uint64_t, std::set<std::string>> quarantined_ GUARDED_BY(mutex_);
  // Of events that count as quarantined for good: how many adapters have them.
  std::map<uint64_t, uint32_t> final_counts_ GUARDED_BY(mutex_);
  std::map<uint64_t, v1::HoldRow> holds_ GUARDED_BY(mutex_);
  ParticipationBook book_ GUARDED_BY(mutex_);
  // Names as stored; bounded, only saves writes.
  std::unordered_map<std::string, std::string> conversation_names_ GUARDED_BY(mutex_);
  // Below it no row of source_key_order is left.
  uint64_t oldest_source_key_ GUARDED_BY(mutex_) = 0;
  uint64_t last_file_drop_bytes_ GUARDED_BY(mutex_) = 0;
  // A released hold has copies that a replay is giving out.
  bool has_unfinished_release_ GUARDED_BY(mutex_) = false;
  // Raised when what a replay was drafted from may be gone: copies of a hold, or its end lets
  // deletion pass. A draft of before is not sealed.
  uint64_t replay_loss_count_ GUARDED_BY(mutex_) = 0;
  int64_t last_staged_unix_ns_ GUARDED_BY(mutex_) = 0;
};

}  // namespace verbatim::processor
