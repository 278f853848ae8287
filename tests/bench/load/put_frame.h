// PutFrame: the frame of one put, filled once and sent again and again under new numbers, so that
// the load itself costs little.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/load/load.h"

namespace verbatim::bench {

// 1,024 bytes (or so many) that do not compress to nothing; the same in every run.
std::string make_body(size_t size);

class PutFrame {
 public:
  PutFrame(const LoadOptions& options, const std::string& producer, uint64_t epoch);

  // The frame under the producer's next numbers.
  v1::QueueFrame& next();

 private:
  const uint64_t order_keys_;
  v1::QueueFrame frame_;
  uint64_t next_sequence_ = 1;
};

}  // namespace verbatim::bench
