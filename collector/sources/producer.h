// Producer: what this run of the collector knows of one numbered producer, over all its
// connections: which numbers are under way, which are answered, and where its numbering jumped.
//
// I1 A number under way is submitted once; sent again meanwhile, it waits for the same answer.
// I2 After a number was answered "try again", everything above it is answered the same until it has
//    come again, in order: nothing overtakes it.
// I3 A jump in the numbers of an epoch is reported once, as a capture gap.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "collector/broker/pending_event.h"
#include "collector/sources/source_counters.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

class ProducerSession;

class Producer {
 public:
  // One connection's place for the answer to one event.
  struct Waiter {
    std::weak_ptr<ProducerSession> session;
    uint64_t slot = 0;
  };

  explicit Producer(std::string name, const base::Clock& clock)
      : name_(std::move(name)), clock_(clock) {}

  // What to do with an event that came in.
  struct Admission {
    enum class Kind { kSubmit, kMerged, kRefused };
    Kind kind = Kind::kSubmit;
    Answer refusal;                     // for kRefused
    std::optional<v1::CaptureGap> gap;  // to be reported before the event
  };
  Admission admit(uint64_t epoch, uint64_t sequence, Waiter waiter);

  // Hands the broker's answer to everyone who waits for the number.
  void complete(uint64_t epoch, uint64_t sequence, const Answer& answer);

  // The connection that speaks for the producer now; gives the one that did before.
  std::shared_ptr<ProducerSession> attach(const std::shared_ptr<ProducerSession>& session);
  void detach(const ProducerSession* session, const std::string& reason);

  // True once for each epoch that is newer than those before it, in this run.
  bool is_first_hello(uint64_t epoch);
  // The next hello of this epoch is the first again.
  void forget_hello(uint64_t epoch);

  // The highest number answered for good in this run; 0 if none.
  uint64_t last_answered(uint64_t epoch) const;

  const std::string& name() const { return name_; }
  SourceCounters& counters() { return counters_; }
  // State, reason and counters; name.
  v1::SourceInfo info() const;

 private:
  struct Epoch {
    uint64_t highest_seen = 0;
    uint64_t last_answered = 0;
    // I2: while set, only numbers up to it are taken; it moves on until it has passed the highest
    // number that was answered "try again".
    std::optional<uint64_t> resume_at;
    uint64_t resume_until = 0;
    Answer resume_answer;
    std::map<uint64_t, std::vector<Waiter>> under_way;
  };

  Epoch& epoch_locked(uint64_t epoch) REQUIRES(mutex_);

  const std::string name_;
  const base::Clock& clock_;
  SourceCounters counters_;
  mutable base::Mutex mutex_;
  std::map<uint64_t, Epoch> epochs_ GUARDED_BY(mutex_);
  uint64_t newest_hello_ GUARDED_BY(mutex_) = 0;
  std::weak_ptr<ProducerSession> attached_ GUARDED_BY(mutex_);
  bool is_attached_ GUARDED_BY(mutex_) = false;
  std::string reason_ GUARDED_BY(mutex_);
  int64_t since_unix_ns_ GUARDED_BY(mutex_) = 0;
  int64_t last_seen_unix_ns_ GUARDED_BY(mutex_) = 0;
};

}  // namespace verbatim::collector
