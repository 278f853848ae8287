// QueueBroker: the Broker over a QueueClient and an Outbox.
//
// What policies are asked about goes through the PolicyChain first, and what comes behind it in its
// conversation, too. Then what is awaited goes to the queue at once; what is not goes through the
// outbox. All roads hold to I1 to I4 of broker.h. An event that was answered with an error and is
// durable after all gets a VerdictOutcome; the time in which the queue took nothing gets a capture
// gap; the time in which no collector ran gets one for each source at the next start. A permitted
// attempt that the node does not confirm in time gets a VerdictOutcome too (collector/attempts).
//
// Life cycle: create() → start() → stop(). One thread of its own, "keeper": deadlines of waiting
// events, the policies' time, alive mark, roster, owed gaps.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"
#include "collector/attempts/attempt_tracker.h"
#include "collector/broker/broker.h"
#include "collector/broker/completer.h"
#include "collector/broker/outage_tracker.h"
#include "collector/outbox/alive_mark.h"
#include "collector/outbox/outbox.h"
#include "collector/policy/policy_chain.h"
#include "queue/client/queue_client.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct QueueBrokerOptions {
  std::string collector_name = "collector";
  std::string data_dir;
  Profile profile;
  CompleterOptions completer;
  std::chrono::milliseconds event_deadline{20'000};
  // Until a permitted attempt without its confirmation is recorded as unconfirmed.
  std::chrono::milliseconds unconfirmed_after{60'000};
  uint64_t outbox_max_bytes = 256 * 1024 * 1024;
  // Awaited events that wait behind the outbox, all conversations together.
  size_t waiting_max_count = 10'000;
  // Name and protocol of each configured source: who gets a gap for the time without a collector.
  std::vector<std::pair<std::string, std::string>> sources;
  // Keeps the claims of the stored files that an event names until what it gives is gone
  // (ContentStore::use); empty: there are no files.
  std::function<std::shared_ptr<const void>(std::vector<std::string> sha256s)> use_files = {};
  // Takes a completed event before it is put (FileFetcher::note); what it gives is told what became
  // of it: true: it is durable, false: it never will be. Empty: no links are fetched.
  using LinkTicket = std::function<void(bool is_stored)>;
  std::function<LinkTicket(const v1::Event& event)> note_links = {};
  // Whom named events pass on their way; null: no policy is ever asked. Outlives the broker.
  PolicyChain* policies = nullptr;
  // The disk failed, or another collector uses our name (kFailedPrecondition, told once): the
  // service must end.
  std::function<void(const Status&)> on_fatal;
};

class QueueBroker final : public Broker {
 public:
  // Opens what is on disk. `file_system` and `client` must outlive the broker; the client must be
  // stopped before the broker is destroyed.
  static Result<std::unique_ptr<QueueBroker>> create(base::FileSystem& file_system,
                                                     queue::QueueClient& client,
                                                     QueueBrokerOptions options);
  ~QueueBroker() override;

  // Starts outbox and keeper, and records the time without a collector. Call before the sources
  // start.
  void start();
  // Answers what waits with an error, syncs outbox, roster and alive mark. Call after the sources
  // and then the client have stopped: what the client gives up may still need a word in the outbox.
  // Safe twice.
  void stop();

  // One round of the keeper: deadlines, attempts without confirmation. Called by its thread every
  // 20 ms.
  void keep();

  void submit(PendingEvent pending) override;
  void submit_gap(const GapReport& report) override;
  void submit_outcome(const v1::Event& about, const std::string& event_id,
                      v1::VerdictOutcome::Outcome outcome, const std::string& detail) override;
  const Profile& profile() const override { return completer_.profile(); }
  bool has_route(std::string_view node, std::string_view event_name,
                 std::string_view packet_type) const override {
    return options_.policies != nullptr &&
           options_.policies->has_route(node, event_name, packet_type);
  }
  Roster& roster() override { return *roster_; }
  std::chrono::nanoseconds default_deadline() const override;
  const base::Clock& clock() const override { return *options_.completer.clock; }
  const std::string& collector_name() const override { return options_.collector_name; }

  v1::OutboxInfo outbox_info() const { return outbox_->info(); }
  // Events that are not answered yet.
  int64_t in_flight_count() const;
  // Permitted attempts that wait for their confirmation, and those without one since the start.
  int64_t open_attempt_count() const { return attempts_->open_count(); }
  int64_t unconfirmed_count() const { return attempts_->unconfirmed_count(); }
  bool is_queue_connected() const { return client_.is_connected(); }
  // True when no event of this collector, nor of one before it, is on its way but those in flight.
  bool is_outbox_settled() const {
    return client_.is_connected() && outbox_->info().event_count() == 0;
  }

 private:
  struct Flight;
  using FlightPointer = std::shared_ptr<Flight>;

  QueueBroker(base::FileSystem& file_system, queue::QueueClient& client,
              QueueBrokerOptions options);
  Status open();
  void run_keeper();
  void write_marks();
  void report_absence();
  void set_made_key(v1::Event& event);
  void submit_unconfirmed();
  using FileUse = std::shared_ptr<const void>;
  using LinkTicket = QueueBrokerOptions::LinkTicket;
  // What an awaited event is answered with once it is durable.
  struct Decided {
    v1::Verdict verdict;
    std::string changed_raw;
    std::string text_for_sender;
    std::string first_verdict;  // as the queue keeps it

    bool is_pass() const {
      return verdict.decision() == v1::DECISION_PASS ||
             verdict.decision() == v1::DECISION_PASS_CHANGED;
    }
  };

  void submit_made(PendingEvent pending);
  void ask_policies(v1::Event prepared, PendingEvent pending, FileUse use);
  void take_outcome(PolicyOutcome outcome, PendingEvent pending, FileUse use);
  void put_on_road(v1::Event prepared, PendingEvent pending, FileUse use, Decided decided);
  void submit_awaited(CompleteEvent complete, PendingEvent pending, FileUse use, LinkTicket links,
                      Decided decided);
  void submit_unawaited(CompleteEvent complete, PendingEvent pending, const LinkTicket& links);
  using DueAnswer = std::pair<FlightPointer, Answer>;

  // Gives the answer where the client does not even take the event.
  std::optional<Answer> put_locked(const FlightPointer& flight) REQUIRES(order_mutex_);
  std::optional<Answer> wait_locked(const FlightPointer& flight) REQUIRES(order_mutex_);
  std::vector<DueAnswer> take_expired();
  void on_put(const FlightPointer& flight, const Result<queue::PutOutcome>& outcome);
  void on_late(const FlightPointer& flight, const Result<queue::PutOutcome>& outcome);
  void on_released(const std::string& order_key);
  void on_lost(const v1::PutMessage& message, const Status& status);
  void end_fenced();
  void answer(Flight& flight, Answer answer);
  void note_success();

  base::FileSystem& file_system_;
  queue::QueueClient& client_;
  const QueueBrokerOptions options_;
  const Completer completer_;
  const Decided pass_;  // where no policy is asked
  const uint64_t made_epoch_;
  std::atomic<uint64_t> made_sequence_{0};
  std::unique_ptr<AliveMarkFile> alive_;
  std::unique_ptr<Roster> roster_;
  std::unique_ptr<AttemptTracker> attempts_;
  std::unique_ptr<Outbox> outbox_;
  OutageTracker outages_;
  std::atomic<int64_t> in_flight_count_{0};
  std::atomic<bool> is_fenced_{false};

  // Held while an event is put or set to wait, so that nothing overtakes.
  base::Mutex order_mutex_;
  std::unordered_map<std::string, std::deque<FlightPointer>> waiting_ GUARDED_BY(order_mutex_);
  size_t waiting_count_ GUARDED_BY(order_mutex_) = 0;
  bool is_stopping_ GUARDED_BY(order_mutex_) = false;

  base::Mutex keeper_mutex_;
  base::CondVar keeper_wakes_;
  bool is_keeper_stopping_ GUARDED_BY(keeper_mutex_) = false;
  std::thread keeper_;
};

}  // namespace verbatim::collector
