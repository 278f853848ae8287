// Producers: the hop numbering of one queue: who stored what under which number, and what was
// answered (docs/formats/frames.md, "Hop numbering").
//
// Deterministic: replaying the log's records gives the same state, forgotten producers included.
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {

// The answer of one message of a put.
struct StoredAnswer {
  uint64_t lookup_id = 0;
  bool is_repeat = false;
};

struct Producer {
  uint64_t epoch = 0;
  uint64_t last_sequence = 0;
  int64_t last_put_unix_ns = 0;
  std::deque<v1::LogPut> puts;  // the newest, names left out
};

class Producers {
 public:
  // Answers of so many newest puts are kept for each producer: a client's whole credit.
  static constexpr size_t kPutMaxCount = 256;
  // Producers known at once; the one silent for longest is forgotten.
  static constexpr size_t kProducerMaxCount = 1'024;

  // Over all producers at most so many runs of answers are kept; those of the producer silent for
  // longest go first.
  explicit Producers(size_t run_max_count) : run_max_count_(run_max_count) {}

  const Producer* find(const std::string& name) const;
  void open(const std::string& name, uint64_t epoch, int64_t unix_ns);
  // Takes note of a put that begins at the producer's last + 1 under its epoch; an unknown producer
  // is opened by it.
  void add(const v1::LogPut& put);
  // What was answered for these numbers; empty if it is not remembered any more.
  std::vector<StoredAnswer> answers(const std::string& name, uint64_t first_sequence,
                                    uint64_t count) const;

  void save(v1::LogQueue& queue) const;
  void load(const v1::LogQueue& queue);

 private:
  using Map = std::map<std::string, Producer>;
  Producer& make(const std::string& name);
  Map::iterator silent_for_longest(bool must_have_puts);
  void drop_oldest_put(Producer& producer);
  void drop_puts(Producer& producer);

  const size_t run_max_count_;
  size_t run_count_ = 0;
  Map producers_;
};

}  // namespace verbatim::queue
