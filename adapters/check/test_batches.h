// The batches that the check sends: sealed and chained as the processor does, of events made up
// here.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verbatim/v1/adapter.pb.h"

namespace verbatim::adapters::check {

struct TestBatch {
  v1::BatchHeader header;
  std::string header_bytes;
  std::vector<std::string> events;
  std::string digest;
  // Of the event that no adapter can read; 0 for none.
  uint64_t broken_sequence = 0;

  uint64_t number() const { return header.batch(); }
  uint64_t event_count() const { return events.size(); }
};

// I1 A batch follows the last one that apply() was told of; numbers are contiguous.
class BatchChain {
 public:
  void set_adapter(const std::string& adapter) { adapter_ = adapter; }

  // Posts in one room; with a broken one in their middle where asked for: an event whose bytes are
  // none.
  TestBatch next(int posts, bool has_broken = false);
  // As the hub replaces a rejected batch: without the broken event, under the next number.
  TestBatch replacement(const TestBatch& rejected);
  void apply(const TestBatch& batch);

  uint64_t last_applied() const { return last_applied_; }
  const std::string& last_digest() const { return last_digest_; }

 private:
  std::string post(uint64_t sequence, bool is_broken) const;
  void seal(TestBatch& batch);

  std::string adapter_;
  uint64_t last_number_ = 0;
  uint64_t last_sequence_ = 0;
  uint64_t last_applied_ = 0;
  uint64_t running_count_ = 0;
  std::string last_digest_ = std::string(32, '\0');
};

}  // namespace verbatim::adapters::check
