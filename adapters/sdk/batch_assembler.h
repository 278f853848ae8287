// BatchAssembler: begin, chunks and end of a batch as they come in, under a memory bound.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/sdk/batch.h"
#include "base/status.h"

namespace verbatim::adapters {

struct BatchLimits {
  uint64_t body_max_bytes = uint64_t{64} * 1024 * 1024;
  uint64_t header_max_bytes = uint64_t{64} * 1024 * 1024;
  uint64_t event_max_count = 50'000;
};

// What came in between begin and end: a Batch, or why it is none. The number and the epoch are
// those of the begin, so that the answer can name them.
struct AssembledBatch {
  uint64_t number = 0;
  uint64_t store_epoch = 0;
  Result<Batch> batch;
};

class BatchAssembler {
 public:
  explicit BatchAssembler(const BatchLimits& limits = {}) : limits_(limits) {}

  // A begin throws away what an earlier one left unfinished (void by the contract).
  void begin(const v1::BatchBegin& begin);
  // Errors, of both: kFailedPrecondition for a message of a batch that was not begun: the peer does
  // not keep the contract. What is wrong with a batch that was begun is told at its end.
  Status chunk(v1::BatchChunk chunk);
  Result<AssembledBatch> end(const v1::BatchEnd& end);

  bool is_open() const { return open_.has_value(); }

 private:
  struct Open {
    uint64_t number = 0;
    uint64_t store_epoch = 0;
    uint64_t event_count = 0;
    uint64_t body_bytes = 0;
    uint64_t received_bytes = 0;
    Batch::Parts parts;
    Status status;  // the first thing wrong
  };

  BatchLimits limits_;
  std::optional<Open> open_;
};

}  // namespace verbatim::adapters
