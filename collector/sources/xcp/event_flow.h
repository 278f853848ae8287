// EventFlow: from a request on the link to the broker, and from the broker's answer back.
//
// I1 PASS leaves only after the broker has said that event and verdicts are durable, or for an
// event
//    that the profile in force does not archive.
// I2 A notification (type='set', class R5) is never answered.
// I3 A repeat of an open request is not submitted again; a repeat of an answered one is, and the
//    queue gives its first verdict.
// I4 Answers of one conversation keep the order of its requests.
// I5 An act that has happened and that the broker refuses (too large) leaves a capture gap of one.
//
// Threads: one, but for the broker's callbacks, which only put into a locked box and call `wake`.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/xml_element.h"
#include "collector/broker/broker.h"
#include "collector/sources/xcp/answer_order.h"
#include "collector/sources/xcp/codec/event_codec.h"
#include "collector/sources/xcp/codec/snapshot.h"
#include "collector/sources/xcp/sequence_tracker.h"

namespace verbatim::collector {

struct EventFlowOptions {
  std::string source_name;
  // How long an answer that nobody could be given waits for its request to come again.
  std::chrono::nanoseconds unclaimed_max = std::chrono::seconds(60);
  // How long a number may be missing before it counts as lost.
  std::chrono::nanoseconds sequence_grace = std::chrono::seconds(10);
};

struct EventFlowCounters {
  int64_t received = 0;
  int64_t accepted = 0;
  int64_t refused = 0;
  int64_t errors = 0;
  int64_t repeats = 0;
  int64_t gaps = 0;
  int64_t filtered = 0;
  int64_t undecodable = 0;
  int64_t last_event_unix_ns = 0;
};

class EventFlow {
 public:
  // Sends an answer; false where that link is gone.
  using Send = std::function<bool(uint64_t link, const Xdb& xdb, const Reply& reply)>;

  EventFlow(EventFlowOptions options, Broker& broker, const EventCodec& codec, Send send,
            std::function<void()> wake);
  ~EventFlow();
  EventFlow(const EventFlow&) = delete;
  EventFlow& operator=(const EventFlow&) = delete;

  // Takes an <xdb/> of the codec's namespace.
  void take(uint64_t link, const base::XmlElement& xdb, std::string_view raw);
  // Takes the broker's answers that have come in.
  void run_completions();
  // Reports gaps and unclaimed answers that are due.
  void tick(std::chrono::nanoseconds now);
  // Reports every gap found so far.
  void finish();
  void on_link_closed(uint64_t link);

  // Requests and notifications that the broker has not answered yet.
  size_t in_flight_count() const { return answers_.size() + notification_count_; }
  size_t in_flight_count(uint64_t link) const { return answers_.count_of(link); }
  // The node that spoke last; empty before.
  const std::string& node() const { return node_; }
  const EventFlowCounters& counters() const { return counters_; }

 private:
  struct Completion {
    enum class Kind { kRequest, kNotification, kSynthetic };
    Kind kind = Kind::kRequest;
    uint64_t number = 0;  // of the request; of the snapshot's work
    Answer answer;
    std::shared_ptr<const GapReport> loss;  // told where the event is refused; may be null
  };
  // Outlives the flow: the broker may answer when it is gone.
  struct Box {
    base::Mutex mutex;
    std::vector<Completion> completions GUARDED_BY(mutex);
    std::function<void()> wake GUARDED_BY(mutex);
    void put(Completion completion);
  };
  // A whole part of a snapshot, compared as soon as an earlier comparison of the same thing is
  // durable.
  struct SnapshotWork {
    uint64_t request = 0;
    std::string key;  // room address; "sessions"; "end"
    std::string
        why;  // "snapshot", or "restart" where the node has started since the last whole one
    SnapshotPart part;
    std::vector<std::string> rooms;  // for the end
    size_t open_count = 0;
    bool has_failed = false;
  };
  struct Unclaimed {
    std::string key;
    std::string event_id;
    std::string about;  // as OpenRequest.about
    std::chrono::nanoseconds until{0};
  };

  void submit(uint64_t link, const Xdb& xdb, const std::string& key, DecodedEvent decoded);
  void submit_notification(DecodedEvent decoded);
  void tell_unclaimed(const Unclaimed& unclaimed);
  void take_snapshot(uint64_t link, const Xdb& xdb, const std::string& key, SnapshotPart part,
                     uint64_t boot);
  void start_snapshot_work(SnapshotWork work);
  std::vector<v1::Event> compare(const SnapshotWork& work);
  void complete_request(const Completion& completion);
  void note_refused(const Completion& completion);
  void complete_synthetic(const Completion& completion);
  void emit(const OpenRequest& request);
  void note_rooms(const v1::Event& event);
  void report_gaps(SequenceTracker& tracker, const std::string& node, bool all);
  bool is_archived(const DecodedEvent& decoded) const;

  const EventFlowOptions options_;
  Broker& broker_;
  const EventCodec& codec_;
  const Send send_;
  const std::shared_ptr<Box> box_;
  AnswerOrder answers_;
  size_t notification_count_ = 0;
  std::string node_;
  std::map<std::string, SequenceTracker> trackers_;   // by node
  std::map<uint64_t, SnapshotAssembler> assemblers_;  // by link
  std::map<std::string, uint64_t> snapshot_boots_;    // of the last whole snapshot, by node
  std::map<uint64_t, SnapshotWork> snapshot_work_;    // under way, by number
  std::deque<SnapshotWork> snapshot_waiting_;
  uint64_t last_work_number_ = 0;
  std::deque<Unclaimed> unclaimed_;
  std::set<std::string> room_domains_;
  EventFlowCounters counters_;
};

}  // namespace verbatim::collector
