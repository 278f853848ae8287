// StagingRun: one store under load: an intake and two adapters, each on a thread of its own, the
// second adapter down until it is told to come.
//
// Each adapter checks every event it is given: the next number of the queue, the body that was put.
// Threads: those of its own; the rest from one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "processor/staging/staging.h"
#include "tests/bench/staging/counting_file_system.h"

namespace verbatim::bench {

struct StagingRunOptions {
  std::string folder;
  uint64_t body_bytes = 1'024;
  uint64_t batch = 256;        // messages of one intake
  uint64_t batch_max = 2'048;  // events of one sealed batch
};

class StagingRun {
 public:
  static constexpr size_t kAdapterCount = 2;

  explicit StagingRun(StagingRunOptions options);
  ~StagingRun();

  // Takes in events until there are so many in all, or the deadline has passed; `rate` a second, 0:
  // as fast as it goes.
  void take_in(uint64_t count, double rate = 0,
               std::chrono::steady_clock::time_point deadline =
                   std::chrono::steady_clock::time_point::max());
  void start_adapter(size_t adapter);
  // Waits until each adapter that runs has acknowledged everything.
  void wait_acknowledged();

  uint64_t staged() const { return staged_; }
  uint64_t acknowledged(size_t adapter) const { return acknowledged_[adapter]; }
  uint64_t payload_bytes() const { return staged_ * options_.body_bytes; }
  uint64_t staged_bytes() const { return staging_->staged_bytes(); }
  const CountingFileSystem::Counts& counts() const { return file_system_->counts(); }
  const std::string& folder() const { return options_.folder; }

  // Microseconds of the first look at the events after everything below was deleted, from the very
  // first sequence on.
  double first_seek_us();
  // Differences between counters and rows; empty if there is none.
  std::vector<std::string> recount();
  void close();

 private:
  std::vector<v1::QueueMessage> make_messages(uint64_t count);
  void serve(size_t adapter);
  void check(size_t adapter, const processor::LoadedBatch& batch);

  const StagingRunOptions options_;
  const std::shared_ptr<CountingFileSystem> file_system_;
  const std::unique_ptr<rocksdb::Env> env_;
  const std::string body_;
  std::unique_ptr<processor::Staging> staging_;
  std::atomic<uint64_t> staged_{0};
  std::atomic<uint64_t> acknowledged_[kAdapterCount]{};
  std::atomic<bool> is_stopping_{false};
  std::thread adapters_[kAdapterCount];
};

}  // namespace verbatim::bench
