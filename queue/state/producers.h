// Producers: the hop numbering of one queue: who stored what under which number, and what was
// answered (docs/formats/frames.md, "Hop numbering").
//
// Deterministic: replaying the log's records gives the same state, forgotten producers included.
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {

// The answer of one message of a put.
struct StoredAnswer {
  uint64_t lookup_id = 0;
  bool is_repeat = false;
};

// Answers of consecutive numbers with consecutive lookup ids.
struct AnswerRun {
  uint64_t first_sequence = 0;
  uint64_t count = 0;
  uint64_t first_lookup_id = 0;
  bool is_repeat = false;
};

struct Producer {
  uint64_t epoch = 0;
  uint64_t last_sequence = 0;
  int64_t last_put_unix_ns = 0;
  std::string owner;           // name of the key that it belongs to; empty on plain connections
  std::deque<AnswerRun> runs;  // the newest, without gaps up to last_sequence
};

class Producers {
 public:
  // Runs of answers kept for each producer. A client's whole credit of puts fits, because a put
  // that stores has one run unless repeats stand between.
  static constexpr size_t kRunMaxCount = 1'024;
  // Producers known at once. The one silent for longest is forgotten, but never one that belongs to
  // a key: another key could take its name.
  static constexpr size_t kProducerMaxCount = 1'024;
  // Of them so many of one key, so that a single one cannot take all places.
  static constexpr size_t kOwnedMaxCount = 256;

  // Over all producers at most so many runs of answers are kept; those of the producer silent for
  // longest go first.
  explicit Producers(size_t run_max_count) : run_max_count_(run_max_count) {}

  const Producer* find(std::string_view name) const;
  // Whether a new producer of this key (empty: of none) finds a place. Who opens one or puts under
  // a new name asks first; replaying does not.
  bool has_room(std::string_view owner) const;
  void open(const v1::LogProducerOpened& opened);
  // Takes note of a put that begins at the producer's last + 1 under its epoch; an unknown producer
  // is opened by it.
  void add(const v1::LogPut& put);
  // What was answered for these numbers; empty if it is not remembered any more.
  std::vector<StoredAnswer> answers(std::string_view name, uint64_t first_sequence,
                                    uint64_t count) const;

  void save(v1::LogQueue& queue) const;
  void load(const v1::LogQueue& queue);

  // What they take in a snapshot at most, without the runs of answers.
  int64_t control_bytes() const { return control_bytes_; }
  static int64_t control_bytes(std::string_view name, std::string_view owner) {
    return kProducerBytes + static_cast<int64_t>(name.size() + owner.size());
  }
  size_t run_count() const { return run_count_; }
  // Forgets the oldest run of the producer silent for longest; false if that would be one of
  // `newest`, a put of this queue that keeps its answers, or there is none.
  bool drop_run(const v1::LogPut* newest);

 private:
  using Map = std::map<std::string, Producer, std::less<>>;
  static constexpr int64_t kProducerBytes = 80;  // its numbers, and how they are written
  Producer& make(const std::string& name);
  void own(const std::string& name, Producer& producer, const std::string& owner);
  template <class Predicate>
  Map::iterator silent_for_longest(Predicate is_meant);
  void add_run(Producer& producer, const AnswerRun& run);
  void drop_oldest_run(Producer& producer);
  void drop_runs(Producer& producer);

  const size_t run_max_count_;
  size_t run_count_ = 0;
  int64_t control_bytes_ = 0;
  Map producers_;
};

}  // namespace verbatim::queue
